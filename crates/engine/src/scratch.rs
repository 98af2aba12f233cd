//! What evaluation keeps from event to event.

use crate::program::Program;
use crate::run::event::State;
use crate::stats::{Clock, OverBudget, RuleStats};
use crate::verdict::RuleIndex;

/// A thread's working memory: caches of what is known of texts, processes and
/// their ancestors, buffers, and counters. It may serve one program after
/// another; what it knew is forgotten when the program changes.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The program it belongs to; 0 for none.
    pub(crate) program: u64,
    pub(crate) state: State,
}

impl Scratch {
    /// Empty.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Times the rules in every `every`-th event with this clock.
    pub fn set_clock(&mut self, clock: Clock, every: u64) {
        self.state.counters.set_clock(clock, every);
    }

    /// What each rule cost since the scratch met the program, in rule order.
    pub fn stats(&self, program: &Program) -> Vec<RuleStats> {
        program
            .rules()
            .iter()
            .enumerate()
            .map(|(rule, checked)| {
                if self.program == program.id() {
                    self.state.counters.of(rule, &checked.classes)
                } else {
                    RuleStats::default()
                }
            })
            .collect()
    }

    /// The rules that take more than `budget_ns` nanoseconds of each event of
    /// their classes, dearest first. Empty as long as no event was timed.
    pub fn over_budget(&self, program: &Program, budget_ns: f64) -> Vec<OverBudget> {
        let mut over: Vec<OverBudget> = self
            .stats(program)
            .iter()
            .zip(0..)
            .map(|(stats, rule)| OverBudget {
                rule: RuleIndex(rule),
                ns_per_event: stats.ns_per_event(),
            })
            .filter(|rule| rule.ns_per_event > budget_ns)
            .collect();
        over.sort_by(|left, right| right.ns_per_event.total_cmp(&left.ns_per_event));
        over
    }
}
