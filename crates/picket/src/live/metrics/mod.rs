//! `/metrics`, `/healthz` and `/readyz` of a sensor, for Prometheus and for whoever
//! restarts what hangs.
//!
//! ```text
//! Prometheus ─ HTTP ─► serve (a thread) ─► Source ─ at most once a second ─► event thread
//!                                            └─ spool, line to the server
//! ```
//! The pipeline does nothing for it unless it is asked, and is asked no more often
//! however many ask.

mod address;
mod exposition;
mod serve;
mod source;
mod text;

pub use address::MetricsAddress;
pub use serve::Endpoint;
pub use source::Source;
