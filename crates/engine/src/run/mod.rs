//! How a program is run on events.

pub(crate) mod ancestry;
pub(crate) mod chains;
pub(crate) mod code;
pub(crate) mod common;
pub(crate) mod event;
pub(crate) mod faces;
pub(crate) mod images;
pub(crate) mod lanes;
pub(crate) mod open;
pub(crate) mod presence;
pub(crate) mod quick;
pub(crate) mod ring;
