//! Findings: a rule's match, and what response policies made of it.

use crate::datum::Datum;
use crate::event::Event;
use crate::policy::Effects;
use crate::rule::RuleInfo;
use std::sync::Arc;

/// One match of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule that matched.
    pub rule: Arc<RuleInfo>,
    /// The event it matched.
    pub event: Arc<Event>,
    /// What each policy that the match set off decided, in the order of the
    /// policies' files.
    pub decisions: Vec<Decision>,
}

impl Finding {
    /// OCSF `finding_info.uid`: the event's uid and the rule's id, so that a
    /// replay names its findings as the live run did.
    pub fn uid(&self) -> String {
        format!("{}/{}", self.event.uid, self.rule.id)
    }

    /// The disposition of the whole: blocked as soon as one decision took effect.
    pub fn disposition(&self) -> Disposition {
        let acted = self
            .decisions
            .iter()
            .any(|decision| matches!(decision.outcome, Outcome::Acted { .. }));
        if acted {
            Disposition::Blocked
        } else {
            Disposition::Logged
        }
    }
}

/// OCSF `disposition_id` of a Detection Finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// 2
    Blocked,
    /// 17
    Logged,
}

impl Disposition {
    /// OCSF's caption.
    pub const fn name(self) -> &'static str {
        match self {
            Disposition::Blocked => "Blocked",
            Disposition::Logged => "Logged",
        }
    }

    /// OCSF's number.
    pub const fn id(self) -> u8 {
        match self {
            Disposition::Blocked => 2,
            Disposition::Logged => 17,
        }
    }
}

/// What one policy decided about one match, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The policy's id.
    pub policy: Arc<str>,
    /// What it asks for; the same whether it simulates or blocks.
    pub effects: Effects,
    /// The process it aims at.
    pub pid: u32,
    /// What acted, or would have, the strongest first; empty where nothing here
    /// can do what the policy asks.
    pub mechanisms: Vec<Mechanism>,
    /// How the decision ended.
    pub outcome: Outcome,
}

/// How a decision ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Everything but the last step: block would have acted.
    Simulated,
    /// The action took effect.
    Acted {
        /// From the event in the kernel to the process's death (or the denial),
        /// nanoseconds; absent where the death was not seen.
        latency_ns: Datum<u64>,
        /// Whether the operation itself (the connection, the open) had been
        /// carried out by then.
        operation_completed: Datum<bool>,
    },
    /// A safety check held it back; block and simulate stop here alike.
    Withheld(Withheld),
    /// The action was taken and failed.
    Failed {
        /// errno of the failing call.
        errno: i32,
    },
}

/// Why an action was withheld.
#[derive(Debug, Clone, PartialEq)]
pub enum Withheld {
    /// The process is a member of the protected set.
    Protected {
        /// Which entry protects it, such as `pid 1` or `sshd`.
        entry: Arc<str>,
    },
    /// The process is outside the enforcement scope (`--enforce-in`).
    OutOfScope,
    /// The policy's budget is used up: it simulates from here on.
    BudgetExceeded,
    /// Somebody lifted every block (`picket disarm`).
    Disarmed,
    /// Nothing here can do what the policy asks.
    CannotEnforce,
    /// The process had already ended.
    ProcessGone,
    /// The event comes from a recording: there is nothing to act on.
    Replay,
}

impl Withheld {
    /// The word in findings.
    pub const fn name(&self) -> &'static str {
        match self {
            Withheld::Protected { .. } => "protected",
            Withheld::OutOfScope => "out_of_scope",
            Withheld::BudgetExceeded => "budget_exceeded",
            Withheld::Disarmed => "disarmed",
            Withheld::CannotEnforce => "cannot_enforce",
            Withheld::ProcessGone => "process_gone",
            Withheld::Replay => "replay",
        }
    }
}

/// What carries out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A hook refused the operation.
    KernelDeny,
    /// `bpf_send_signal` from a hook.
    KernelKill,
    /// `pidfd_send_signal(2)` from the sensor.
    PidfdKill,
}

impl Mechanism {
    /// The word in findings.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::KernelDeny => "kernel_deny",
            Mechanism::KernelKill => "kernel_kill",
            Mechanism::PidfdKill => "pidfd_kill",
        }
    }
}
