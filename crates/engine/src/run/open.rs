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
/// Some of what it asks of the face is still to be asked.
const ASKS_FACE: u8 = 2;
/// Some of what it asks of the image is still to be asked.
const ASKS_IMAGE: u8 = 4;
/// An unknown value was taken for true.
const MET_UNKNOWN: u8 = 8;

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
    /// Found by something that certainly holds.
    pub(crate) fn found(id: u32, unit: &Unit) -> Open {
        let flag = |flag, set| if set { flag } else { 0 };
        Open {
            unit: id,
            from: unit.after_found,
            asks: unit.asks,
            classes: unit.classes,
            flags: flag(SHARED, unit.shared)
                | flag(ASKS_FACE, unit.after_found != unit.after_face)
                | flag(ASKS_IMAGE, unit.after_face != unit.after_image),
        }
    }

    /// From its beginning.
    pub(crate) fn at_start(id: u32, unit: &Unit) -> Open {
        let mut open = Open::found(id, unit);
        if open.from != unit.start {
            open.from = unit.start;
            open.flags |= ASKS_FACE;
        }
        open
    }

    /// The same after what it asks of the face of the process it was found by.
    #[inline]
    pub(crate) fn after_face(mut self, unit: &Unit, met_unknown: bool) -> Open {
        self.from = unit.after_face;
        self.flags &= !ASKS_FACE;
        self.met(met_unknown);
        self
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
    pub(crate) fn asks_face(self) -> bool {
        self.flags & ASKS_FACE != 0
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
