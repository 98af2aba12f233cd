//! What an event's lines of ancestors say of the bodies of `any LIST (…)`.

use crate::run::chains::{Chain, Chains, UNKNOWN};
use crate::run::code::{ACCEPT, Role, View};
use crate::run::event::State;
use crate::run::lanes::Seeker;
use crate::tables::Tables;
use crate::truth::Truth;
use picket_model::event::Detail;
use picket_model::field::ProcessList;
use picket_model::process::{Parent, Process};
use picket_model::{Datum, Event};
use std::sync::Arc;

/// So many processes of a line that is new are kept at once.
const KEPT_AT_ONCE: usize = 16;

/// What an event's lines of ancestors are known by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lines([Line; 2]);

#[derive(Debug, Clone, Copy, Default)]
enum Line {
    /// No rule asks for it, or there is none.
    #[default]
    None,
    /// Nothing is known of it.
    Unknown,
    /// It stands in this slot.
    Kept(usize),
}

impl Lines {
    /// What they say, by list.
    #[inline]
    pub(crate) fn chains(self, chains: &Chains) -> [Chain<'_>; 2] {
        self.0.map(|line| match line {
            Line::None => Chain::EMPTY,
            Line::Unknown => Chain::UNKNOWN,
            Line::Kept(slot) => chains.get(slot),
        })
    }
}

/// Makes sure that what the event's lines of ancestors say is known.
pub(crate) fn gather(tables: &Tables, event: &Event, state: &mut State) -> Lines {
    let mut lines = Lines::default();
    for list in ProcessList::ALL {
        if !tables.any[list as usize].used_in.contains(event.class) {
            continue;
        }
        let process = match (list, &event.detail) {
            (ProcessList::ProcessAncestors, Detail::Exec(exec)) => Some(&*exec.process),
            _ => event.actor.process.value().map(|process| &**process),
        };
        // What the first list's line says must stay until the event is done.
        let in_use = match lines.0[0] {
            Line::Kept(slot) => Some(slot),
            _ => None,
        };
        lines.0[list as usize] = match process.map(|process| &process.parent) {
            None if matches!(event.actor.process, Datum::Unknown) => Line::Unknown,
            None | Some(Parent::None) => Line::None,
            Some(Parent::Unknown) => Line::Unknown,
            Some(Parent::Known(first)) => Line::Kept(match state.chains.find(first) {
                Some(slot) => slot,
                None => walk(tables, event, first, in_use, state),
            }),
        };
    }
    lines
}

/// Adds the units found by what their process's ancestors fulfil.
pub(crate) fn gather_units(tables: &Tables, view: &View<'_>, state: &mut State) {
    for (any, chain) in tables.any.iter().zip(&view.ancestors) {
        for &(body, unit) in &any.found {
            if chain.truth(body) != Truth::False {
                state.open(tables.at_start(unit), view.event);
            }
        }
    }
}

/// Gathers what a line of ancestors says, from one that is known already down to the
/// first, and keeps it for each of them: siblings share all but the first.
fn walk(
    tables: &Tables,
    event: &Event,
    first: &Arc<Process>,
    in_use: Option<usize>,
    state: &mut State,
) -> usize {
    let mut line = std::mem::take(&mut state.line);
    line.clear();
    let mut new: [&Arc<Process>; KEPT_AT_ONCE] = [first; KEPT_AT_ONCE];
    let mut count = 0;
    let mut process = first;
    let cut = loop {
        if count < KEPT_AT_ONCE {
            new[count] = process;
            count += 1;
        } else {
            element(tables, event, process, &mut line, state);
        }
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
    let mut slot = 0;
    for process in new[..count].iter().rev() {
        element(tables, event, process, &mut line, state);
        // Of equal bodies the one that is true comes first and stays.
        line.sort_unstable_by_key(|marked| (marked & !UNKNOWN, marked & UNKNOWN));
        line.dedup_by_key(|marked| *marked & !UNKNOWN);
        slot = state.chains.insert(process, &line, cut, in_use);
    }
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
    let seeker = Seeker {
        tables,
        role: Role::Element,
        process,
        view: &view,
        only: None,
    };
    seeker.find(state);
    for open in &state.lane {
        let work = &mut state.work;
        let outcome = tables.code.run(open.from, ACCEPT, true, &view, work);
        if !outcome.holds {
            continue;
        }
        let certain = !outcome.met_unknown && !open.met_unknown();
        let body = open.unit - tables.rule_count;
        let start = || tables.units[open.unit as usize].start;
        if certain || tables.code.run(start(), ACCEPT, false, &view, work).holds {
            line.push(body);
        } else {
            line.push(body | UNKNOWN);
        }
    }
}
