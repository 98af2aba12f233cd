//! What is known of each process image: the rules it leaves possible in each
//! of its roles. Found again by the image's identity, in every later event.

use crate::index::hash::mix;
use picket_model::process::Image;
use std::sync::{Arc, Weak};

/// How many images are kept.
const SLOTS: usize = 4096;
/// Lists longer than this give their memory back when their slot is reused.
const LONG_LIST: usize = 512;

/// A bounded map from images to what they leave possible.
///
/// Keys are weak: an image is not kept alive, but its address cannot be given
/// to another one while its slot stands.
#[derive(Debug, Default)]
pub(crate) struct Images {
    slots: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    image: Weak<Image>,
    lanes: [Lane; 4],
}

/// Units that an image leaves possible in one role.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    ready: bool,
    /// Marked with [`crate::run::event::MET_UNKNOWN`] where a value was unknown.
    pub units: Vec<u32>,
}

impl Images {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    /// The image's slot; what was in it is gone if it was another's.
    #[inline]
    pub(crate) fn find(&mut self, image: &Arc<Image>) -> usize {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        let address = Arc::as_ptr(image);
        let hash = mix(address as u64);
        let first = hash as usize % SLOTS;
        for at in [first, first ^ 1] {
            if std::ptr::eq(self.slots[at].image.as_ptr(), address) {
                return at;
            }
        }
        let at = first ^ (hash >> 63) as usize;
        let slot = &mut self.slots[at];
        slot.image = Arc::downgrade(image);
        for lane in &mut slot.lanes {
            lane.ready = false;
            lane.units.clear();
            if lane.units.capacity() > LONG_LIST {
                lane.units = Vec::new();
            }
        }
        at
    }

    /// The units of a role, once they are ready.
    #[inline]
    pub(crate) fn units(&self, slot: usize, role: usize) -> Option<&[u32]> {
        let lane = &self.slots[slot].lanes[role];
        lane.ready.then_some(&lane.units[..])
    }

    /// Fills a role's units.
    pub(crate) fn fill(&mut self, slot: usize, role: usize, units: &[u32]) {
        let lane = &mut self.slots[slot].lanes[role];
        lane.units.clear();
        lane.units.extend_from_slice(units);
        lane.ready = true;
    }
}
