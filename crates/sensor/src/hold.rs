//! Events that wait for what is still to be known of them.
//!
//! A connection is judged when it is attempted and its outcome comes later; a
//! kill is done at once and its death comes later. What was found is held for a
//! moment so that the finding tells the end too; rules that could not decide
//! without the outcome are asked again when it is there.

use crate::process::OutcomeKey;
use picket_model::datum::Datum;
use picket_model::event::{Detail, Event, Status};
use picket_model::finding::{Finding, Outcome};
use picket_model::process::ProcessKey;
use picket_model::rule::RuleInfo;
use std::collections::VecDeque;
use std::sync::Arc;

/// The hold's bounds, nanoseconds of boot time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a finding waits for its outcome before it goes out without.
    pub finding_ns: u64,
    /// How long undecided rules wait: TCP gives up after about 127 s
    /// (tcp_syn_retries 6).
    pub undecided_ns: u64,
    /// Events held at once; beyond that the oldest goes out as it is.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            finding_ns: 50_000_000,
            undecided_ns: 130_000_000_000,
            events: 4_096,
        }
    }
}

/// One waiting event.
#[derive(Debug)]
pub struct Held {
    /// The event as known so far.
    pub event: Arc<Event>,
    /// It is itself wanted (a recording), beside its findings.
    pub wanted: bool,
    /// What was found and not yet let go.
    pub findings: Vec<Finding>,
    /// The rules that matched so far, also those whose findings are gone out.
    pub found: Vec<Arc<RuleInfo>>,
    /// Whether some rule could not decide.
    pub undecided: bool,
    /// The outcome it waits for.
    pub outcome: Option<OutcomeKey>,
    /// The death it waits for.
    pub killed: Option<ProcessKey>,
    /// Whether its process is in the enforcement scope.
    pub in_scope: bool,
    /// When it happened, boot time.
    pub boot_ns: u64,
}

impl Held {
    fn is_settled(&self) -> bool {
        self.outcome.is_none() && self.killed.is_none()
    }

    fn gives_output(&self) -> bool {
        self.wanted || !self.findings.is_empty()
    }

    /// Whether that rule already matched it.
    pub fn found(&self, rule: &RuleInfo) -> bool {
        self.found.iter().any(|found| found.id == rule.id)
    }
}

/// Everything that waits, oldest first.
#[derive(Debug)]
pub struct Hold {
    waiting: VecDeque<Held>,
    limits: Limits,
}

impl Hold {
    /// Nothing waits.
    pub fn new(limits: Limits) -> Hold {
        Hold {
            waiting: VecDeque::new(),
            limits,
        }
    }

    /// Lets the event wait; gives back one that has to go for it.
    pub fn push(&mut self, held: Held) -> Option<Held> {
        self.waiting.push_back(held);
        if self.waiting.len() > self.limits.events {
            self.waiting.pop_front()
        } else {
            None
        }
    }

    /// The event whose outcome this is, now with it.
    pub fn outcome(&mut self, key: OutcomeKey, status: Status) -> Option<Held> {
        let at = self
            .waiting
            .iter()
            .position(|held| held.outcome == Some(key))?;
        let mut held = self.waiting.remove(at)?;
        held.outcome = None;
        set_status(Arc::make_mut(&mut held.event), status);
        let event = &held.event;
        for finding in &mut held.findings {
            finding.event = event.clone();
            let completed = crate::response::operation_completed(event);
            for decision in &mut finding.decisions {
                if let Outcome::Acted {
                    operation_completed,
                    ..
                } = &mut decision.outcome
                {
                    *operation_completed = completed;
                }
            }
        }
        Some(held)
    }

    /// Notes a death; gives back events that waited for nothing else.
    pub fn death(&mut self, key: ProcessKey, boot_ns: u64, out: &mut Vec<Held>) {
        let mut at = 0;
        while at < self.waiting.len() {
            let held = &mut self.waiting[at];
            if held.killed == Some(key) {
                held.killed = None;
                let latency = boot_ns.saturating_sub(held.boot_ns);
                for decision in held
                    .findings
                    .iter_mut()
                    .flat_map(|finding| &mut finding.decisions)
                {
                    if let Outcome::Acted { latency_ns, .. } = &mut decision.outcome {
                        *latency_ns = Datum::Known(latency);
                    }
                }
                if held.is_settled() {
                    out.extend(self.waiting.remove(at));
                    continue;
                }
            }
            at += 1;
        }
    }

    /// Gives back what has waited long enough. Findings go first; an undecided
    /// event without any stays for its longer term.
    pub fn expire(&mut self, boot_ns: u64, out: &mut Vec<Held>) {
        let mut at = 0;
        while at < self.waiting.len() {
            let held = &mut self.waiting[at];
            let age = boot_ns.saturating_sub(held.boot_ns);
            if age < self.limits.finding_ns {
                // Ordered by time: nothing behind it is older.
                break;
            }
            if held.undecided && held.outcome.is_some() && age < self.limits.undecided_ns {
                if held.gives_output() {
                    let rest = Held {
                        event: held.event.clone(),
                        wanted: false,
                        findings: Vec::new(),
                        found: std::mem::take(&mut held.found),
                        killed: None,
                        ..*held
                    };
                    out.push(std::mem::replace(held, rest));
                }
                at += 1;
                continue;
            }
            out.extend(self.waiting.remove(at));
        }
    }

    /// Gives back everything, at the end.
    pub fn drain(&mut self) -> impl Iterator<Item = Held> + '_ {
        self.waiting.drain(..)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn set_status(event: &mut Event, status: Status) {
    match &mut event.detail {
        Detail::Network(network) => network.status = Datum::Known(status),
        Detail::File(file) => file.status = Datum::Known(status),
        Detail::Exec(_) | Detail::Dns(_) => {}
    }
}

#[cfg(test)]
mod tests;
