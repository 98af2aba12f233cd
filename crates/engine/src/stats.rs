//! What each rule costs: counted for every event, timed for some.

use crate::verdict::RuleIndex;
use picket_model::EventClass;

/// A clock: nanoseconds from any fixed point.
pub type Clock = fn() -> u64;

/// What one rule cost so far, in one scratch.
///
/// A rule costs something when its literals are found in a new command line, when a
/// new image has to be looked at for it, and when an event has to be decided; each
/// of these is a *run*. Tables that serve many rules at once are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleStats {
    /// Events it could have matched by their class.
    pub evaluations: u64,
    /// Times some of its program was run.
    pub runs: u64,
    /// Events in which its program had to be run to decide them: the others were
    /// ruled out by tables, by what was known of the process or the text, or by what
    /// many rules ask.
    pub candidates: u64,
    /// Events it matched.
    pub matches: u64,
    /// Events it left open.
    pub undecided: u64,
    /// Runs that were timed.
    pub timed: u64,
    /// What they took together, in nanoseconds.
    pub timed_ns: u64,
}

impl RuleStats {
    /// Estimated nanoseconds for each event of the rule's classes: what a run takes,
    /// times how often there is one. 0 as long as none was timed.
    pub fn ns_per_event(&self) -> f64 {
        if self.timed == 0 || self.evaluations == 0 {
            return 0.0;
        }
        let each = self.timed_ns as f64 / self.timed as f64;
        each * self.runs as f64 / self.evaluations as f64
    }

    /// What both cost together: for several scratches, or for the time before and
    /// after a reload.
    #[must_use]
    pub fn plus(self, other: RuleStats) -> RuleStats {
        RuleStats {
            evaluations: self.evaluations + other.evaluations,
            runs: self.runs + other.runs,
            candidates: self.candidates + other.candidates,
            matches: self.matches + other.matches,
            undecided: self.undecided + other.undecided,
            timed: self.timed + other.timed,
            timed_ns: self.timed_ns + other.timed_ns,
        }
    }
}

/// A rule whose cost is over the budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverBudget {
    /// Which.
    pub rule: RuleIndex,
    /// What it takes, nanoseconds per event of its classes.
    pub ns_per_event: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct RuleCount {
    runs: u64,
    candidates: u64,
    matches: u64,
    undecided: u64,
    timed: u64,
    timed_ns: u64,
}

/// The counters of one scratch.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    events: [u64; EventClass::ALL.len()],
    rules: Vec<RuleCount>,
    clock: Option<Clock>,
    /// Every how many events are timed.
    every: u64,
    until_next: u64,
    timing: bool,
}

impl Counters {
    pub(crate) fn reset(&mut self, rules: usize) {
        self.events = Default::default();
        self.rules.clear();
        self.rules.resize(rules, RuleCount::default());
    }

    pub(crate) fn set_clock(&mut self, clock: Clock, every: u64) {
        self.clock = Some(clock);
        self.every = every.max(1);
        self.until_next = self.every;
    }

    #[inline]
    pub(crate) fn count_event(&mut self, class: EventClass) {
        self.events[class as usize] += 1;
        if self.clock.is_some() {
            self.until_next -= 1;
            self.timing = self.until_next == 0;
            if self.timing {
                self.until_next = self.every;
            }
        }
    }

    /// Counts a run of a rule; units that are no rules are not counted.
    #[inline]
    pub(crate) fn begin(&mut self, rule: u32) -> u64 {
        if let Some(count) = self.rules.get_mut(rule as usize) {
            count.runs += 1;
        }
        match self.clock {
            Some(clock) if self.timing => clock(),
            _ => 0,
        }
    }

    /// Ends the run that began then.
    #[inline]
    pub(crate) fn end(&mut self, rule: u32, began: u64) {
        if let (true, Some(clock)) = (self.timing, self.clock) {
            if let Some(count) = self.rules.get_mut(rule as usize) {
                count.timed += 1;
                count.timed_ns += clock().saturating_sub(began);
            }
        }
    }

    #[inline]
    pub(crate) fn candidate(&mut self, rule: u32) {
        self.rules[rule as usize].candidates += 1;
    }

    #[inline]
    pub(crate) fn matched(&mut self, rule: u32) {
        self.rules[rule as usize].matches += 1;
    }

    #[inline]
    pub(crate) fn undecided(&mut self, rule: u32) {
        self.rules[rule as usize].undecided += 1;
    }

    pub(crate) fn of(&self, rule: usize, classes: &[EventClass]) -> RuleStats {
        let count = self.rules.get(rule).copied().unwrap_or_default();
        RuleStats {
            evaluations: classes
                .iter()
                .map(|&class| self.events[class as usize])
                .sum(),
            runs: count.runs,
            candidates: count.candidates,
            matches: count.matches,
            undecided: count.undecided,
            timed: count.timed,
            timed_ns: count.timed_ns,
        }
    }
}
