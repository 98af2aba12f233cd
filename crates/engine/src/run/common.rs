//! What many rules ask, each asked once for an event.
//!
//! "Not by root", "not by cron": the same few literals stand in hundreds of rules.
//! Each has a bit; a rule that asks for some of them is ruled out by comparing two
//! words, without looking at its program.

use crate::run::code::{Code, Instruction, View, Work};
use crate::truth::Truth;

/// The literals that have a bit.
#[derive(Debug, Default)]
pub(crate) struct CommonTable {
    pub literals: Box<[Instruction]>,
}

impl CommonTable {
    /// There are no more bits.
    pub(crate) const MOST: usize = 32;
}

/// What is known of them in one event.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// These have been asked.
    asked: u32,
    /// These are true or unknown.
    possible: u32,
}

impl Common {
    /// Another event follows.
    pub(crate) fn forget(&mut self) {
        *self = Common::default();
    }

    /// False only if one of the literals with these bits is.
    #[inline]
    pub(crate) fn allows(
        &mut self,
        bits: u32,
        table: &CommonTable,
        code: &Code,
        view: &View<'_>,
        work: &mut Work,
    ) -> bool {
        let mut open = bits & !self.asked;
        let mut allows = bits & self.asked & !self.possible == 0;
        while allows && open != 0 {
            let number = open.trailing_zeros();
            let bit = 1 << number;
            open &= !bit;
            self.asked |= bit;
            let truth = table
                .literals
                .get(number as usize)
                .map(|literal| code.truth(literal, true, view, work));
            allows = truth != Some(Truth::False);
            if allows {
                self.possible |= bit;
            }
        }
        allows
    }
}
