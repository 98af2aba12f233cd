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
use crate::tables::{LaneTable, Tables};
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
            let seeker = Seeker {
                tables,
                role,
                process,
                view,
                only: if keep { None } else { Some(class) },
            };
            seeker.find(state);
            if keep {
                state.images.keep(&process.image, role, &state.lane);
            }
            state.open.extend(state.lane.iter().filter(wanted));
        }
    }
}

/// Looks for the units that an image leaves possible in a role.
pub(crate) struct Seeker<'a> {
    pub tables: &'a Tables,
    pub role: Role,
    pub process: &'a Process,
    pub view: &'a View<'a>,
    /// If what is found is for one event only: its class. What cannot hold in the
    /// event may then be left out.
    pub only: Option<EventClass>,
}

impl Seeker<'_> {
    /// Leaves the units in the lane.
    pub(crate) fn find(&self, state: &mut State) {
        state.lane.clear();
        let lane = self.lane();
        if lane.looks_at_face() {
            self.by_face(state);
            for at in 0..state.by_face.len() {
                let open = state.by_face[at];
                if self.is_wanted(self.only, open, state) {
                    self.keep(open, state);
                }
            }
        }
        if lane.image_sources.is_empty() {
            return;
        }
        state.next_pass();
        for &source in &lane.image_sources {
            self.each_unit(source, self.only, state, |state, open| {
                if state.meets(open.unit) {
                    if let Some(open) = self.face_stage(open, state) {
                        self.keep(open, state);
                    }
                }
            });
        }
    }

    #[inline]
    fn lane(&self) -> &LaneTable {
        &self.tables.lanes[self.role as usize]
    }

    #[inline]
    fn is_wanted(&self, only: Option<EventClass>, open: Open, state: &mut State) -> bool {
        only.is_none_or(|class| {
            open.classes.contains(class) && state.is_allowed(self.tables, open.asks, self.view)
        })
    }

    /// Adds a unit to the lane if it passes what is left to ask of the image.
    #[inline]
    fn keep(&self, open: Open, state: &mut State) {
        if !open.asks_image() {
            state.lane.push(open);
            return;
        }
        let unit = &self.tables.units[open.unit as usize];
        let outcome = state.run(self.tables, open, unit.after_image, self.view);
        if outcome.holds {
            state.lane.push(open.after_image(unit, outcome.met_unknown));
        }
    }

    /// Finds the units that the face leaves possible.
    #[inline]
    fn by_face(&self, state: &mut State) {
        let face = Face::of(&self.process.image);
        let key = face.map(|face| Faces::key(face, self.role as usize));
        state.by_face.clear();
        if let Some(units) = key.and_then(|key| state.faces.find(key)) {
            state.by_face.extend_from_slice(units);
            return;
        }
        // What is kept must be good for every event.
        let only = if key.is_some() { None } else { self.only };
        self.by_new_face(only, state);
        if let Some(key) = key {
            state.faces.insert(key, &state.by_face);
        }
    }

    #[inline(never)]
    fn by_new_face(&self, only: Option<EventClass>, state: &mut State) {
        let lane = self.lane();
        state.next_pass();
        for &source in &lane.face_sources {
            self.each_unit(source, only, state, |state, open| {
                if state.meets(open.unit) {
                    let open = self.face_stage(open, state);
                    state.by_face.extend(open);
                }
            });
        }
        for &id in &lane.always {
            let open = self.tables.at_start(id);
            if self.is_wanted(only, open, state) {
                let open = self.face_stage(open, state);
                state.by_face.extend(open);
            }
        }
    }

    /// The unit, if it passes what is left to ask of the face.
    #[inline]
    fn face_stage(&self, open: Open, state: &mut State) -> Option<Open> {
        if !open.asks_face() {
            return Some(open);
        }
        let unit = &self.tables.units[open.unit as usize];
        let outcome = state.run(self.tables, open, unit.after_face, self.view);
        outcome
            .holds
            .then(|| open.after_face(unit, outcome.met_unknown))
    }

    /// Calls `each` on the units that a source of the process finds, some perhaps
    /// twice.
    #[inline]
    fn each_unit(
        &self,
        source: u16,
        only: Option<EventClass>,
        state: &mut State,
        mut each: impl FnMut(&mut State, Open),
    ) {
        let table = &self.tables.sources[source as usize];
        let Source::Process(attr) = table.source else {
            return;
        };
        match process_value(self.process, attr) {
            Datum::Absent => {}
            Datum::Unknown | Datum::Truncated(_) => {
                for &unit in &table.posted[self.role as usize] {
                    let open = self.tables.at_start(unit);
                    if self.is_wanted(only, open, state) {
                        each(state, open);
                    }
                }
            }
            Datum::Known(value) => {
                let proof = state.look_up(table, value);
                for at in 0..state.hits.len() {
                    let pattern = state.hits[at];
                    let proven = proof && table.proofs[pattern as usize];
                    for posting in table.postings(pattern, self.role as usize) {
                        if self.is_wanted(only, posting.open, state) {
                            if let Some(open) = state.found(self.tables, posting, proven, self.view)
                            {
                                each(state, open);
                            }
                        }
                    }
                }
            }
        }
    }
}
