//! What an event's lines of ancestors say of the bodies of `any LIST (…)`.

use crate::run::chains::{Chain, UNKNOWN};
use crate::run::code::{ACCEPT, Role, View};
use crate::run::event::State;
use crate::run::lanes;
use crate::tables::Tables;
use picket_model::event::Detail;
use picket_model::field::ProcessList;
use picket_model::process::{Parent, Process};
use picket_model::{Datum, Event};
use std::sync::Arc;

/// Looks up what the event's lines of ancestors say; whether each is cut.
pub(crate) fn gather(tables: &Tables, event: &Event, state: &mut State) -> [bool; 2] {
    let mut cut = [false; 2];
    for list in ProcessList::ALL {
        let number = list as usize;
        if !tables.any[number].used_in.contains(event.class) {
            continue;
        }
        state.ancestors[number].clear();
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

/// Adds the units found by what their process's ancestors fulfil.
pub(crate) fn gather_units(tables: &Tables, event: &Event, cut: [bool; 2], state: &mut State) {
    for (list, any) in tables.any.iter().enumerate() {
        if any.posted.is_empty() || !any.used_in.contains(event.class) {
            continue;
        }
        if cut[list] {
            for &unit in &any.posted {
                state.open(tables.at_start(unit), event);
            }
            continue;
        }
        for at in 0..state.ancestors[list].len() {
            let body = state.ancestors[list][at] & !UNKNOWN;
            for &unit in any.units(body) {
                state.open(tables.at_start(unit), event);
            }
        }
    }
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
    lanes::find(tables, Role::Element, process, None, &view, state);
    for open in &state.lane {
        let work = &mut state.work;
        let outcome = tables.code.run(open.from, ACCEPT, true, &view, work);
        if !outcome.holds {
            continue;
        }
        let start = tables.units[open.unit as usize].start;
        let certain = !outcome.met_unknown && !open.met_unknown();
        let body = open.unit - tables.rule_count;
        if certain || tables.code.run(start, ACCEPT, false, &view, work).holds {
            line.push(body);
        } else {
            line.push(body | UNKNOWN);
        }
    }
}
