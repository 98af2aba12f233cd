//! What the kernel decided about one event, in the sensor's words.

use super::KernelSet;
use picket_model::EventClass;
use picket_model::datum::Datum;
use picket_model::event::Event;
use picket_model::finding::{Decision, Mechanism, Outcome, Withheld};
use picket_model::policy::Effects;
use picket_model::process::ProcessKey;
use picket_model::record::{Spared, Verdict};
use picket_model::rule::RuleInfo;
use std::sync::Arc;

/// What the kernel decided; [`Default`] is nothing.
#[derive(Debug, Default)]
pub struct Decided {
    /// Rules that hold for certain, as far as the verdict names them.
    pub rules: Vec<Arc<RuleInfo>>,
    /// A decision per policy that was decided in the kernel.
    pub decisions: Vec<Decision>,
    /// Policies whose budget this event used up.
    pub tripped: Vec<Arc<str>>,
    /// The process that was killed.
    pub killed: Option<ProcessKey>,
    /// It is to be killed, and the hook could not.
    pub kill_wanted: bool,
    /// It was decided by tables that are not known any more, and nothing is to be
    /// decided again.
    pub settled: bool,
}

impl Decided {
    /// Reads a verdict by the tables it was made with.
    pub fn new(verdict: &Verdict, set: &KernelSet, event: &Event) -> Decided {
        let Some(target) = event.own_process() else {
            return Decided::default();
        };
        let policies = |bits: u64| {
            (0..u64::BITS)
                .filter(move |bit| bits >> bit & 1 == 1)
                .filter_map(|bit| set.policy(bit).map(|(id, effects)| (bit, id, effects)))
        };
        let decisions = policies(verdict.triggered)
            .filter_map(|(bit, id, effects)| {
                let outcome = outcome(verdict, 1 << bit, effects, event)?;
                Some(Decision {
                    policy: id.clone(),
                    effects,
                    pid: target.key.pid,
                    mechanisms: mechanisms(verdict, 1 << bit, effects),
                    outcome,
                })
            })
            .collect();
        Decided {
            rules: verdict
                .rules
                .iter()
                .filter_map(|program| set.rule(*program).cloned())
                .collect(),
            decisions,
            tripped: policies(verdict.tripped)
                .map(|(_, id, _)| id.clone())
                .collect(),
            killed: verdict.done.killed.then_some(target.key),
            kill_wanted: verdict.done.kill_wanted,
            settled: false,
        }
    }
}

impl Decided {
    /// What a verdict by tables that are not known any more says, for people.
    pub fn by_others(verdict: &Verdict, event: &Event) -> String {
        let done = &verdict.done;
        let what = match (done.killed || done.kill_wanted, done.denied) {
            (true, true) => "denied and killed",
            (true, false) => "killed",
            (false, true) => "denied",
            (false, false) => "not stopped",
        };
        let process = event.own_process();
        let who = process.map_or_else(String::new, |process| {
            let path = process.image.path.known().map_or("unknown", |path| path);
            format!(" by pid {} ({path})", process.key.pid)
        });
        format!(
            "{}{who} was {what} in the kernel, under rules that are not loaded any more (tables {:08x})",
            event.class, verdict.tables
        )
    }
}

/// How the decision about one policy ended; none if the kernel left it open.
fn outcome(verdict: &Verdict, bit: u64, effects: Effects, event: &Event) -> Option<Outcome> {
    let has = |set: u64| set & bit != 0;
    let withheld = |why| Some(Outcome::Withheld(why));
    match verdict.spared {
        Spared::No => {}
        Spared::Unknown => return None,
        Spared::OutOfScope => return withheld(Withheld::OutOfScope),
        Spared::Protected => {
            return withheld(Withheld::Protected {
                entry: protected_by(event),
            });
        }
        Spared::Kernel => {
            return withheld(Withheld::Protected {
                entry: "a thread of the kernel".into(),
            });
        }
    }
    if has(verdict.over_budget) {
        return withheld(Withheld::BudgetExceeded);
    }
    if has(verdict.disarmed) {
        return withheld(Withheld::Disarmed);
    }
    if has(verdict.simulated) {
        return Some(Outcome::Simulated);
    }
    if !has(verdict.acted) {
        return None;
    }
    let only_kill_failed = verdict.done.kill_failed && !(effects.deny && verdict.done.denied);
    Some(if only_kill_failed {
        Outcome::Failed {
            errno: rustix::io::Errno::PERM.raw_os_error(),
        }
    } else {
        Outcome::Acted {
            latency_ns: if verdict.done.killed || verdict.done.kill_wanted {
                Datum::Unknown
            } else {
                Datum::Known(verdict.took_ns.into())
            },
            operation_completed: completed(verdict, event),
        }
    })
}

/// Whether the operation took place although the kernel acted.
fn completed(verdict: &Verdict, event: &Event) -> Datum<bool> {
    match event.class {
        _ if verdict.done.denied => Datum::Known(false),
        // Its image was put in place and ran no instruction.
        EventClass::ProcessExec if verdict.done.killed => Datum::Known(false),
        _ => crate::response::operation_completed(event),
    }
}

/// What acts, or would: the strongest first.
fn mechanisms(verdict: &Verdict, bit: u64, effects: Effects) -> Vec<Mechanism> {
    let mut all = Vec::new();
    if effects.deny && verdict.deniable & bit != 0 {
        all.push(Mechanism::KernelDeny);
    }
    if effects.kill {
        all.push(if verdict.kills_here {
            Mechanism::KernelKill
        } else {
            Mechanism::PidfdKill
        });
    }
    all
}

/// The kernel does not say by which entry.
fn protected_by(event: &Event) -> Arc<str> {
    let process = event.own_process();
    match process {
        Some(process) if process.key.pid == 1 => "pid 1".into(),
        Some(process) => match process.image.path.known() {
            Some(path) => (&**path).into(),
            None => "protected set".into(),
        },
        None => "protected set".into(),
    }
}
