//! What is known of each process image: the rules it leaves possible in each
//! of its roles. Found again by the image's identity, in every later event.

use crate::index::hash::mix;
use crate::run::code::Role;
use crate::run::open::Open;
use picket_model::process::Image;
use std::sync::{Arc, Weak};

/// How many images are kept.
const SLOTS: usize = 4096;
/// Lists longer than this give their memory back when their slot is reused.
const LONG_LIST: usize = 512;

/// A bounded map from images to what they leave possible.
///
/// Keys are weak: an image is not kept alive, but its address cannot be given
/// to another one while its slot stands. An image is kept when it is asked for a
/// second time: most processes act but once.
#[derive(Debug, Default)]
pub(crate) struct Images {
    slots: Vec<Slot>,
    /// Of addresses that were asked for, a part of the hash.
    asked: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    image: Weak<Image>,
    lanes: [Lane; 4],
}

/// Units that an image leaves possible in one role.
#[derive(Debug, Default)]
struct Lane {
    ready: bool,
    units: Vec<Open>,
}

impl Images {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.asked.clear();
    }

    /// The units of an image that is kept.
    #[inline]
    pub(crate) fn lane(&self, image: &Arc<Image>, role: Role) -> Option<&[Open]> {
        let lane = &self.slots[self.find(image)?].lanes[role as usize];
        lane.ready.then_some(&lane.units[..])
    }

    /// Whether the image has been asked for before, as far as that is remembered.
    /// It may be said of another one by mistake.
    #[inline]
    pub(crate) fn comes_again(&mut self, image: &Arc<Image>) -> bool {
        if self.asked.is_empty() {
            self.asked.resize(SLOTS, 0);
        }
        let hash = mix(Arc::as_ptr(image) as u64);
        let own = (hash >> 32) as u32 | 1;
        std::mem::replace(&mut self.asked[hash as usize % SLOTS], own) == own
    }

    /// Keeps the units of an image in a role.
    pub(crate) fn keep(&mut self, image: &Arc<Image>, role: Role, units: &[Open]) {
        let at = match self.find(image) {
            Some(at) => at,
            None => self.make_room(image),
        };
        let lane = &mut self.slots[at].lanes[role as usize];
        lane.units.clear();
        lane.units.extend_from_slice(units);
        lane.ready = true;
    }

    #[inline]
    fn find(&self, image: &Arc<Image>) -> Option<usize> {
        let address = Arc::as_ptr(image);
        let first = mix(address as u64) as usize % SLOTS;
        [first, first ^ 1].into_iter().find(|&at| {
            self.slots
                .get(at)
                .is_some_and(|slot| std::ptr::eq(slot.image.as_ptr(), address))
        })
    }

    fn make_room(&mut self, image: &Arc<Image>) -> usize {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        let hash = mix(Arc::as_ptr(image) as u64);
        // Of the two places the one that another bit of the hash names.
        let at = (hash as usize % SLOTS) ^ (hash >> 63) as usize;
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
}
