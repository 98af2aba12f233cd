//! Tables that find the patterns a value holds.

pub(crate) mod affixes;
pub(crate) mod grams;
pub(crate) mod hash;
pub(crate) mod pairs;
pub(crate) mod source;
pub(crate) mod texts;
