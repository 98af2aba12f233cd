//! One event through the tables: candidates first, then their programs.

use crate::compile::normal::Source;
use crate::index::source::FilterForm;
use crate::run::chains::{Chain, Chains};
use crate::run::code::{ACCEPT, Outcome, Role, View, Work};
use crate::run::common::Common;
use crate::run::faces::Faces;
use crate::run::images::Images;
use crate::run::open::Open;
use crate::run::{ancestry, lanes};
use crate::stats::Counters;
use crate::tables::{EVENT, Posting, SourceTable, Tables};
use crate::truth::Truth;
use crate::verdict::{RuleIndex, Verdicts};
use picket_model::event::Value;
use picket_model::field::{Field, Subject};
use picket_model::{Datum, Event};

/// Everything that evaluation keeps and reuses.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub images: Images,
    pub faces: Faces,
    pub chains: Chains,
    pub work: Work,
    pub common: Common,
    pub counters: Counters,
    filter: FilterForm,
    /// The patterns that a value holds.
    pub hits: Vec<u32>,
    /// What a face leaves possible.
    pub by_face: Vec<Open>,
    /// What an image leaves possible.
    pub lane: Vec<Open>,
    /// By unit: the last pass that met it.
    stamps: Vec<u32>,
    stamp: u32,
    /// Rules to be decided for the event; one that is shared may stand there twice.
    pub open: Vec<Open>,
    /// What is being gathered for one line of ancestors.
    pub line: Vec<u32>,
}

impl State {
    /// Forgets another program's units.
    pub(crate) fn reset(&mut self, tables: &Tables) {
        self.images.clear();
        self.faces.clear();
        self.chains.clear();
        self.work.resize(tables.code.slots);
        self.stamps.clear();
        self.stamps.resize(tables.units.len(), 0);
        self.stamp = 0;
        self.counters.reset(tables.rule_count as usize);
    }

    /// Begins a pass in which no unit has been met.
    pub(crate) fn next_pass(&mut self) {
        if self.stamp == u32::MAX {
            self.stamps.fill(0);
            self.stamp = 0;
        }
        self.stamp += 1;
    }

    /// Whether the pass meets the unit for the first time.
    #[inline]
    pub(crate) fn meets(&mut self, unit: u32) -> bool {
        std::mem::replace(&mut self.stamps[unit as usize], self.stamp) != self.stamp
    }

    /// False only if something that many rules ask rules these bits out.
    #[inline]
    pub(crate) fn is_allowed(&mut self, tables: &Tables, asks: u32, view: &View<'_>) -> bool {
        asks == 0
            || self
                .common
                .allows(asks, &tables.common, &tables.code, view, &mut self.work)
    }

    /// Finds the patterns of a value, some perhaps twice; whether those that can prove
    /// their predicate do so.
    #[inline]
    pub(crate) fn look_up(&mut self, table: &SourceTable, value: Value<'_>) -> bool {
        /// More hits than this are those of a text that repeats what rules look for.
        const MANY: usize = 64;
        self.hits.clear();
        let proof = table.index.look_up(value, &mut self.filter, &mut self.hits);
        if self.hits.len() > MANY {
            self.unique_hits();
        }
        proof
    }

    fn unique_hits(&mut self) {
        self.hits.sort_unstable();
        self.hits.dedup();
    }

    /// The unit that a pattern found, unless the literal it is found by does not hold;
    /// `proven` if the pattern proves that it does.
    #[inline]
    pub(crate) fn found(
        &mut self,
        tables: &Tables,
        posting: &Posting,
        proven: bool,
        view: &View<'_>,
    ) -> Option<Open> {
        if proven {
            return Some(posting.open);
        }
        let instruction = &tables.code.instructions[posting.asks as usize];
        let timer = self.counters.begin(posting.open.unit);
        let truth = tables.code.truth(instruction, true, view, &mut self.work);
        self.counters.end(posting.open.unit, timer);
        match truth {
            Truth::False => None,
            Truth::Unknown => Some(tables.at_start(posting.open.unit)),
            Truth::True => Some(posting.open),
        }
    }

    /// Runs a part of a unit's program, taking unknown literals for true.
    #[inline]
    pub(crate) fn run(
        &mut self,
        tables: &Tables,
        open: Open,
        until: u32,
        view: &View<'_>,
    ) -> Outcome {
        let timer = self.counters.begin(open.unit);
        let outcome = tables
            .code
            .run(open.from, until, true, view, &mut self.work);
        self.counters.end(open.unit, timer);
        outcome
    }

    /// Adds a unit that is to be decided.
    #[inline]
    pub(crate) fn open(&mut self, open: Open, event: &Event) {
        if open.classes.contains(event.class) {
            self.open.push(open);
        }
    }
}

/// Finds the rules that the event matches or leaves undecided.
pub(crate) fn evaluate(tables: &Tables, event: &Event, state: &mut State, verdicts: &mut Verdicts) {
    verdicts.clear();
    state.work.folder.forget();
    state.work.presence.forget();
    state.common.forget();
    state.open.clear();
    state.counters.count_event(event.class);

    let lines = ancestry::gather(tables, event, state);
    state.work.next_epoch();
    let mut view = View {
        event,
        subjects: [
            event.subject(Subject::Process),
            event.subject(Subject::Parent),
            event.subject(Subject::Actor),
            Datum::Absent,
        ],
        ancestors: [Chain::EMPTY; 2],
    };
    for role in [Role::Process, Role::Parent, Role::Actor] {
        lanes::gather(tables, role, &view, state);
    }
    gather_event(tables, &view, state);
    if state.open.is_empty() && tables.any.iter().all(|any| any.found.is_empty()) {
        return;
    }
    // From here on no more is learned of ancestors.
    let chains = std::mem::take(&mut state.chains);
    view.ancestors = lines.chains(&chains);
    ancestry::gather_units(tables, &view, state);
    decide(tables, &view, state, verdicts);
    state.chains = chains;
}

/// Runs what is left of the programs of the rules that are still open.
fn decide(tables: &Tables, view: &View<'_>, state: &mut State, verdicts: &mut Verdicts) {
    state.next_pass();
    for at in 0..state.open.len() {
        let open = state.open[at];
        let allowed = state.is_allowed(tables, open.asks, view);
        if !allowed || open.is_shared() && !state.meets(open.unit) {
            continue;
        }
        state.counters.candidate(open.unit);
        let timer = state.counters.begin(open.unit);
        let work = &mut state.work;
        let outcome = tables.code.run(open.from, ACCEPT, true, view, work);
        if outcome.holds {
            let start = tables.units[open.unit as usize].start;
            let certain = !outcome.met_unknown && !open.met_unknown();
            if certain || tables.code.run(start, ACCEPT, false, view, work).holds {
                verdicts.matched.push(RuleIndex(open.unit));
                state.counters.matched(open.unit);
            } else {
                verdicts.undecided.push(RuleIndex(open.unit));
                state.counters.undecided(open.unit);
            }
        }
        state.counters.end(open.unit, timer);
    }
    verdicts.matched.sort_unstable();
    verdicts.undecided.sort_unstable();
}

/// Adds the units found by the event's own fields, and those that nothing finds.
fn gather_event(tables: &Tables, view: &View<'_>, state: &mut State) {
    let event = view.event;
    let class = event.class as usize;
    for &unit in &tables.always[class] {
        state.open(tables.at_start(unit), event);
    }
    for &source in &tables.event_sources[class] {
        let table = &tables.sources[source as usize];
        let value = match table.source {
            Source::Event(attr) => event.value(Field::Event(attr)),
            // A process attribute that is no part of the image.
            Source::Process(_) => continue,
        };
        match value {
            Datum::Absent => {}
            Datum::Unknown | Datum::Truncated(_) => {
                for &unit in &table.posted[EVENT] {
                    state.open(tables.at_start(unit), event);
                }
            }
            Datum::Known(value) => {
                let proof = state.look_up(table, value);
                if state.hits.len() > 1 {
                    state.unique_hits();
                }
                for at in 0..state.hits.len() {
                    let pattern = state.hits[at];
                    let proven = proof && table.proofs[pattern as usize];
                    for posting in table.postings(pattern, EVENT) {
                        if let Some(open) = state.found(tables, posting, proven, view) {
                            state.open(open, event);
                        }
                    }
                }
            }
        }
    }
}
