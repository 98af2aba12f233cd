//! Picket's kernel side: the eBPF programs, their loader, and the checked
//! decode of what they say.
//!
//! ```text
//! bpf/*.h ─► picket.bpf.o ─► Probes::load ─► ring buffer ─► raw bytes ─► decode ─► model::Record
//!                               │                              │
//!                       set_classes, set_scope,           a recording: the bytes
//!                       set_urgent                        stand by themselves
//! ```
//!
//! The programs observe only: every hook lets pass what it sees.

pub mod capability;
mod cgroup;
mod config;
mod counters;
pub mod decode;
mod error;
mod hooks;
mod log;
mod probes;
mod ring;
pub mod synth;
mod wire;

pub use config::ProbeConfig;
pub use counters::{Count, Drops, Errors};
pub use decode::{DecodeError, decode};
pub use error::{ProbeError, Unavailable};
pub use probes::Probes;
