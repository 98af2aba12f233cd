//! The sensor's control socket: what a running sensor can be asked, and by whom.
//!
//! ```text
//! picket stats ─► client ─► socket (root's alone) ─► server ─► desk ─► sensor::live
//!                           one JSON object a line
//! ```

pub mod client;
pub mod desk;
pub mod server;
mod socket;
pub mod wire;

pub use socket::{Place, Socket};

/// Where a sensor listens unless somebody says otherwise.
pub const DEFAULT_PATH: &str = "/run/picket/sensor.sock";

/// The longest request, in bytes.
const MAX_REQUEST: usize = 64 << 10;
/// The longest reply that is read, in bytes: some 400 a rule.
const MAX_REPLY: usize = 64 << 20;
/// Clients that are served at the same time.
const MAX_CLIENTS: usize = 8;
/// How long one side waits for the other.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
