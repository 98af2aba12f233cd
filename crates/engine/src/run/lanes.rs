//! The units that a process leaves possible in a role: its *lane*.
//!
//! Three steps, each kept for as long as it holds: what the face leaves possible
//! is the same for every process that looks like this ([`crate::run::faces`]);
//! what the image leaves possible stays the same while the process runs it
//! ([`crate::run::images`]); the rest is asked for each event.

use crate::compile::normal::Source;
use crate::run::code::{Role, View};
use crate::run::event::State;
use crate::run::faces::{Face, Faces};
use crate::run::open::Open;
use crate::tables::Tables;
use picket_model::event::process_value;
use picket_model::process::Process;
use picket_model::{Datum, EventClass};

/// Adds the units that the process in this role leaves possible.
#[inline]
pub(crate) fn gather(tables: &Tables, role: Role, view: &View<'_>, state: &mut State) {
    let lane = &tables.lanes[role as usize];
    if lane.is_empty() {
        return;
    }
    match view.subjects[role as usize] {
        // Positive literals on an absent process are false; negative ones stand.
        Datum::Absent => {
            for &unit in &lane.always {
                state.open(tables.at_start(unit), view.event);
            }
        }
        Datum::Unknown => {
            for &unit in lane.always.iter().chain(&lane.posted) {
                state.open(tables.at_start(unit), view.event);
            }
        }
        Datum::Known(process) | Datum::Truncated(process) => {
            let class = view.event.class;
            let State { images, open, .. } = state;
            let wanted = |open: &&Open| open.classes.contains(class);
            // A new image will come again in other roles, but hardly as a new image.
            let keep = role != Role::Process && {
                if let Some(lane) = images.lane(&process.image, role) {
                    open.extend(lane.iter().filter(wanted));
                    return;
                }
                images.comes_again(&process.image)
            };
            let wanted_now = if keep { None } else { Some(class) };
            find(tables, role, process, wanted_now, view, state);
            if keep {
                state.images.keep(&process.image, role, &state.lane);
            }
            state.open.extend(state.lane.iter().filter(wanted));
        }
    }
}

/// Finds the units that the image leaves possible in this role; with a class, only
/// those that are of it and may hold in this event.
pub(crate) fn find(
    tables: &Tables,
    role: Role,
    process: &Process,
    only: Option<EventClass>,
    view: &View<'_>,
    state: &mut State,
) {
    state.lane.clear();
    let lane = &tables.lanes[role as usize];
    if lane.looks_at_face() {
        by_face(tables, role, process, view, state);
        for at in 0..state.by_face.len() {
            let open = state.by_face[at];
            if is_wanted(tables, only, open, view, state) {
                keep(tables, open, view, state);
            }
        }
    }
    if lane.image_sources.is_empty() {
        return;
    }
    state.next_pass();
    for &source in &lane.image_sources {
        each_unit(tables, source, role, process, view, state, |state, open| {
            if is_wanted(tables, only, open, view, state) && state.meets(open.unit) {
                if let Some(open) = face_stage(tables, open, view, state) {
                    keep(tables, open, view, state);
                }
            }
        });
    }
}

#[inline]
fn is_wanted(
    tables: &Tables,
    only: Option<EventClass>,
    open: Open,
    view: &View<'_>,
    state: &mut State,
) -> bool {
    only.is_none_or(|class| {
        open.classes.contains(class) && state.is_allowed(tables, open.asks, view)
    })
}

/// Adds a unit to the lane if it passes what is left to ask of the image.
#[inline]
fn keep(tables: &Tables, open: Open, view: &View<'_>, state: &mut State) {
    if !open.asks_image() {
        state.lane.push(open);
        return;
    }
    let unit = &tables.units[open.unit as usize];
    let work = &mut state.work;
    let outcome = tables
        .code
        .run(open.from, unit.after_image, true, view, work);
    if outcome.holds {
        state.lane.push(open.after_image(unit, outcome.met_unknown));
    }
}

/// Finds the units that the face leaves possible.
fn by_face(tables: &Tables, role: Role, process: &Process, view: &View<'_>, state: &mut State) {
    let key = Face::of(&process.image).map(|face| Faces::key(face, role as usize));
    state.by_face.clear();
    if let Some(units) = key.and_then(|key| state.faces.find(key)) {
        state.by_face.extend_from_slice(units);
        return;
    }
    let lane = &tables.lanes[role as usize];
    state.next_pass();
    for &source in &lane.face_sources {
        each_unit(tables, source, role, process, view, state, |state, open| {
            if state.meets(open.unit) {
                let open = face_stage(tables, open, view, state);
                state.by_face.extend(open);
            }
        });
    }
    for &id in &lane.always {
        let open = face_stage(tables, tables.at_start(id), view, state);
        state.by_face.extend(open);
    }
    if let Some(key) = key {
        state.faces.insert(key, &state.by_face);
    }
}

/// The unit, if it passes what is left to ask of the face.
#[inline]
fn face_stage(tables: &Tables, open: Open, view: &View<'_>, state: &mut State) -> Option<Open> {
    if !open.asks_face() {
        return Some(open);
    }
    let unit = &tables.units[open.unit as usize];
    let work = &mut state.work;
    let outcome = tables
        .code
        .run(open.from, unit.after_face, true, view, work);
    outcome
        .holds
        .then(|| open.after_face(unit, outcome.met_unknown))
}

/// Calls `each` on the units that a source of the process finds, some perhaps
/// twice.
#[inline]
fn each_unit(
    tables: &Tables,
    source: u16,
    role: Role,
    process: &Process,
    view: &View<'_>,
    state: &mut State,
    mut each: impl FnMut(&mut State, Open),
) {
    let table = &tables.sources[source as usize];
    let Source::Process(attr) = table.source else {
        return;
    };
    match process_value(process, attr) {
        Datum::Absent => {}
        Datum::Unknown | Datum::Truncated(_) => {
            for &unit in &table.posted[role as usize] {
                each(state, tables.at_start(unit));
            }
        }
        Datum::Known(value) => {
            let proof = state.look_up(table, value);
            for at in 0..state.hits.len() {
                let pattern = state.hits[at];
                let proven = proof && table.proofs[pattern as usize];
                for posting in table.postings(pattern, role as usize) {
                    if let Some(open) = state.found(tables, posting, proven, view) {
                        each(state, open);
                    }
                }
            }
        }
    }
}
