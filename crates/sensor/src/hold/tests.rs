use super::*;
use picket_model::EventClass;
use picket_model::event::{Actor, EventUid, Host, Network};
use picket_model::finding::{Decision, Mechanism};
use picket_model::policy::Effects;

fn event() -> Arc<Event> {
    Arc::new(Event {
        uid: EventUid::Sequence { run: 0, number: 1 },
        time_ns: 0,
        class: EventClass::NetworkConnect,
        host: Arc::new(Host::default()),
        actor: Actor::default(),
        container: None,
        detail: Detail::Network(Network {
            status: Datum::Unknown,
            ..Network::default()
        }),
    })
}

fn finding(event: &Arc<Event>) -> Finding {
    let rule = RuleInfo::named("r", picket_model::Severity::Low);
    let decision = Decision {
        policy: "p".into(),
        effects: Effects::BLOCK,
        pid: 5,
        mechanisms: vec![Mechanism::PidfdKill],
        outcome: Outcome::Acted {
            latency_ns: Datum::Unknown,
            operation_completed: Datum::Unknown,
        },
    };
    Finding {
        rule: Arc::new(rule),
        event: event.clone(),
        decisions: vec![decision],
    }
}

const VICTIM: ProcessKey = ProcessKey {
    pid: 5,
    start_ns: 5,
};

fn held(undecided: bool, killed: Option<ProcessKey>) -> Held {
    let event = event();
    let finding = finding(&event);
    Held {
        found: vec![finding.rule.clone()],
        findings: vec![finding],
        event,
        wanted: false,
        undecided,
        outcome: Some(OutcomeKey(1)),
        killed,
        in_scope: true,
        boot_ns: 1_000,
    }
}

#[test]
fn an_outcome_reaches_the_event_its_finding_and_its_decision() {
    let mut hold = Hold::new(Limits::default());
    hold.push(held(false, None));
    assert!(hold.outcome(OutcomeKey(2), Status(0)).is_none());
    let held = hold.outcome(OutcomeKey(1), Status(111)).unwrap();
    let finding = &held.findings[0];
    assert_eq!(finding.event.status(), Datum::Known(Status(111)));
    assert_eq!(
        finding.decisions[0].outcome,
        Outcome::Acted {
            latency_ns: Datum::Unknown,
            operation_completed: Datum::Known(false)
        }
    );
    assert!(hold.is_empty());
}

#[test]
fn a_death_gives_the_latency_and_waits_for_the_outcome_only_as_long_as_allowed() {
    let mut hold = Hold::new(Limits::default());
    hold.push(held(false, Some(VICTIM)));
    let mut out = Vec::new();
    hold.death(VICTIM, 51_000, &mut out);
    assert!(out.is_empty());
    hold.expire(1_000 + Limits::default().finding_ns, &mut out);
    let Outcome::Acted { latency_ns, .. } = &out[0].findings[0].decisions[0].outcome else {
        panic!()
    };
    assert_eq!(*latency_ns, Datum::Known(50_000));
    assert!(hold.is_empty());
}

#[test]
fn an_undecided_event_stays_after_its_findings_went_and_remembers_them() {
    let mut hold = Hold::new(Limits::default());
    hold.push(held(true, None));
    let mut out = Vec::new();
    hold.expire(1_000 + Limits::default().finding_ns, &mut out);
    assert_eq!((out.len(), out[0].findings.len(), hold.len()), (1, 1, 1));
    hold.expire(2_000 + Limits::default().finding_ns, &mut out);
    assert_eq!((out.len(), hold.len()), (1, 1));
    let later = hold.outcome(OutcomeKey(1), Status(0)).unwrap();
    assert!(later.findings.is_empty() && later.found(&finding(&event()).rule));
    hold.push(held(true, None));
    hold.expire(1_000 + Limits::default().undecided_ns, &mut out);
    assert!(hold.is_empty());
}

#[test]
fn a_full_hold_lets_the_oldest_go() {
    let mut hold = Hold::new(Limits {
        events: 1,
        ..Limits::default()
    });
    assert!(hold.push(held(false, None)).is_none());
    assert!(hold.push(held(false, None)).is_some());
    assert_eq!(hold.len(), 1);
}
