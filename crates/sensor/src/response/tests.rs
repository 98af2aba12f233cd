use super::*;
use picket_model::Severity;
use picket_model::event::{Actor, Detail, EventUid, Exec, Host};
use picket_model::policy::{Budget, Effects, OnExceed, Trigger};
use picket_model::process::{Image, Parent};
use std::sync::Mutex;
use std::time::Duration;

struct Recorder(Arc<Mutex<Vec<ProcessKey>>>);

impl Actuator for Recorder {
    fn kill(&mut self, target: Authorised<'_>) -> Result<(), i32> {
        self.0.lock().unwrap().push(target.key());
        Ok(())
    }
}

fn rule(id: &str, category: Option<&str>) -> Arc<RuleInfo> {
    Arc::new(RuleInfo {
        category: category.map(String::from),
        ..RuleInfo::named(id, Severity::High)
    })
}

fn policy(id: &str, action: Action, trigger: Trigger) -> Policy {
    Policy {
        id: id.into(),
        trigger,
        projects: vec![],
        action,
        budget: None,
    }
}

fn by_rule(id: &str) -> Trigger {
    Trigger {
        rules: vec![id.into()],
        ..Trigger::default()
    }
}

fn exec(pid: u32) -> Event {
    let process = Process::new(
        ProcessKey { pid, start_ns: 5 },
        Arc::new(Image::default()),
        Parent::None,
    );
    Event {
        uid: EventUid::Sequence { run: 0, number: 1 },
        time_ns: 0,
        class: EventClass::ProcessExec,
        host: Arc::new(Host::default()),
        actor: Actor::default(),
        container: None,
        detail: Detail::Exec(Exec {
            process: Arc::new(process),
            parent_process: Datum::Absent,
        }),
    }
}

fn responder(policies: &[Policy]) -> (Responder, Arc<Mutex<Vec<ProcessKey>>>) {
    let kills = Arc::new(Mutex::new(Vec::new()));
    let recorder = Recorder(kills.clone());
    let set = ProtectedSet::new(1_000, Some(1), vec![]);
    (
        Responder::new(policies, set, Ledger::own(), Some(Box::new(recorder))),
        kills,
    )
}

fn respond(
    responder: &mut Responder,
    rules: &[Arc<RuleInfo>],
    event: &Event,
    in_scope: bool,
) -> Responses {
    let case = Case {
        event,
        in_scope,
        boot_ns: 1,
    };
    responder.respond(rules, case, Decided::default())
}

const BLOCK: Action = Action::Block(Effects::BLOCK);

#[test]
fn simulate_decides_what_block_does_and_kills_nothing() {
    for (pid, in_scope) in [(50, true), (50, false), (1, true)] {
        let (mut block, killed) = responder(&[policy("p", BLOCK, by_rule("r"))]);
        let (mut simulate, spared) = responder(&[policy("p", Action::Simulate, by_rule("r"))]);
        let rules = [rule("r", None)];
        let event = exec(pid);
        let blocked = respond(&mut block, &rules, &event, in_scope);
        let simulated = respond(&mut simulate, &rules, &event, in_scope);
        assert!(spared.lock().unwrap().is_empty());
        let one = block.decisions_for(&rules[0], &blocked).remove(0);
        let mut other = simulate.decisions_for(&rules[0], &simulated).remove(0);
        if other.outcome == Outcome::Simulated {
            assert_eq!(killed.lock().unwrap().len(), 1);
            other.outcome = one.outcome.clone();
        } else {
            assert!(killed.lock().unwrap().is_empty());
        }
        assert_eq!(one, other);
    }
}

#[test]
fn two_policies_make_one_kill_and_two_decisions() {
    let trigger = Trigger {
        categories: vec!["miner".into()],
        ..Trigger::default()
    };
    let (mut responder, kills) = responder(&[
        policy("a", BLOCK, by_rule("r")),
        policy("b", BLOCK, trigger),
    ]);
    let rules = [rule("r", Some("miner")), rule("other", None)];
    let responses = respond(&mut responder, &rules, &exec(50), true);
    assert_eq!(kills.lock().unwrap().len(), 1);
    assert_eq!(responder.decisions_for(&rules[0], &responses).len(), 2);
    assert!(responder.decisions_for(&rules[1], &responses).is_empty());
}

#[test]
fn a_tripped_budget_is_told_once_and_survives_a_reload() {
    let mut limited = policy("p", BLOCK, by_rule("r"));
    limited.budget = Some(Budget {
        kills: 1,
        per: Duration::from_secs(60),
        on_exceed: OnExceed::Simulate,
        resume_after: None,
    });
    let (mut responder, kills) = responder(&[limited.clone()]);
    let rules = [rule("r", None)];
    assert!(
        respond(&mut responder, &rules, &exec(50), true)
            .tripped
            .is_empty()
    );
    assert_eq!(
        respond(&mut responder, &rules, &exec(51), true)
            .tripped
            .len(),
        1
    );
    responder.arm(&[limited]);
    let third = respond(&mut responder, &rules, &exec(52), true);
    assert!(third.tripped.is_empty());
    assert_eq!(
        responder.decisions_for(&rules[0], &third)[0].outcome,
        Outcome::Withheld(Withheld::BudgetExceeded)
    );
    assert_eq!(kills.lock().unwrap().len(), 1);
}

#[test]
fn a_replay_acts_on_nothing() {
    let set = ProtectedSet::new(0, None, vec![]);
    let mut responder = Responder::new(
        &[policy("p", BLOCK, by_rule("r"))],
        set,
        Ledger::own(),
        None,
    );
    let rules = [rule("r", None)];
    let responses = respond(&mut responder, &rules, &exec(50), true);
    assert_eq!(
        responder.decisions_for(&rules[0], &responses)[0].outcome,
        Outcome::Withheld(Withheld::Replay)
    );
}
