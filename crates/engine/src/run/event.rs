//! One event through the tables: candidates first, then their programs.

use crate::index::source::FilterForm;
use crate::run::chains::{Chain, Chains, UNKNOWN};
use crate::run::code::{Role, View, Work};
use crate::run::images::Images;
use crate::run::memo::{self, Place, TextMemo};
use crate::stats::Counters;
use crate::tables::{EVENT, SourceTable, Tables};
use crate::verdict::{RuleIndex, Verdicts};
use picket_model::event::{Detail, Value, process_value};
use picket_model::field::{Field, ProcessList};
use picket_model::process::{Parent, Process};
use picket_model::{Datum, Event};
use std::sync::Arc;

use crate::compile::normal::Source;

/// Marks a unit of a lane for which an unknown value was taken for true.
pub(crate) const MET_UNKNOWN: u32 = 1 << 31;

/// Marks a unit of a lane whose tests of the text it was found by are still to
/// be run.
const TEXT_LATER: u32 = 1 << 30;
/// What is left of a marked unit.
const UNIT: u32 = TEXT_LATER - 1;

/// When a unit's tests of the text it was found by are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// They have been.
    Passed,
    Now,
    /// After everything else: the text is long.
    Later,
}

/// Everything that evaluation keeps and reuses.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub images: Images,
    pub memo: TextMemo,
    pub chains: Chains,
    pub work: Work,
    pub counters: Counters,
    filter: FilterForm,
    hits: Vec<u32>,
    /// The lane that is being built.
    lane: Vec<u32>,
    /// By unit: the last pass that met it.
    stamps: Vec<u32>,
    stamp: u32,
    /// Units to be decided for the event, with [`MET_UNKNOWN`]; what their lanes
    /// have tested is not tested again.
    from_lanes: Vec<u32>,
    /// Units to be decided from their beginning.
    from_start: Vec<u32>,
    /// By list.
    ancestors: [Vec<u32>; 2],
    /// What is being gathered for one line of ancestors.
    line: Vec<u32>,
}

impl State {
    /// Forgets another program's units.
    pub(crate) fn reset(&mut self, tables: &Tables) {
        self.images.clear();
        self.memo.clear();
        self.chains.clear();
        self.work.resize(tables.code.slots);
        self.stamps.clear();
        self.stamps.resize(tables.units.len(), 0);
        self.stamp = 0;
        self.counters.reset(tables.rule_count as usize);
    }

    /// A stamp that no unit bears.
    fn next_stamp(&mut self) -> u32 {
        if self.stamp == u32::MAX {
            self.stamps.fill(0);
            self.stamp = 0;
        }
        self.stamp += 1;
        self.stamp
    }
}

/// Finds the rules that the event matches or leaves undecided.
pub(crate) fn evaluate(tables: &Tables, event: &Event, state: &mut State, verdicts: &mut Verdicts) {
    verdicts.clear();
    state.work.folder.forget();
    state.work.presence.forget();
    state.from_lanes.clear();
    state.from_start.clear();
    state.counters.count_event(event.class);

    let cut = gather_ancestors(tables, event, state);
    state.work.next_epoch();
    let subjects = [
        event.subject(picket_model::field::Subject::Process),
        event.subject(picket_model::field::Subject::Parent),
        event.subject(picket_model::field::Subject::Actor),
        Datum::Absent,
    ];
    let mut view = View {
        event,
        subjects,
        ancestors: [Chain::EMPTY; 2],
    };
    for role in [Role::Process, Role::Parent, Role::Actor] {
        gather_role(tables, role, &view, state);
    }
    gather_event(tables, event, state);
    gather_any(tables, event, cut, state);

    let stamp = state.next_stamp();
    let State {
        work,
        counters,
        stamps,
        from_lanes,
        from_start,
        ancestors,
        ..
    } = state;
    for list in 0..2 {
        view.ancestors[list] = Chain {
            bodies: &ancestors[list],
            cut: cut[list],
        };
    }
    let mut decide = |marked: u32, in_lane: bool| {
        let id = marked & UNIT;
        let unit = &tables.units[id as usize];
        if !unit.classes.contains(event.class) {
            return;
        }
        if unit.shared && std::mem::replace(&mut stamps[id as usize], stamp) == stamp {
            return;
        }
        let timer = counters.begin(id);
        let start = if in_lane { unit.image_end } else { unit.start };
        let mut outcome = tables.code.run(start, unit.end, true, &view, work);
        if outcome.holds && marked & TEXT_LATER != 0 {
            let text = tables
                .code
                .run(unit.start, unit.text_end, true, &view, work);
            outcome.holds = text.holds;
            outcome.met_unknown |= text.met_unknown;
        }
        if outcome.holds {
            let certain = !outcome.met_unknown && marked & MET_UNKNOWN == 0;
            if certain
                || tables
                    .code
                    .run(unit.start, unit.end, false, &view, work)
                    .holds
            {
                verdicts.matched.push(RuleIndex(id));
                counters.matched(id);
            } else {
                verdicts.undecided.push(RuleIndex(id));
                counters.undecided(id);
            }
        }
        counters.end(id, timer);
    };
    from_lanes.iter().for_each(|&unit| decide(unit, true));
    from_start.iter().for_each(|&unit| decide(unit, false));
    verdicts.matched.sort_unstable();
    verdicts.undecided.sort_unstable();
}

/// Adds the units that the process in this role leaves possible.
fn gather_role(tables: &Tables, role: Role, view: &View<'_>, state: &mut State) {
    let lane = &tables.lanes[role as usize];
    if lane.is_empty() {
        return;
    }
    match view.subjects[role as usize] {
        // Positive literals on an absent process are false; negative ones stand.
        Datum::Absent => state.from_start.extend_from_slice(&lane.always),
        Datum::Unknown => {
            state.from_start.extend_from_slice(&lane.always);
            state.from_start.extend_from_slice(&lane.posted);
        }
        Datum::Known(process) | Datum::Truncated(process) => {
            if role == Role::Process {
                // A new image: it will come again in other roles, but hardly in this.
                build_lane(tables, role, process, view, state);
                state.from_lanes.extend_from_slice(&state.lane);
                return;
            }
            let slot = fill_lane(tables, role, process, view, state);
            if let Some(units) = state.images.units(slot, role as usize) {
                state.from_lanes.extend_from_slice(units);
            }
        }
    }
}

/// Makes sure that the image's units in this role are known; its slot.
fn fill_lane(
    tables: &Tables,
    role: Role,
    process: &Process,
    view: &View<'_>,
    state: &mut State,
) -> usize {
    let slot = state.images.find(&process.image);
    if state.images.units(slot, role as usize).is_some() {
        return slot;
    }
    build_lane(tables, role, process, view, state);
    state.images.fill(slot, role as usize, &state.lane);
    slot
}

/// Finds the units that the image leaves possible in this role.
fn build_lane(tables: &Tables, role: Role, process: &Process, view: &View<'_>, state: &mut State) {
    let stamp = state.next_stamp();
    state.lane.clear();
    let lane = &tables.lanes[role as usize];
    for &source in &lane.sources {
        let table = &tables.sources[source as usize];
        let Source::Process(attr) = table.source else {
            continue;
        };
        match process_value(process, attr) {
            Datum::Absent => {}
            Datum::Unknown | Datum::Truncated(_) => {
                for &unit in &table.posted[role as usize] {
                    keep(tables, unit, Text::Now, stamp, view, state);
                }
            }
            Datum::Known(Value::Str(text))
                if text.len() <= memo::LONGEST && table.index.is_dear(text.len()) =>
            {
                let kind = (u32::from(source) + 1) << 2 | role as u32;
                let at = match state.memo.find(kind, text) {
                    Place::Found(at) => at,
                    Place::Free(at) => {
                        look_up(table, Value::Str(text), state);
                        remember_text(tables, table, role, at, view, state);
                        at
                    }
                };
                for n in 0..state.memo.units(at).len() {
                    let unit = state.memo.units(at)[n];
                    keep(tables, unit, Text::Passed, stamp, view, state);
                }
            }
            Datum::Known(value) => {
                look_up(table, value, state);
                let text = match value {
                    // Only a lane that is not kept may leave tests for later.
                    Value::Str(text) if role == Role::Process && text.len() > memo::LONGEST => {
                        Text::Later
                    }
                    _ => Text::Now,
                };
                for n in 0..state.hits.len() {
                    for unit in table.units(state.hits[n], role as usize) {
                        keep(tables, unit, text, stamp, view, state);
                    }
                }
            }
        }
    }
    for &unit in &lane.always {
        keep(tables, unit, Text::Now, stamp, view, state);
    }
}

/// Finds the patterns of a value, each once.
#[inline]
fn look_up(table: &SourceTable, value: Value<'_>, state: &mut State) {
    state.hits.clear();
    table
        .index
        .look_up(value, &mut state.filter, &mut state.hits);
    if state.hits.len() > 1 {
        state.hits.sort_unstable();
        state.hits.dedup();
    }
}

/// Keeps with a text the units that pass what they ask of this text alone.
fn remember_text(
    tables: &Tables,
    table: &SourceTable,
    role: Role,
    at: usize,
    view: &View<'_>,
    state: &mut State,
) {
    for n in 0..state.hits.len() {
        for id in table.units(state.hits[n], role as usize) {
            let unit = &tables.units[id as usize];
            let outcome = tables
                .code
                .run(unit.start, unit.text_end, true, view, &mut state.work);
            if outcome.holds {
                state.memo.add(at, id);
            }
        }
    }
}

/// Adds a unit to the lane if it passes what it asks of this image.
#[inline]
fn keep(tables: &Tables, id: u32, text: Text, stamp: u32, view: &View<'_>, state: &mut State) {
    if std::mem::replace(&mut state.stamps[id as usize], stamp) == stamp {
        return;
    }
    let unit = &tables.units[id as usize];
    // Of a long text the cheaper tests are asked first.
    let image = tables
        .code
        .run(unit.text_end, unit.image_end, true, view, &mut state.work);
    if !image.holds {
        return;
    }
    let mut met_unknown = image.met_unknown;
    let mut mark = 0;
    match text {
        Text::Passed => {}
        Text::Later if unit.start != unit.text_end => mark = TEXT_LATER,
        Text::Now | Text::Later => {
            let own = tables
                .code
                .run(unit.start, unit.text_end, true, view, &mut state.work);
            if !own.holds {
                return;
            }
            met_unknown |= own.met_unknown;
        }
    }
    if met_unknown {
        mark |= MET_UNKNOWN;
    }
    state.lane.push(id | mark);
}

/// Adds the units found by the event's own fields, and those that nothing finds.
fn gather_event(tables: &Tables, event: &Event, state: &mut State) {
    let class = event.class as usize;
    state.from_start.extend_from_slice(&tables.always[class]);
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
                state.from_start.extend_from_slice(&table.posted[EVENT]);
            }
            Datum::Known(value) => {
                look_up(table, value, state);
                for &hit in &state.hits {
                    state.from_start.extend(table.units(hit, EVENT));
                }
            }
        }
    }
}

/// Adds the units found by what their process's ancestors fulfil.
fn gather_any(tables: &Tables, event: &Event, cut: [bool; 2], state: &mut State) {
    for (list, any) in tables.any.iter().enumerate() {
        if !any.used_in.contains(event.class) {
            continue;
        }
        if cut[list] {
            state.from_start.extend_from_slice(&any.posted);
            continue;
        }
        for &body in &state.ancestors[list] {
            state
                .from_start
                .extend_from_slice(any.units(body & !UNKNOWN));
        }
    }
}

/// Looks up what the event's lines of ancestors say; whether each is cut.
fn gather_ancestors(tables: &Tables, event: &Event, state: &mut State) -> [bool; 2] {
    let mut cut = [false; 2];
    for list in ProcessList::ALL {
        let number = list as usize;
        state.ancestors[number].clear();
        if !tables.any[number].used_in.contains(event.class) {
            continue;
        }
        let process = match (list, &event.detail) {
            (ProcessList::ProcessAncestors, Detail::Exec(exec)) => Some(&*exec.process),
            _ => event.actor.process.value().map(|process| &**process),
        };
        cut[number] = match process.map(|process| &process.parent) {
            None => matches!(event.actor.process, Datum::Unknown),
            Some(Parent::None) => false,
            Some(Parent::Unknown) => true,
            Some(Parent::Known(first)) => {
                let slot = match state.chains.find(first) {
                    Some(slot) => slot,
                    None => walk(tables, event, first, state),
                };
                let chain = state.chains.get(slot);
                state.ancestors[number].extend_from_slice(chain.bodies);
                chain.cut
            }
        };
    }
    cut
}

/// Gathers what a line of ancestors says, up to one that is known already.
fn walk(tables: &Tables, event: &Event, first: &Arc<Process>, state: &mut State) -> usize {
    let mut line = std::mem::take(&mut state.line);
    line.clear();
    let mut process = first;
    let cut = loop {
        element(tables, event, process, &mut line, state);
        match &process.parent {
            Parent::None => break false,
            Parent::Unknown => break true,
            Parent::Known(next) => {
                if let Some(slot) = state.chains.find(next) {
                    let chain = state.chains.get(slot);
                    line.extend_from_slice(chain.bodies);
                    break chain.cut;
                }
                process = next;
            }
        }
    };
    // Of equal bodies the one that is true comes first and stays.
    line.sort_unstable_by_key(|marked| (marked & !UNKNOWN, marked & UNKNOWN));
    line.dedup_by_key(|marked| *marked & !UNKNOWN);
    let slot = state.chains.insert(first, &line, cut);
    state.line = line;
    slot
}

/// Adds the bodies that one process fulfils, or may.
fn element(
    tables: &Tables,
    event: &Event,
    process: &Process,
    line: &mut Vec<u32>,
    state: &mut State,
) {
    state.work.next_epoch();
    let mut subjects = [Datum::Absent; 4];
    subjects[Role::Element as usize] = Datum::Known(process);
    let view = View {
        event,
        subjects,
        ancestors: [Chain::EMPTY; 2],
    };
    let slot = fill_lane(tables, Role::Element, process, &view, state);
    let Some(units) = state.images.units(slot, Role::Element as usize) else {
        return;
    };
    for &marked in units {
        let id = marked & UNIT;
        let unit = &tables.units[id as usize];
        let outcome = tables
            .code
            .run(unit.image_end, unit.end, true, &view, &mut state.work);
        if !outcome.holds {
            continue;
        }
        let certain = !outcome.met_unknown && marked & MET_UNKNOWN == 0;
        let body = id - tables.rule_count;
        if certain
            || tables
                .code
                .run(unit.start, unit.end, false, &view, &mut state.work)
                .holds
        {
            line.push(body);
        } else {
            line.push(body | UNKNOWN);
        }
    }
}
