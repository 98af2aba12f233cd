//! The sensor: from kernel records to findings and actions on one host.
//!
//! ```text
//! source ─► process table ─► enrichment ─► engine ─► response ─► hold ─► output
//! (probe or   (tree)        (container,   (rules)   (policies)  (until the
//!  recording)                user, name)                         outcome is in)
//! ```
//!
//! One thread takes records through all stages but the last, so that order is
//! kept and nothing is locked; findings are written by another. Policy comes in
//! by a channel, between two records: no event is missed and none is judged by
//! half a program.

pub mod actions;
pub mod costs;
pub mod disarm;
pub mod enforce;
pub mod enrich;
mod fingerprint;
pub mod fleet;
pub mod hold;
pub mod indicators;
pub mod live;
pub mod loader;
pub mod pipeline;
pub mod process;
pub mod recent;
pub mod recording;
pub mod response;
pub mod spool;
pub mod stats;
pub mod takeover;
pub mod watch;
