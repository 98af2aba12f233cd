//! What sensors and servers say to each other.
//!
//! ```text
//! server: Bundle ─► sign ─► envelope (bytes) ─ ─ any carrier ─ ─► sensor: verify ─► admit ─► apply
//! ```
//! No I/O, no clock: who calls brings bytes and the time.

pub mod bundle;
pub mod fleet;
pub mod order;
