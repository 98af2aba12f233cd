//! Response policies: from a match to an action, through every safety check.
//!
//! ```text
//! match ─► trigger ─► protected set ─► scope ─► budget ─┬─ simulate: record
//!                                                      └─ block: Authorised ─► Actuator
//! ```
//!
//! Simulate takes the same way to the last step, budget included.

mod budget;
mod kill;
mod protect;

pub use kill::PidfdKiller;
pub use protect::{Protected, ProtectedSet};

use budget::BudgetState;
use picket_model::EventClass;
use picket_model::datum::Datum;
use picket_model::event::Event;
use picket_model::finding::{Decision, Mechanism, Outcome, Withheld};
use picket_model::policy::{Action, Effects, Policy};
use picket_model::process::{Process, ProcessKey};
use picket_model::rule::RuleInfo;
use std::sync::Arc;

/// A target that passed every check. Only [`Responder`] makes one, and only it
/// opens an [`Actuator`].
#[derive(Debug)]
pub struct Authorised<'a> {
    target: &'a Process,
}

impl Authorised<'_> {
    /// The process to act on.
    pub fn key(&self) -> ProcessKey {
        self.target.key
    }
}

/// What carries an action out.
pub trait Actuator {
    /// Terminates the process. An error is the errno of the call that failed;
    /// `ESRCH` means the process is gone.
    fn kill(&mut self, target: Authorised<'_>) -> Result<(), i32>;

    /// What it is.
    fn mechanism(&self) -> Mechanism;
}

/// The armed policies and their state.
pub struct Responder {
    policies: Vec<Armed>,
    protected: ProtectedSet,
    /// None in a replay: there is nothing to act on.
    actuator: Option<Box<dyn Actuator + Send>>,
}

#[derive(Debug)]
struct Armed {
    id: Arc<str>,
    policy: Policy,
    budget: Option<BudgetState>,
}

/// What one event led to.
#[derive(Debug, Default)]
pub struct Responses {
    /// A decision per policy that was set off, by index of the policy.
    decisions: Vec<(usize, Decision)>,
    /// Policies whose budget this event used up.
    pub tripped: Vec<Arc<str>>,
    /// The process that was killed, if one was.
    pub killed: Option<ProcessKey>,
}

impl Responder {
    /// With these policies armed.
    pub fn new(
        policies: &[Policy],
        protected: ProtectedSet,
        actuator: Option<Box<dyn Actuator + Send>>,
    ) -> Responder {
        let mut responder = Responder {
            policies: Vec::new(),
            protected,
            actuator,
        };
        responder.arm(policies);
        responder
    }

    /// Replaces the policies. A policy whose budget is unchanged keeps what it
    /// has used of it: a reload must not be a way to get more kills.
    pub fn arm(&mut self, policies: &[Policy]) {
        let before = std::mem::take(&mut self.policies);
        self.policies = policies
            .iter()
            .map(|policy| {
                let kept = before
                    .iter()
                    .find(|armed| {
                        armed.policy.id == policy.id && armed.policy.budget == policy.budget
                    })
                    .and_then(|armed| armed.budget.clone());
                Armed {
                    id: policy.id.as_str().into(),
                    budget: kept.or_else(|| policy.budget.map(BudgetState::new)),
                    policy: policy.clone(),
                }
            })
            .collect();
    }

    /// Whether some policy acts and does not only simulate.
    pub fn blocks(&self) -> bool {
        self.policies
            .iter()
            .any(|armed| matches!(armed.policy.action, Action::Block(_)))
    }

    /// Decides for one event and the rules it matched, and acts. `in_scope`
    /// says whether the process is inside the enforcement scope.
    pub fn respond(&mut self, rules: &[Arc<RuleInfo>], event: &Event, in_scope: bool) -> Responses {
        let mut responses = Responses::default();
        for at in 0..self.policies.len() {
            let trigger = &self.policies[at].policy.trigger;
            if !rules.iter().any(|rule| triggers(trigger, rule)) {
                continue;
            }
            if let Some(decision) = self.decide(at, event, in_scope, &mut responses) {
                responses.decisions.push((at, decision));
            }
        }
        responses
    }

    /// The decisions that belong into one rule's finding.
    pub fn decisions_for(&self, rule: &RuleInfo, responses: &Responses) -> Vec<Decision> {
        responses
            .decisions
            .iter()
            .filter(|(at, _)| triggers(&self.policies[*at].policy.trigger, rule))
            .map(|(_, decision)| decision.clone())
            .collect()
    }

    fn decide(
        &mut self,
        at: usize,
        event: &Event,
        in_scope: bool,
        responses: &mut Responses,
    ) -> Option<Decision> {
        let target = event.own_process()?;
        let armed = &mut self.policies[at];
        let effects = match armed.policy.action {
            Action::Simulate => Effects::BLOCK,
            Action::Block(effects) => effects,
        };
        let mechanism = self
            .actuator
            .as_ref()
            .map_or(Mechanism::PidfdKill, |actuator| actuator.mechanism());
        let protected = self
            .protected
            .check(target, event.container.is_some())
            .or_else(|| {
                self.actuator
                    .as_ref()
                    .and_then(|_| self.protected.check_now(target.key.pid))
            });
        let outcome = if let Some(entry) = protected {
            Outcome::Withheld(Withheld::Protected { entry })
        } else if !in_scope {
            Outcome::Withheld(Withheld::OutOfScope)
        } else if !charge(armed, event.time_ns, responses) {
            Outcome::Withheld(Withheld::BudgetExceeded)
        } else if armed.policy.action == Action::Simulate {
            Outcome::Simulated
        } else {
            self.act(target, event, effects, responses)
        };
        Some(Decision {
            policy: self.policies[at].id.clone(),
            effects,
            pid: target.key.pid,
            mechanism,
            outcome,
        })
    }

    fn act(
        &mut self,
        target: &Process,
        event: &Event,
        effects: Effects,
        responses: &mut Responses,
    ) -> Outcome {
        let acted = || Outcome::Acted {
            latency_ns: Datum::Unknown,
            operation_completed: operation_completed(event),
        };
        if responses.killed == Some(target.key) {
            // Another policy's kill of the same process serves this one too.
            return acted();
        }
        let Some(actuator) = &mut self.actuator else {
            return Outcome::Withheld(Withheld::Replay);
        };
        if !effects.kill {
            // Denying takes a hook that decides in the kernel.
            return Outcome::Failed {
                errno: rustix::io::Errno::OPNOTSUPP.raw_os_error(),
            };
        }
        match actuator.kill(Authorised { target }) {
            Ok(()) => {
                responses.killed = Some(target.key);
                acted()
            }
            Err(errno) if errno == rustix::io::Errno::SRCH.raw_os_error() => {
                Outcome::Withheld(Withheld::ProcessGone)
            }
            Err(errno) => Outcome::Failed { errno },
        }
    }
}

fn triggers(trigger: &picket_model::policy::Trigger, rule: &RuleInfo) -> bool {
    trigger.selects(
        &rule.id,
        rule.severity,
        &rule.tags,
        rule.category.as_deref(),
    )
}

/// Takes one action from the policy's budget; false when there is none left.
fn charge(armed: &mut Armed, time_ns: i64, responses: &mut Responses) -> bool {
    let Some(budget) = &mut armed.budget else {
        return true;
    };
    let had_tripped = budget.tripped();
    let charged = budget.charge(time_ns);
    if !had_tripped && budget.tripped() {
        responses.tripped.push(armed.id.clone());
    }
    charged
}

/// Whether the operation had been carried out when the event was seen: the
/// sensor's own kill comes after the fact.
pub(crate) fn operation_completed(event: &Event) -> Datum<bool> {
    match event.class {
        EventClass::ProcessExec | EventClass::DnsQuery => Datum::Known(true),
        _ => event.status().map(|status| status.0 == 0),
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder")
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
