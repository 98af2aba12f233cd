//! Picket's kernel side: the eBPF programs, their loader, and the checked
//! decode of what they say.
//!
//! ```text
//! bpf/*.h ─► picket.bpf.o ─► Probes::load ─► ring buffer ─► raw bytes ─► decode ─► model::Record
//!                               │                              │
//!                       set_classes, set_scope,           a recording: the bytes
//!                       set_urgent, prepare, switch       stand by themselves
//! ```
//!
//! # What the programs decide
//! Without tables nothing: every hook lets pass what it sees. With them
//! ([`Probes::prepare`], [`Probes::switch`]) each hook fills its record, asks the
//! tables which rules hold of it, and where a policy answers one of them and
//! nothing spares the process, refuses, kills, or notes that it would have:
//!
//! ```text
//! bpf/rules.h, *_rules.h   which rules hold: judge.h, automaton.h, program.h over tables.h
//! bpf/state.h              what is kept of each process: exec_rules.h writes, all others read
//! bpf/decide.h             protected set, scope, budget, then the act
//! bpf/lsm.h                the same where security hooks may refuse beforehand
//! ```
//!
//! The verdict goes up with the record. [`Pins`] and [`Predecessor`] let programs
//! outlive their sensor.
//!
//! # What is not seen
//! - Files: system calls of 32-bit programs (the tracepoints leave them out);
//!   names that do not exist, and directories; links, truncation and writes
//!   through a mapping. Renames, deletions and modes are told by the path that
//!   was given, symbolic links in it unresolved; an io_uring request by its
//!   submission, its result unknown.
//! - Network: AF_PACKET and raw sockets; SCTP and other transports. A connect
//!   that fails before a packet leaves has no outcome without
//!   [`connect_status`](ProbeConfig::connect_status), and none through io_uring.
//!   A port that the kernel chooses for a socket which only sends is no listener;
//!   one from an explicit `bind` to port 0 is.
//! - DNS: other ports than 53, so DNS over TLS or HTTPS; a question cut within
//!   its name comes with the name unknown; answers over TCP only where one
//!   segment holds them.
//! - Processes: [`Probes::running`] lists those of the sensor's own pid namespace.

mod budgets;
pub mod capability;
mod cgroup;
mod config;
mod counters;
pub mod decode;
mod error;
mod hooks;
mod instances;
mod load;
mod log;
mod pins;
mod predecessor;
mod probes;
mod ring;
pub mod synth;
mod tables;
mod wire;

pub use budgets::Budgets;
pub use config::ProbeConfig;
pub use counters::{Count, Drops, Errors};
pub use decode::{DecodeError, decode};
pub use error::{ProbeError, Unavailable};
pub use instances::{Instance, Instances};
pub use pins::Pins;
pub use predecessor::Predecessor;
pub use probes::Probes;
pub use tables::{DisarmSwitch, Half, KernelPolicy, ProcessState, Tried};

const fn _is_send<T: Send>() {}
const _: () = _is_send::<Probes>();
