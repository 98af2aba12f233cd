//! What each rule in force costs, and which cost too much: all that the sensor
//! asks of the engine's counters stands here.

use picket_engine::{Program, RuleStats, Scratch};
use picket_model::rule::RuleInfo;
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashSet;
use std::sync::Arc;

/// Every how many events the rules are timed.
const EVERY: u64 = 16;
/// A rule that was timed less often is not judged: one interruption is no cost.
const LEAST_TIMED: u64 = 20;

/// What a rule may take of each event of its classes unless somebody says
/// otherwise, nanoseconds. At 10,000 such events a second it is one per cent of a
/// processor.
pub const RULE_BUDGET_NS: u64 = 1_000;

/// What one rule cost since the set in force was put in place.
#[derive(Debug, Clone)]
pub struct RuleCost {
    /// Which.
    pub rule: Arc<RuleInfo>,
    /// What was counted and sampled.
    pub stats: RuleStats,
    /// It takes more than a rule may.
    pub over_budget: bool,
}

/// Watches what rules cost.
#[derive(Debug)]
pub struct Costs {
    budget_ns: u64,
    /// Rules of the set in force that were told of.
    told: HashSet<Arc<str>>,
}

impl Costs {
    /// With what each rule may take of an event, nanoseconds.
    pub fn new(budget_ns: u64) -> Costs {
        Costs {
            budget_ns,
            told: HashSet::new(),
        }
    }

    /// What each rule may take of an event, nanoseconds.
    pub fn budget_ns(&self) -> u64 {
        self.budget_ns
    }

    /// Begins anew with a scratch that has just been made.
    pub fn start(&mut self, scratch: &mut Scratch) {
        scratch.set_clock(monotonic_ns, EVERY);
        self.told.clear();
    }

    /// Every rule, the dearest first.
    pub fn of(&self, program: &Program, scratch: &Scratch) -> Vec<RuleCost> {
        let stats = scratch.stats(program).into_iter();
        let mut costs: Vec<RuleCost> = stats
            .zip(program.rules())
            .map(|(stats, rule)| RuleCost {
                rule: rule.info.clone(),
                over_budget: self.is_over(&stats),
                stats,
            })
            .collect();
        let spent = |cost: &RuleCost| cost.stats.ns_per_event();
        costs.sort_by(|left, right| spent(right).total_cmp(&spent(left)));
        costs
    }

    /// Rules that have gone over the budget and were not told of yet.
    pub fn newly_over(&mut self, program: &Program, scratch: &Scratch) -> Vec<RuleCost> {
        let over = scratch.over_budget(program, self.budget_ns as f64);
        if over.is_empty() {
            return Vec::new();
        }
        let stats = scratch.stats(program);
        let mut new = Vec::new();
        for one in over {
            let (rule, stats) = (&program.rule(one.rule).info, stats[one.rule.index()]);
            if self.is_over(&stats) && self.told.insert(rule.id.as_str().into()) {
                new.push(RuleCost {
                    rule: rule.clone(),
                    stats,
                    over_budget: true,
                });
            }
        }
        new
    }

    fn is_over(&self, stats: &RuleStats) -> bool {
        stats.timed >= LEAST_TIMED && stats.ns_per_event() > self.budget_ns as f64
    }
}

fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let nanoseconds = time.tv_sec * 1_000_000_000 + time.tv_nsec;
    u64::try_from(nanoseconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_engine::Verdicts;
    use picket_lang::{Limits, Source, check};
    use picket_model::ocsf::event_from_json;
    use std::sync::atomic::{AtomicU64, Ordering};

    const RULES: &str = "rules:
  - {id: cheap, title: t, event: dns.query, severity: low, condition: 'query.hostname == \"nobody\"'}
  - {id: dear, title: t, event: dns.query, severity: low, condition: 'query.hostname matches \"[02468]$\"'}
";

    /// 1,000 ns pass between any two looks at it.
    fn clock() -> u64 {
        static NOW: AtomicU64 = AtomicU64::new(0);
        NOW.fetch_add(1_000, Ordering::Relaxed)
    }

    fn ask(program: &Program, scratch: &mut Scratch, events: u64) {
        let mut verdicts = Verdicts::default();
        for number in 0..events {
            let text = format!(
                r#"{{"class_uid":4003,"activity_id":1,"query":{{"hostname":"h{number}"}}}}"#
            );
            let event = event_from_json(text.as_bytes(), number).unwrap();
            program.evaluate(&event, scratch, &mut verdicts);
        }
    }

    fn names(costs: &[RuleCost]) -> Vec<&str> {
        costs.iter().map(|cost| &*cost.rule.id).collect()
    }

    #[test]
    fn a_dear_rule_is_told_of_once_for_each_set_and_not_by_one_unlucky_look() {
        let checked = check(&[Source::new("rules", RULES)], &Limits::default());
        let program = Program::compile(checked.rules);
        let mut costs = Costs::new(1);
        let mut scratch = program.scratch();
        costs.start(&mut scratch);
        scratch.set_clock(clock, 1);
        ask(&program, &mut scratch, LEAST_TIMED / 2);
        assert!(costs.newly_over(&program, &scratch).is_empty());
        ask(&program, &mut scratch, 4 * LEAST_TIMED);
        assert_eq!(names(&costs.newly_over(&program, &scratch)), ["dear"]);
        assert!(costs.newly_over(&program, &scratch).is_empty());
        let all = costs.of(&program, &scratch);
        assert_eq!(names(&all), ["dear", "cheap"]);
        assert!(all[0].over_budget && !all[1].over_budget);
        assert_eq!(all[1].stats.candidates, 0);

        // The next set begins anew.
        let mut scratch = program.scratch();
        costs.start(&mut scratch);
        scratch.set_clock(clock, 1);
        ask(&program, &mut scratch, 4 * LEAST_TIMED);
        assert_eq!(names(&costs.newly_over(&program, &scratch)), ["dear"]);
        let allowed = Costs::new(1_000_000);
        assert!(
            allowed
                .of(&program, &scratch)
                .iter()
                .all(|cost| !cost.over_budget)
        );
    }
}
