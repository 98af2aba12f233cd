//! Response policies: from a match to an action, through every safety check.
//!
//! ```text
//! match ─► trigger ─► protected set ─► scope ─► budget ─┬─ simulate: record
//!                                                      └─ block: Authorised ─► Actuator
//! ```
//!
//! Simulate takes the same way to the last step, budget included. What the kernel
//! has decided is taken as it is ([`Decided`]); this way is for the rest.

mod ghosts;
mod kill;
mod ledger;
mod protect;
mod told;

pub use kill::PidfdKiller;
pub use ledger::{Charge, Ledger, Usage};
pub use protect::{Protected, ProtectedSet};

use crate::enforce::Decided;
use ghosts::Ghosts;
use picket_model::EventClass;
use picket_model::datum::Datum;
use picket_model::event::Event;
use picket_model::finding::{Decision, Mechanism, Outcome, Withheld};
use picket_model::policy::{Action, Policy};
use picket_model::process::{Process, ProcessKey};
use picket_model::rule::RuleInfo;
use std::sync::Arc;
use told::Told;

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

    /// Whether every block has been lifted by hand.
    fn disarmed(&self) -> bool {
        false
    }
}

/// One event as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'e> {
    /// The event.
    pub event: &'e Event,
    /// Its process is inside the enforcement scope.
    pub in_scope: bool,
    /// When it happened: boot time, or in a replay the event's own.
    pub boot_ns: u64,
}

/// The armed policies and their state.
pub struct Responder {
    policies: Vec<Armed>,
    protected: ProtectedSet,
    ledger: Ledger,
    ghosts: Ghosts,
    told: Told,
    /// None in a replay: there is nothing to act on.
    actuator: Option<Box<dyn Actuator + Send>>,
}

#[derive(Debug, Clone)]
struct Armed {
    id: Arc<str>,
    policy: Policy,
    /// Where its budget stands.
    slot: Option<u32>,
}

/// A policy in force, and how its budget stands.
#[derive(Debug, Clone)]
pub struct PolicyState {
    /// The policy.
    pub policy: Policy,
    /// None for one without a budget.
    pub usage: Option<Usage>,
}

/// What one event led to.
#[derive(Debug, Default)]
pub struct Responses {
    /// A decision per policy that was set off, in the order of the policies.
    decisions: Vec<Decision>,
    /// Policies whose budget this event used up.
    pub tripped: Vec<Arc<str>>,
    /// The process that was killed, if one was.
    pub killed: Option<ProcessKey>,
}

impl Responses {
    /// A decision per policy that was set off.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }
}

impl Responder {
    /// With these policies armed.
    pub fn new(
        policies: &[Policy],
        protected: ProtectedSet,
        ledger: Ledger,
        actuator: Option<Box<dyn Actuator + Send>>,
    ) -> Responder {
        let mut responder = Responder {
            policies: Vec::new(),
            protected,
            ledger,
            ghosts: Ghosts::default(),
            told: Told::default(),
            actuator,
        };
        responder.arm(policies);
        responder
    }

    /// Replaces the policies.
    pub fn arm(&mut self, policies: &[Policy]) {
        let slots = self.slots(policies);
        self.policies = policies
            .iter()
            .zip(slots)
            .map(|(policy, slot)| Armed {
                id: policy.id.as_str().into(),
                policy: policy.clone(),
                slot,
            })
            .collect();
    }

    /// Where the budgets of these policies will stand when they are armed; the
    /// same each time until then. New ones are made empty.
    pub fn slots(&self, policies: &[Policy]) -> Vec<Option<u32>> {
        let before: Vec<Option<u32>> = self.policies.iter().map(|armed| armed.slot).collect();
        self.ledger.slots(policies, &before)
    }

    /// Whether some policy acts and does not only simulate.
    pub fn blocks(&self) -> bool {
        self.policies.iter().any(|armed| armed.policy.blocks())
    }

    /// The policies, with what they have used of their budgets by now
    /// (milliseconds of boot time).
    pub fn policies(&self, now_ms: u64) -> Vec<PolicyState> {
        let usage = |armed: &Armed| {
            let (slot, budget) = (armed.slot?, armed.policy.budget.as_ref()?);
            Some(self.ledger.usage(slot, budget, now_ms))
        };
        self.policies
            .iter()
            .map(|armed| PolicyState {
                policy: armed.policy.clone(),
                usage: usage(armed),
            })
            .collect()
    }

    /// Makes a policy's budget as good as new; false if there is no such policy.
    pub fn reset_budget(&self, policy: &str) -> bool {
        let Some(armed) = self.policies.iter().find(|armed| &*armed.id == policy) else {
            return false;
        };
        if let Some(slot) = armed.slot {
            self.ledger.reset(slot);
        }
        true
    }

    /// Whether any action was ever charged to a budget that is still known.
    pub fn has_acted(&self) -> bool {
        self.ledger.is_used()
    }

    /// Policies whose budget is used up at that time, if that was not told yet, by an
    /// event or here: a person must hear of each.
    pub fn newly_used_up(&mut self, boot_ms: u64) -> Vec<Arc<str>> {
        let used_up = |armed: &&Armed| match (armed.slot, &armed.policy.budget) {
            (Some(slot), Some(budget)) => self.ledger.is_used_up(slot, budget, boot_ms),
            _ => false,
        };
        let used_up = self.policies.iter().filter(used_up);
        let used_up: Vec<Arc<str>> = used_up.map(|armed| armed.id.clone()).collect();
        self.told.news(&used_up)
    }

    /// The protected set.
    pub fn protected(&self) -> &ProtectedSet {
        &self.protected
    }

    /// Decides for one event and the rules it matched, and acts, where the kernel
    /// has not done so already.
    pub fn respond(
        &mut self,
        rules: &[Arc<RuleInfo>],
        case: Case<'_>,
        kernel: Decided,
    ) -> Responses {
        let responses = self.answer(rules, case, kernel);
        self.told.add(&responses.tripped);
        responses
    }

    fn answer(&mut self, rules: &[Arc<RuleInfo>], case: Case<'_>, kernel: Decided) -> Responses {
        let mut responses = Responses {
            decisions: Vec::new(),
            tripped: kernel.tripped,
            killed: kernel.killed,
        };
        if kernel.settled {
            return responses;
        }
        let mut decided = kernel.decisions;
        if kernel.kill_wanted {
            self.carry_out(case, &mut decided, &mut responses);
        }
        for at in 0..self.policies.len() {
            let armed = &self.policies[at];
            if let Some(own) = decided
                .iter()
                .position(|decision| decision.policy == armed.id)
            {
                responses.decisions.push(decided.remove(own));
                continue;
            }
            if !rules.iter().any(|rule| armed.policy.trigger.selects(rule)) {
                continue;
            }
            if let Some(decision) = self.decide(at, case, &mut responses) {
                responses.decisions.push(decision);
            }
        }
        // Of policies that were replaced meanwhile.
        responses.decisions.append(&mut decided);
        responses
    }

    /// The decisions that belong into one rule's finding.
    pub fn decisions_for(&self, rule: &RuleInfo, responses: &Responses) -> Vec<Decision> {
        let belongs = |decision: &&Decision| {
            self.policies
                .iter()
                .find(|armed| armed.id == decision.policy)
                .is_none_or(|armed| armed.policy.trigger.selects(rule))
        };
        responses
            .decisions
            .iter()
            .filter(belongs)
            .cloned()
            .collect()
    }

    fn decide(&mut self, at: usize, case: Case<'_>, responses: &mut Responses) -> Option<Decision> {
        let target = case.event.own_process()?;
        let armed = self.policies[at].clone();
        let effects = armed.policy.action.effects();
        let simulates = armed.policy.action == Action::Simulate;
        let outcome = if let Some(entry) = self.protects(target) {
            Outcome::Withheld(Withheld::Protected { entry })
        } else if !case.in_scope {
            Outcome::Withheld(Withheld::OutOfScope)
        } else if !effects.kill {
            // Denying takes a hook that decides in the kernel.
            Outcome::Withheld(Withheld::CannotEnforce)
        } else if simulates && self.ghosts.has(&armed.id, target) {
            Outcome::Simulated
        } else if !self.charge(&armed, case, responses) {
            Outcome::Withheld(Withheld::BudgetExceeded)
        } else if simulates {
            self.ghosts.add(&armed.id, target);
            Outcome::Simulated
        } else {
            self.act(target, case.event, responses)
        };
        Some(Decision {
            policy: armed.id,
            effects,
            pid: target.key.pid,
            mechanisms: match effects.kill {
                true => vec![Mechanism::PidfdKill],
                false => Vec::new(),
            },
            outcome,
        })
    }

    fn protects(&self, target: &Process) -> Option<Arc<str>> {
        let live = self.actuator.is_some();
        self.protected.check(target).or_else(|| {
            live.then(|| self.protected.check_now(target.key.pid))
                .flatten()
        })
    }

    fn act(&mut self, target: &Process, event: &Event, responses: &mut Responses) -> Outcome {
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
        if actuator.disarmed() {
            return Outcome::Withheld(Withheld::Disarmed);
        }
        match actuator.kill(Authorised { target }) {
            Ok(()) => {
                responses.killed = Some(target.key);
                acted()
            }
            Err(errno) if errno == GONE => Outcome::Withheld(Withheld::ProcessGone),
            Err(errno) => Outcome::Failed { errno },
        }
    }

    /// Kills what the kernel decided to kill and could not: its checks were made
    /// there.
    fn carry_out(&mut self, case: Case<'_>, decided: &mut [Decision], responses: &mut Responses) {
        let (Some(target), Some(actuator)) = (case.event.own_process(), &mut self.actuator) else {
            return;
        };
        let killed = actuator.kill(Authorised { target });
        if killed.is_ok() {
            responses.killed = Some(target.key);
            return;
        }
        for decision in decided {
            let wanted = decision
                .mechanisms
                .iter()
                .position(|m| *m == Mechanism::PidfdKill);
            let (Some(wanted), Outcome::Acted { .. }) = (wanted, &decision.outcome) else {
                continue;
            };
            decision.mechanisms.remove(wanted);
            // What was denied was denied.
            if decision.mechanisms.is_empty() {
                decision.outcome = match killed {
                    Err(errno) if errno != GONE => Outcome::Failed { errno },
                    _ => Outcome::Withheld(Withheld::ProcessGone),
                };
            }
        }
    }

    /// Takes one action from the policy's budget; false when there is none left.
    fn charge(&self, armed: &Armed, case: Case<'_>, responses: &mut Responses) -> bool {
        let (Some(slot), Some(budget)) = (armed.slot, &armed.policy.budget) else {
            return true;
        };
        match self.ledger.charge(slot, budget, case.boot_ns / 1_000_000) {
            Charge::Allowed => true,
            Charge::Exceeded { tripped } => {
                if tripped {
                    responses.tripped.push(armed.id.clone());
                }
                false
            }
        }
    }
}

const GONE: i32 = rustix::io::Errno::SRCH.raw_os_error();

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
