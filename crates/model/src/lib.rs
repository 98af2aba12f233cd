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

pub mod class;
pub mod datum;
pub mod process;
pub mod record;

pub use class::EventClass;
pub use datum::Datum;
