//! A unit that is not decided yet.

use crate::run::code::REJECT;
use crate::tables::Unit;
use picket_model::ClassSet;

/// A unit that something leaves possible, and where its program goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub unit: u32,
    /// The instruction to go on at.
    pub from: u32,
    /// What it asks of [`crate::run::common`].
    pub asks: u32,
    pub classes: ClassSet,
    flags: u8,
}

/// It may be found in more than one way in one event.
const SHARED: u8 = 1;
/// Some of what it asks of the image is still to be asked.
const ASKS_IMAGE: u8 = 2;
/// An unknown value was taken for true.
const MET_UNKNOWN: u8 = 4;

impl Default for Open {
    fn default() -> Open {
        Open {
            unit: 0,
            from: REJECT,
            asks: 0,
            classes: ClassSet::default(),
            flags: 0,
        }
    }
}

impl Open {
    /// From its beginning, or after what it was found by if that is proven.
    #[inline]
    pub(crate) fn found(id: u32, unit: &Unit, proven: bool) -> Open {
        Open {
            unit: id,
            from: if proven { unit.after_found } else { unit.start },
            asks: unit.asks,
            classes: unit.classes,
            flags: if unit.shared { SHARED } else { 0 },
        }
    }

    /// After what it asks of the face of the process it was found by.
    #[inline]
    pub(crate) fn after_face(id: u32, unit: &Unit, met_unknown: bool) -> Open {
        let mut open = Open::found(id, unit, false);
        open.from = unit.after_face;
        if unit.after_face != unit.after_image {
            open.flags |= ASKS_IMAGE;
        }
        open.met(met_unknown);
        open
    }

    /// The same after what it asks of the image.
    #[inline]
    pub(crate) fn after_image(mut self, unit: &Unit, met_unknown: bool) -> Open {
        self.from = unit.after_image;
        self.flags &= !ASKS_IMAGE;
        self.met(met_unknown);
        self
    }

    fn met(&mut self, unknown: bool) {
        if unknown {
            self.flags |= MET_UNKNOWN;
        }
    }

    #[inline]
    pub(crate) fn is_shared(self) -> bool {
        self.flags & SHARED != 0
    }

    #[inline]
    pub(crate) fn asks_image(self) -> bool {
        self.flags & ASKS_IMAGE != 0
    }

    #[inline]
    pub(crate) fn met_unknown(self) -> bool {
        self.flags & MET_UNKNOWN != 0
    }
}
