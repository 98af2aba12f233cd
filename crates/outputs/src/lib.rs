//! Where findings go beside Picket's own store.
//!
//! ```text
//! Output (checked settings) ─ open ─► Deliverer ─ deliver(&[Record]) ─┬─ syslog   RFC 5424
//!                                                                    ├─ file     JSON lines
//!                                                                    ├─ webhook  CloudEvents, signed
//!                                                                    └─ otlp     logs over HTTP
//! ```
//! A delivery is at least once: what was not taken comes again, and a receiver tells it
//! by its id. Who keeps what waits is the caller's business: the server's store, or a
//! sensor's spool.

mod config;
mod deliver;
mod file;
mod http;
mod otlp;
mod record;
mod signature;
mod syslog;
mod tls;
mod webhook;

pub use config::{
    Carrier, Output, RawOutput, Target, To, ToFile, ToSyslog, Wrong, at_least_one, parse, resolve,
    wrong,
};
pub use deliver::{BackOff, Deliverer, Failure, Refused};
pub use record::Record;
pub use signature::{Signer, read_secret};

/// Records of one delivery, at most: what a receiver takes in one request.
pub const BATCH: usize = 200;
