//! What passes between Picket's stages.
//!
//! ```text
//! kernel ─► record ─► event ─► verdict ─► finding
//!                       ▲
//!            field (one table: name, type, classes, OCSF path)
//! ```
//!
//! Every stage depends on this crate and on no other stage; only the binary
//! wires them. Nothing here does I/O or reads a clock.

pub mod capability;
pub mod class;
pub mod datum;
pub mod dns;
pub mod errno;
pub mod event;
pub mod field;
pub mod finding;
pub mod ocsf;
pub mod policy;
pub mod process;
pub mod record;
pub mod rule;
pub mod severity;
pub mod text;

pub use class::{ClassSet, EventClass};
pub use datum::Datum;
pub use event::Event;
pub use field::Field;
pub use policy::Policy;
pub use severity::Severity;
