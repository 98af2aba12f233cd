//! The stages in order: one record in, findings out.

use crate::costs::{Costs, RuleCost};
use crate::enforce::{Decided, KernelSet};
use crate::hold::{self, Held, Hold};
use crate::loader::RuleSet;
use crate::process::{Assembled, Assembler, OutcomeKey};
use crate::recent::Recent;
use crate::response::{Case, Responder};
use crate::stats::Stats;
use picket_engine::{Scratch, Verdicts};
use picket_model::Event;
use picket_model::event::Status;
use picket_model::finding::Finding;
use picket_model::record::{Record, Verdict};
use picket_model::rule::RuleInfo;
use std::sync::Arc;

/// What leaves the pipeline.
#[derive(Debug)]
pub enum Emitted {
    /// An event, where a recording wants them all.
    Event(Arc<Event>),
    /// A match.
    Finding(Box<Finding>),
    /// Something a person should know at once.
    Notice(String),
}

/// Takes what leaves the pipeline. It must not wait: events come on meanwhile.
pub trait Sink {
    /// Takes one; false if it had no room, which is counted.
    fn emit(&mut self, emitted: Emitted) -> bool;
}

impl<F: FnMut(Emitted) -> bool> Sink for F {
    fn emit(&mut self, emitted: Emitted) -> bool {
        self(emitted)
    }
}

/// The pipeline of one sensor.
pub struct Pipeline<S> {
    assembler: Assembler,
    rules: RuleSet,
    /// What verdicts that are still in the ring were made with.
    before: Option<Arc<KernelSet>>,
    scratch: Scratch,
    verdicts: Verdicts,
    responder: Responder,
    hold: Hold,
    released: Vec<Held>,
    sink: S,
    wants_events: bool,
    /// None in a replay: nobody waits for it, and it must come out the same.
    costs: Option<Costs>,
    recent: Recent,
    /// What it has seen and done.
    pub stats: Stats,
}

impl<S: Sink> Pipeline<S> {
    /// With its parts. `wants_events` also emits every event, matched or not.
    pub fn new(
        assembler: Assembler,
        rules: RuleSet,
        responder: Responder,
        sink: S,
        wants_events: bool,
    ) -> Pipeline<S> {
        Pipeline {
            scratch: rules.program.scratch(),
            assembler,
            rules,
            before: None,
            verdicts: Verdicts::default(),
            responder,
            hold: Hold::new(hold::Limits::default()),
            released: Vec::new(),
            sink,
            wants_events,
            costs: None,
            recent: Recent::default(),
            stats: Stats::default(),
        }
    }

    /// Watches what rules cost from now on.
    pub fn watch_costs(&mut self, mut costs: Costs) {
        costs.start(&mut self.scratch);
        self.costs = Some(costs);
    }

    /// What each rule cost, the dearest first, and what each may take of an event,
    /// in nanoseconds; none if that is not watched.
    pub fn costs(&self) -> Option<(Vec<RuleCost>, u64)> {
        let costs = self.costs.as_ref()?;
        let rules = costs.of(&self.rules.program, &self.scratch);
        Some((rules, costs.budget_ns()))
    }

    /// A few of the last events, to compile the next set by; they are given away.
    pub fn sample(&mut self) -> Vec<Event> {
        self.recent.take()
    }

    /// Puts a new set in place, between two records.
    pub fn replace(&mut self, rules: RuleSet) {
        self.responder.arm(&rules.policies);
        self.assembler.refresh_users();
        self.scratch = rules.program.scratch();
        if let Some(costs) = &mut self.costs {
            costs.start(&mut self.scratch);
        }
        let before = std::mem::replace(&mut self.rules, rules);
        self.before = before.kernel.or(self.before.take());
        self.stats.reloads += 1;
    }

    /// The set in force.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The stage that answers matches.
    pub fn responder(&self) -> &Responder {
        &self.responder
    }

    /// The stage that keeps the process table.
    pub fn assembler(&mut self) -> &mut Assembler {
        &mut self.assembler
    }

    /// Where its output goes.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Takes one record through all stages.
    pub fn record(&mut self, record: Record) {
        let mut record = record;
        let verdict = record.verdict.take();
        let (boot_ns, in_scope) = (record.boot_ns, record.task.in_scope);
        match self.assembler.take(record) {
            Assembled::Event { event, outcome } => {
                self.judge(event, outcome, in_scope, boot_ns, verdict.as_deref());
            }
            Assembled::Outcome(key, status) => self.outcome(key, status),
            Assembled::Exit(key) => {
                self.hold.death(key, boot_ns, &mut self.released);
                self.release();
            }
            Assembled::Internal => {}
        }
    }

    /// Takes an event that came from outside as it is.
    pub fn event(&mut self, event: Event) {
        let boot_ns = u64::try_from(event.time_ns).unwrap_or(0);
        self.judge(event, None, true, boot_ns, None);
    }

    /// Lets go what waited long enough. Call it now and then, also when no
    /// record comes.
    pub fn tick(&mut self, boot_ns: u64) {
        if !self.hold.is_empty() {
            self.hold.expire(boot_ns, &mut self.released);
            self.release();
        }
        self.stats.evicted_processes = self.assembler.table().evicted();
    }

    /// Tells of rules that have begun to cost too much. Call it now and then.
    pub fn look_at_costs(&mut self) {
        let Some(costs) = &mut self.costs else {
            return;
        };
        for cost in costs.newly_over(&self.rules.program, &self.scratch) {
            let text = format!(
                "rule {} takes {:.0} ns of each event of its classes, more than the {} ns that a rule may \
                 (picket stats tells what each rule costs; picket rules check tells what makes one dear)",
                cost.rule.id,
                cost.stats.ns_per_event(),
                costs.budget_ns(),
            );
            self.sink.emit(Emitted::Notice(text));
        }
    }

    /// Whether something waits for its outcome: call [`Pipeline::tick`] soon.
    pub fn is_holding(&self) -> bool {
        !self.hold.is_empty()
    }

    /// Lets everything go, at the end.
    pub fn finish(&mut self) {
        let rest: Vec<Held> = self.hold.drain().collect();
        self.released.extend(rest);
        self.release();
    }

    fn judge(
        &mut self,
        event: Event,
        outcome: Option<OutcomeKey>,
        in_scope: bool,
        boot_ns: u64,
        verdict: Option<&Verdict>,
    ) {
        self.stats.event(event.class);
        self.rules
            .program
            .evaluate(&event, &mut self.scratch, &mut self.verdicts);
        let undecided = !self.verdicts.undecided.is_empty();
        let kernel = self.decided(verdict, &event);
        let nothing = self.verdicts.matched.is_empty()
            && kernel.decisions.is_empty()
            && self.rules.listed(&event).is_none();
        if nothing && !undecided && !self.wants_events {
            // A replay compiles nothing anew.
            if self.costs.is_some() {
                self.recent.offer(event);
            }
            return;
        }
        self.count_undecided();
        let mut held = Held {
            event: Arc::new(event),
            wanted: self.wants_events,
            findings: Vec::new(),
            found: Vec::new(),
            undecided,
            outcome,
            killed: None,
            in_scope,
            boot_ns,
        };
        self.respond(&mut held, kernel);
        let waits = held.killed.is_some()
            || (held.outcome.is_some()
                && (held.undecided || held.wanted || !held.findings.is_empty()));
        if waits {
            self.released.extend(self.hold.push(held));
        } else {
            self.released.push(held);
        }
        self.release();
    }

    /// An outcome arrived: rules that could not decide without it are asked again.
    fn outcome(&mut self, key: OutcomeKey, status: Status) {
        let Some(mut held) = self.hold.outcome(key, status) else {
            return;
        };
        if held.undecided {
            self.rules
                .program
                .evaluate(&held.event, &mut self.scratch, &mut self.verdicts);
            held.undecided = false;
            self.respond(&mut held, Decided::default());
        }
        if held.killed.is_some() {
            self.released.extend(self.hold.push(held));
        } else {
            self.released.push(held);
        }
        self.release();
    }

    /// What the kernel decided, by the tables that it had then.
    fn decided(&mut self, verdict: Option<&Verdict>, event: &Event) -> Decided {
        let Some(verdict) = verdict.filter(|verdict| verdict.triggered != 0) else {
            return Decided::default();
        };
        let sets = [self.rules.kernel.as_ref(), self.before.as_ref()];
        let mut sets = sets.into_iter().flatten();
        match sets.find(|set| set.version == verdict.tables) {
            Some(set) => Decided::new(verdict, set, event),
            // A run before, with other rules.
            None => {
                let notice = Decided::by_others(verdict, event);
                self.sink.emit(Emitted::Notice(notice));
                Decided {
                    settled: true,
                    ..Decided::default()
                }
            }
        }
    }

    /// Findings for the rules that matched and are not yet found, with the
    /// policies' decisions.
    fn respond(&mut self, held: &mut Held, kernel: Decided) {
        let mut new: Vec<Arc<RuleInfo>> = self
            .verdicts
            .matched
            .iter()
            .map(|&rule| &self.rules.program.rule(rule).info)
            .chain(self.rules.listed(&held.event))
            .filter(|info| !held.found(info))
            .cloned()
            .collect();
        // Of rules that were replaced meanwhile.
        for rule in &kernel.rules {
            if !new.iter().any(|own| own.id == rule.id) {
                new.push(rule.clone());
            }
        }
        if new.is_empty() {
            return;
        }
        let case = Case {
            event: &held.event,
            in_scope: held.in_scope,
            boot_ns: held.boot_ns,
        };
        let responses = self.responder.respond(&new, case, kernel);
        self.stats.decided(responses.decisions());
        self.tell_used_up(&responses.tripped);
        if let Some(killed) = responses.killed {
            self.stats.kills += 1;
            held.killed = Some(killed);
        }
        for rule in new {
            Stats::rule(&mut self.stats.matches, &rule.id);
            let decisions = self.responder.decisions_for(&rule, &responses);
            held.found.push(rule.clone());
            held.findings.push(Finding {
                rule,
                event: held.event.clone(),
                decisions,
            });
        }
    }

    /// Tells of budgets that are used up although no event said so. Call it now and
    /// then.
    pub fn look_at_budgets(&mut self, boot_ns: u64) {
        let used_up = self.responder.newly_used_up(boot_ns / 1_000_000);
        self.tell_used_up(&used_up);
    }

    fn tell_used_up(&mut self, policies: &[Arc<str>]) {
        for policy in policies {
            let text = format!(
                "policy {policy} has used up its budget: it simulates from here on, until its pause \
                 is over or somebody arms it again (picket arm {policy})"
            );
            self.sink.emit(Emitted::Notice(text));
        }
    }

    fn count_undecided(&mut self) {
        for &rule in &self.verdicts.undecided {
            let id = &self.rules.program.rule(rule).info.id;
            Stats::rule(&mut self.stats.undecided, id);
        }
    }

    fn release(&mut self) {
        for held in self.released.drain(..) {
            if held.wanted {
                let taken = self.sink.emit(Emitted::Event(held.event));
                self.stats.lost_findings += u64::from(!taken);
            }
            for finding in held.findings {
                if finding.rule.outputs.finding || finding.rule.outputs.issue {
                    let taken = self.sink.emit(Emitted::Finding(Box::new(finding)));
                    self.stats.lost_findings += u64::from(!taken);
                }
            }
        }
    }
}
