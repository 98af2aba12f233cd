//! Remembers, for texts that come again, which rules they leave possible.

use crate::index::hash::hash_bytes;

/// Texts longer than this are looked at anew every time.
pub(crate) const LONGEST: usize = 1024;
/// How many texts are kept.
const SLOTS: usize = 4096;
/// Lists longer than this give their memory back when their slot is reused.
const LONG_LIST: usize = 256;

/// A bounded map from texts to the units they leave possible. A text takes the
/// place of another whose hash falls on the same slot.
#[derive(Debug, Default)]
pub(crate) struct TextMemo {
    slots: Vec<Slot>,
}

// One cache line: most look-ups touch nothing else but the text.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    hash: u64,
    /// Which field of whose process: 0 when empty.
    kind: u32,
    text: String,
    units: Vec<u32>,
}

/// Where a text's units are, or belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Found(usize),
    Free(usize),
}

impl TextMemo {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    /// Finds the text; otherwise prepares a slot for it, with an empty list.
    /// `kind` is never 0.
    #[inline]
    pub(crate) fn find(&mut self, kind: u32, text: &str) -> Place {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        let hash = hash_bytes(text.as_bytes(), u64::from(kind) << 32);
        let first = hash as usize % SLOTS;
        for at in [first, first ^ 1] {
            let slot = &self.slots[at];
            if slot.hash == hash && slot.kind == kind && slot.text == text {
                return Place::Found(at);
            }
        }
        // Of the two places the one that another bit of the hash names.
        let at = first ^ (hash >> 63) as usize;
        let slot = &mut self.slots[at];
        slot.hash = hash;
        slot.kind = kind;
        slot.text.clear();
        slot.text.push_str(text);
        if slot.units.capacity() > LONG_LIST {
            slot.units = Vec::new();
        }
        slot.units.clear();
        Place::Free(at)
    }

    #[inline]
    pub(crate) fn units(&self, at: usize) -> &[u32] {
        &self.slots[at].units
    }

    #[inline]
    pub(crate) fn add(&mut self, at: usize, unit: u32) {
        self.slots[at].units.push(unit);
    }
}
