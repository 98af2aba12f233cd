//! Units in their final order, and their bits of a process that already runs.

use super::RuleProgram;
use super::answer::{Question, View, answer};
use super::block::Full;
use super::layout::{KEPT_UNITS, Space, UNITS};
use super::lower::{Interner, Leaf, Tree};
use crate::truth::Truth;
use picket_model::process::Process;

/// What is kept of one process: a bit per kept unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitBits {
    /// Units that hold for certain.
    pub certain: [u64; KEPT_UNITS / 64],
    /// Units that hold or may hold.
    pub maybe: [u64; KEPT_UNITS / 64],
}

impl UnitBits {
    /// Nothing holds.
    pub const NONE: UnitBits = UnitBits {
        certain: [0; KEPT_UNITS / 64],
        maybe: [0; KEPT_UNITS / 64],
    };
    /// Nothing is known.
    pub const UNKNOWN: UnitBits = UnitBits {
        certain: [0; KEPT_UNITS / 64],
        maybe: [u64::MAX; KEPT_UNITS / 64],
    };

    /// What holds of either.
    pub fn add(&mut self, other: &UnitBits) {
        for (own, other) in self.certain.iter_mut().zip(other.certain) {
            *own |= other;
        }
        for (own, other) in self.maybe.iter_mut().zip(other.maybe) {
            *own |= other;
        }
    }

    fn set(&mut self, unit: usize, truth: Truth) {
        let bit = 1 << (unit % 64);
        if truth == Truth::True {
            self.certain[unit / 64] |= bit;
        }
        if truth != Truth::False {
            self.maybe[unit / 64] |= bit;
        }
    }

    fn truth(&self, unit: usize) -> Truth {
        let has = |set: &[u64]| set[unit / 64] >> (unit % 64) & 1 == 1;
        match (has(&self.certain), has(&self.maybe)) {
            (true, _) => Truth::True,
            (false, true) => Truth::Unknown,
            (false, false) => Truth::False,
        }
    }
}

/// Whether one of the protected set's questions holds of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtectedAs {
    /// By its file.
    pub file: Truth,
    /// By its name.
    pub name: Truth,
    /// It is a container runtime.
    pub runtime: Truth,
    /// It is a runtime's copy of itself, if a runtime executed it.
    pub copy: Truth,
}

/// The units, kept ones first.
#[derive(Debug)]
pub struct Units {
    pub(super) trees: Vec<Tree>,
    pub(super) kept: usize,
    /// By `enum picket_protects`.
    pub(super) protects: [Option<usize>; 4],
    atoms: Vec<Question>,
}

impl Units {
    /// Puts the interner's units in order and renumbers what refers to them.
    pub(super) fn new(
        interner: &mut Interner,
        programs: &mut [RuleProgram],
        protects: [Option<usize>; 4],
    ) -> Result<Units, Full> {
        let mut order: Vec<usize> = (0..interner.units.len()).collect();
        order.sort_by_key(|&unit| !interner.units[unit].kept);
        let kept = interner.units.iter().filter(|unit| unit.kept).count();
        if kept > KEPT_UNITS || order.len() > UNITS {
            return Err(Full);
        }
        let mut new = vec![0; order.len()];
        for (number, &unit) in order.iter().enumerate() {
            new[unit] = number;
        }
        for program in programs {
            renumber(&mut program.tree, &new);
        }
        let trees = order
            .iter()
            .map(|&unit| interner.units[unit].tree.clone())
            .collect();
        Ok(Units {
            trees,
            kept,
            protects: protects.map(|unit| unit.map(|unit| new[unit])),
            atoms: interner.atoms.iter().cloned().map(Question::new).collect(),
        })
    }

    /// How many are kept with a process.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// The kept units' bits of a process's own image.
    pub fn of(&self, process: &Process) -> UnitBits {
        self.bits(process)
    }

    /// What the protected set says of bits that [`Units::of`] gave.
    pub fn protects(&self, bits: &UnitBits) -> ProtectedAs {
        let truth =
            |which: usize| self.protects[which].map_or(Truth::False, |unit| bits.truth(unit));
        ProtectedAs {
            file: truth(0),
            name: truth(1),
            runtime: truth(2),
            copy: truth(3),
        }
    }

    /// The units that hold where there is no process: every test of what is
    /// absent is false.
    pub(super) fn of_nobody(&self) -> Vec<usize> {
        (0..self.trees.len())
            .filter(|&unit| self.trees[unit].truth(&mut |_| Truth::False) == Truth::True)
            .collect()
    }

    fn bits(&self, view: &dyn View) -> UnitBits {
        let truths = self.atom_truths(view);
        let mut bits = UnitBits::NONE;
        for (unit, tree) in self.trees[..self.kept].iter().enumerate() {
            bits.set(unit, tree.truth(&mut |leaf| truths[leaf.index]));
        }
        bits
    }

    fn atom_truths(&self, view: &dyn View) -> Vec<Truth> {
        self.atoms.iter().map(|atom| answer(atom, view)).collect()
    }
}

fn renumber(tree: &mut Tree, new: &[usize]) {
    match tree {
        Tree::All(parts) | Tree::Any(parts) => {
            parts.iter_mut().for_each(|part| renumber(part, new));
        }
        Tree::Leaf(Leaf { space, index, .. }) if *space != Space::Atom => *index = new[*index],
        Tree::Leaf(_) | Tree::Constant(_) => {}
    }
}
