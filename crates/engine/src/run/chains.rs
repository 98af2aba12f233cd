//! What is known of each line of ancestors: which bodies of `any LIST (…)` one
//! of them fulfils. Found again by the identity of its first process.

use crate::index::hash::mix;
use crate::truth::Truth;
use picket_model::process::Process;
use std::sync::{Arc, Weak};

/// How many lines are kept.
const SLOTS: usize = 2048;
/// Marks a body that is unknown, not true.
pub(crate) const UNKNOWN: u32 = 1 << 31;

/// What a line of ancestors says of the bodies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain<'e> {
    /// Sorted by body; those that are false are left out.
    pub bodies: &'e [u32],
    /// There were more ancestors.
    pub cut: bool,
}

impl Chain<'_> {
    pub(crate) const EMPTY: Chain<'static> = Chain {
        bodies: &[],
        cut: false,
    };
    pub(crate) const UNKNOWN: Chain<'static> = Chain {
        bodies: &[],
        cut: true,
    };

    /// Whether the body holds of one of the ancestors.
    #[inline]
    pub(crate) fn truth(&self, body: u32) -> Truth {
        let known = self
            .bodies
            .binary_search_by_key(&body, |marked| marked & !UNKNOWN)
            .ok()
            .map(|at| self.bodies[at]);
        match known {
            Some(marked) if marked & UNKNOWN == 0 => Truth::True,
            Some(_) => Truth::Unknown,
            None if self.cut => Truth::Unknown,
            None => Truth::False,
        }
    }
}

/// A bounded map from processes to what they and their ancestors say.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    slots: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    process: Weak<Process>,
    bodies: Vec<u32>,
    cut: bool,
}

impl Chains {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    fn places(process: &Arc<Process>) -> (*const Process, usize, usize) {
        let address = Arc::as_ptr(process);
        let hash = mix(address as u64);
        let first = hash as usize % SLOTS;
        (address, first, first ^ (hash >> 63) as usize)
    }

    /// The slot of a line that is known.
    #[inline]
    pub(crate) fn find(&self, process: &Arc<Process>) -> Option<usize> {
        let (address, first, _) = Chains::places(process);
        [first, first ^ 1].into_iter().find(|&at| {
            self.slots
                .get(at)
                .is_some_and(|slot| std::ptr::eq(slot.process.as_ptr(), address))
        })
    }

    /// Keeps what a line says, in its slot or in one beside it if that must stay as
    /// it is. `bodies` is sorted.
    pub(crate) fn insert(
        &mut self,
        process: &Arc<Process>,
        bodies: &[u32],
        cut: bool,
        in_use: Option<usize>,
    ) -> usize {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        let (_, _, mut at) = Chains::places(process);
        if in_use == Some(at) {
            at ^= 1;
        }
        let slot = &mut self.slots[at];
        slot.process = Arc::downgrade(process);
        slot.bodies.clear();
        slot.bodies.extend_from_slice(bodies);
        slot.cut = cut;
        at
    }

    #[inline]
    pub(crate) fn get(&self, slot: usize) -> Chain<'_> {
        let slot = &self.slots[slot];
        Chain {
            bodies: &slot.bodies,
            cut: slot.cut,
        }
    }
}
