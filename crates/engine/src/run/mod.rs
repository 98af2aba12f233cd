//! How a program is run on events.

pub(crate) mod chains;
pub(crate) mod code;
pub(crate) mod event;
pub(crate) mod images;
pub(crate) mod memo;
pub(crate) mod presence;
pub(crate) mod quick;
