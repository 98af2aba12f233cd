//! Flat rule programs: a literal, and where to go when it holds and when not.
//!
//! Kleene's logic by two ordinary ones: of a condition in normal form, take every
//! unknown literal for true; if the condition then fails, it is false. If it holds
//! and no unknown was met, it is true. Otherwise take them for false: if it still
//! holds, it is true, else unknown.

use crate::compile::normal::Atom;
use crate::fold::Folder;
use crate::naive::Node;
use crate::run::chains::Chain;
use crate::run::presence::Presence;
use crate::run::quick::{Constants, Operation, Quick};
use crate::truth::Truth;
use picket_model::event::{Value, process_value};
use picket_model::field::Field;
use picket_model::process::Process;
use picket_model::{Datum, Event};

use crate::compile::normal::Source;

/// Whose process a literal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Role {
    Process,
    Parent,
    Actor,
    Element,
}

impl Role {
    pub(crate) const ALL: [Role; 4] = [Role::Process, Role::Parent, Role::Actor, Role::Element];
}

/// What a literal's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Place {
    /// Atoms, of the process with this role.
    Process,
    Parent,
    Actor,
    Element,
    /// Atoms, of the event.
    Event,
    /// Bodies, of a process of this list.
    ProcessAncestors,
    ActorAncestors,
    /// Times: the event is not before this one.
    NotBefore,
    /// Parts that are evaluated as they are written.
    Whole,
}

impl Place {
    pub(crate) const fn of(role: Role) -> Place {
        match role {
            Role::Process => Place::Process,
            Role::Parent => Place::Parent,
            Role::Actor => Place::Actor,
            Role::Element => Place::Element,
        }
    }

    pub(crate) const fn role(self) -> Option<Role> {
        match self {
            Place::Process => Some(Role::Process),
            Place::Parent => Some(Role::Parent),
            Place::Actor => Some(Role::Actor),
            Place::Element => Some(Role::Element),
            _ => None,
        }
    }
}

/// A leaf of a condition in normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Literal {
    pub place: Place,
    pub negated: bool,
    pub id: u32,
}

impl Literal {
    pub(crate) const fn new(place: Place, id: u32, negated: bool) -> Literal {
        Literal { place, negated, id }
    }
}

/// One step of a rule program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instruction {
    pub literal: Literal,
    /// What an atom reads, and its test of an ordinary value.
    pub source: Source,
    pub quick: Quick,
    /// Where its truth is kept while the event is evaluated, or [`NO_SLOT`].
    pub slot: u32,
    /// Where to go on; [`ACCEPT`] and [`REJECT`] end it.
    pub then: u32,
    /// Where to go on otherwise.
    pub otherwise: u32,
}

/// The condition does not hold.
pub(crate) const REJECT: u32 = u32::MAX;
/// The condition holds.
pub(crate) const ACCEPT: u32 = u32::MAX - 1;
/// The literal is cheaper to evaluate than to remember.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// What literals are evaluated on.
#[derive(Clone, Copy)]
pub(crate) struct View<'e> {
    pub event: &'e Event,
    /// By [`Role`].
    pub subjects: [Datum<&'e Process>; 4],
    /// By list: of the process, of the actor.
    pub ancestors: [Chain<'e>; 2],
}

/// What evaluation writes to.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub folder: Folder,
    pub presence: Presence,
    /// Truths of this epoch: `epoch << 2 | truth`.
    memo: Vec<u32>,
    epoch: u32,
}

impl Work {
    pub(crate) fn resize(&mut self, slots: usize) {
        self.memo.clear();
        self.memo.resize(slots, 0);
        self.epoch = 0;
    }

    /// Forgets all truths: other processes or another event follow.
    #[inline]
    pub(crate) fn next_epoch(&mut self) {
        self.epoch += 1;
        if self.epoch >= 1 << 30 {
            self.memo.fill(0);
            self.epoch = 1;
        }
    }

    #[inline]
    fn remembered(&self, slot: u32) -> Option<Truth> {
        let kept = *self.memo.get(slot as usize)?;
        if kept >> 2 != self.epoch {
            return None;
        }
        Some(match kept & 3 {
            0 => Truth::False,
            1 => Truth::Unknown,
            _ => Truth::True,
        })
    }

    #[inline]
    fn remember(&mut self, slot: u32, truth: Truth) {
        if let Some(kept) = self.memo.get_mut(slot as usize) {
            *kept = self.epoch << 2 | truth as u32;
        }
    }
}

/// All rule programs and what their literals refer to.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub instructions: Box<[Instruction]>,
    pub constants: Constants,
    pub atoms: Box<[Atom]>,
    pub whole: Box<[Node]>,
    pub times: Box<[i64]>,
    pub slots: usize,
}

/// How a run of instructions ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub holds: bool,
    pub met_unknown: bool,
}

impl Code {
    /// Runs the instructions from `start` until it would go on at `until`, taking
    /// unknown literals as told.
    #[inline]
    pub(crate) fn run(
        &self,
        start: u32,
        until: u32,
        unknown_holds: bool,
        view: &View<'_>,
        work: &mut Work,
    ) -> Outcome {
        let mut at = start;
        let mut met_unknown = false;
        while at != until {
            if at == REJECT {
                return Outcome {
                    holds: false,
                    met_unknown,
                };
            }
            let instruction = &self.instructions[at as usize];
            let holds = match self.truth(instruction, unknown_holds, view, work) {
                Truth::True => true,
                Truth::False => false,
                Truth::Unknown => {
                    met_unknown = true;
                    unknown_holds
                }
            };
            at = if holds {
                instruction.then
            } else {
                instruction.otherwise
            };
        }
        Outcome {
            holds: true,
            met_unknown,
        }
    }

    /// Whether an instruction's literal holds.
    #[inline]
    pub(crate) fn truth(
        &self,
        instruction: &Instruction,
        unknown_holds: bool,
        view: &View<'_>,
        work: &mut Work,
    ) -> Truth {
        let Literal { place, negated, id } = instruction.literal;
        let truth = match place {
            Place::Process | Place::Parent | Place::Actor | Place::Element | Place::Event => {
                self.atom(instruction, unknown_holds && !negated, view, work)
            }
            Place::ProcessAncestors => view.ancestors[0].truth(id),
            Place::ActorAncestors => view.ancestors[1].truth(id),
            Place::NotBefore => (view.event.time_ns >= self.times[id as usize]).into(),
            Place::Whole => self.whole[id as usize].test(view.event, None, &mut work.folder),
        };
        if negated { !truth } else { truth }
    }

    #[inline]
    fn atom(
        &self,
        instruction: &Instruction,
        unknown_will_do: bool,
        view: &View<'_>,
        work: &mut Work,
    ) -> Truth {
        let slot = instruction.slot;
        if slot != NO_SLOT {
            if let Some(truth) = work.remembered(slot) {
                return truth;
            }
        }
        let Literal { place, id, .. } = instruction.literal;
        let value = match (instruction.source, place.role()) {
            (Source::Process(attr), Some(role)) => match view.subjects[role as usize] {
                Datum::Known(process) | Datum::Truncated(process) => process_value(process, attr),
                Datum::Unknown => Datum::Unknown,
                Datum::Absent => Datum::Absent,
            },
            (Source::Event(attr), _) => view.event.value(Field::Event(attr)),
            (Source::Process(_), None) => Datum::Absent,
        };
        let quick = instruction.quick;
        let quickly = match (value, quick.operation) {
            (_, Operation::Prepared) => None,
            // A beginning never denies what may follow: do not search it yet.
            (Datum::Truncated(Value::Str(_)), Operation::Contains | Operation::EndsWith)
                if unknown_will_do =>
            {
                return Truth::Unknown;
            }
            (Datum::Truncated(Value::Str(text)), Operation::Contains)
                if !self.constants.may_hold(quick, text, &mut work.presence) =>
            {
                return Truth::Unknown;
            }
            (Datum::Known(Value::Str(text)), _) => {
                let Work {
                    folder, presence, ..
                } = work;
                match self.constants.text(quick, text, folder, presence) {
                    // A glob or a regex is dearer than the search for what it needs.
                    Some(true) if quick.operation == Operation::Needs => None,
                    holds => holds,
                }
            }
            (Datum::Known(Value::Int(number)), Operation::Number) => {
                self.constants.number(quick, number)
            }
            (Datum::Known(Value::Bool(is)), Operation::IsTrue) => Some(is),
            (Datum::Known(Value::Bool(is)), Operation::IsFalse) => Some(!is),
            _ => None,
        };
        let truth = match quickly {
            Some(holds) => holds.into(),
            None => self.atoms[id as usize].test.test(value, &mut work.folder),
        };
        if slot != NO_SLOT {
            work.remember(slot, truth);
        }
        truth
    }
}
