//! The compiled program's tables.

use crate::compile::normal::Source;
use crate::index::source::SourceIndex;
use crate::run::code::{Code, Instruction};
use crate::run::common::CommonTable;
use crate::run::open::Open;
use picket_model::ClassSet;

/// The place of event fields among the roles of postings.
pub(crate) const EVENT: usize = 4;

/// Everything that evaluation reads. A *unit* is a rule, or the body of an
/// `any LIST (…)`, which is asked of each process of the list.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub code: Code,
    pub common: CommonTable,
    /// Rules in their order, then bodies.
    pub units: Box<[Unit]>,
    pub rule_count: u32,
    pub sources: Box<[SourceTable]>,
    /// By role.
    pub lanes: [LaneTable; 4],
    /// By class: sources of event fields that have postings.
    pub event_sources: [Box<[u16]>; 9],
    /// By class: units that nothing finds.
    pub always: [Box<[u32]>; 9],
    /// By list.
    pub any: [AnyTable; 2],
}

/// Where a unit's program stands. First comes what the unit is found by, then what
/// asks only for the face of the process it is found by, then what asks only for
/// its image.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unit {
    pub classes: ClassSet,
    /// It may be found in more than one way in one event.
    pub shared: bool,
    /// Its first instruction.
    pub start: u32,
    /// Where it goes on if it was found by a proof of what it is found by.
    pub after_found: u32,
    /// Where it goes on after what asks for the face.
    pub after_face: u32,
    /// Where it goes on after what asks for the image.
    pub after_image: u32,
    /// What it asks of [`crate::run::common`].
    pub asks: u32,
}

/// The patterns of one source, and the units found by each.
#[derive(Debug)]
pub(crate) struct SourceTable {
    pub source: Source,
    pub index: SourceIndex,
    /// By pattern: whether it proves what is looked for.
    pub proofs: Box<[bool]>,
    /// By pattern: where its postings begin; and the end of the last.
    pub starts: Box<[u32]>,
    /// Role and unit, by pattern.
    pub postings: Box<[Posting]>,
    /// By role, and [`EVENT`]: each unit that is found by this source.
    pub posted: [Box<[u32]>; 5],
}

/// A unit that a pattern finds in the process with some role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posting {
    /// The unit, if what it is found by holds.
    pub open: Open,
    /// The instruction that asks for the literal that the pattern belongs to.
    pub asks: u32,
    role: u8,
}

impl Posting {
    pub(crate) fn new(open: Open, asks: u32, role: usize) -> Posting {
        Posting {
            open,
            asks,
            role: role as u8,
        }
    }
}

impl SourceTable {
    /// What a pattern finds in a role.
    #[inline]
    pub(crate) fn postings(&self, pattern: u32, role: usize) -> impl Iterator<Item = &Posting> {
        let start = self.starts[pattern as usize] as usize;
        let end = self.starts[pattern as usize + 1] as usize;
        self.postings[start..end]
            .iter()
            .filter(move |posting| usize::from(posting.role) == role)
    }
}

/// What is looked up in the process with one role.
#[derive(Debug, Default)]
pub(crate) struct LaneTable {
    /// Sources of its face that have postings.
    pub face_sources: Box<[u16]>,
    /// Other sources of its image that have postings.
    pub image_sources: Box<[u16]>,
    /// Units that nothing finds, but which ask for this image.
    pub always: Box<[u32]>,
    /// Each unit that is found in this role.
    pub posted: Box<[u32]>,
}

impl LaneTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.always.is_empty() && self.posted.is_empty()
    }

    /// Whether a face leaves fewer units possible than there are.
    pub(crate) fn looks_at_face(&self) -> bool {
        !self.always.is_empty() || !self.face_sources.is_empty()
    }
}

/// The units found by the bodies that a list fulfils.
#[derive(Debug, Default)]
pub(crate) struct AnyTable {
    /// The classes whose rules look at the list.
    pub used_in: ClassSet,
    /// Bodies, and a unit that each finds; sorted.
    pub found: Box<[(u32, u32)]>,
    /// Each unit that is found by this list.
    pub posted: Box<[u32]>,
}

impl Tables {
    /// A unit that is to be decided from its beginning.
    #[inline]
    pub(crate) fn at_start(&self, id: u32) -> Open {
        Open::at_start(id, &self.units[id as usize])
    }

    /// What the tables take, in bytes, without the regexes that were built so far.
    pub(crate) fn memory(&self) -> usize {
        let words = |list: &[u32]| list.len() * 4;
        let sources: usize = self
            .sources
            .iter()
            .map(|table| {
                table.index.memory()
                    + words(&table.starts)
                    + table.proofs.len()
                    + table.postings.len() * size_of::<Posting>()
                    + table.posted.iter().map(|list| words(list)).sum::<usize>()
            })
            .sum();
        let any: usize = self
            .any
            .iter()
            .map(|any| any.found.len() * 8 + words(&any.posted))
            .sum();
        let atoms: usize = self.code.atoms.iter().map(|atom| atom.memory()).sum();
        (self.code.instructions.len() + self.common.literals.len()) * size_of::<Instruction>()
            + self.units.len() * size_of::<Unit>()
            + sources
            + any
            + atoms
            + self.code.constants.memory()
    }
}
