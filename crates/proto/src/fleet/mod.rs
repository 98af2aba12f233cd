//! The line between sensors and servers: gRPC over mutual TLS.
//!
//! ```text
//! sensor                                    server
//!   Enrol: join token, CSR          ─►   certificate, authorities, bundle keys
//!   Stream: Hello                   ─►   Welcome: scope, projects
//!           Heartbeat, Rules        ─►   (kept)
//!           Findings (lane, last)   ─►   Stored (lane, last), after the commit
//!           BundleAnswer            ◄─   Offer: a signed bundle
//!           OrderAnswer             ◄─   Order: signed, for this sensor alone
//!                                   ◄─   AnswerStored, after the commit
//!   Rotate: CSR                     ─►   certificate
//! ```

mod join;
mod packing;

/// Messages and service, as `proto/fleet.proto` has them.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod wire {
    include!("generated.rs");
}

pub use join::{BadJoinToken, JoinToken, hash_of_authority, hash_of_secret};
pub use packing::{BadPacking, pack};

/// Raised when a message changes its meaning. A server takes sensors of this
/// version and of the one before it.
pub const PROTOCOL: u32 = 1;

/// The name in every server's certificate. A sensor asks for it whatever the URL
/// says: its authority signs servers and nobody else, so that addresses, load
/// balancers and port forwards need no names of their own.
pub const SERVER_NAME: &str = "server.picket.internal";

/// What a server reads of one message. Findings and rule states are the longest.
pub const MAX_TO_SERVER: usize = 4 << 20;

/// What a sensor reads of one message: a bundle, and what is around it.
pub const MAX_TO_SENSOR: usize = crate::bundle::MAX_BYTES + (64 << 10);

/// Findings in one message, at most.
pub const MAX_FINDINGS: usize = 500;

/// Bytes of findings in one message, but for a single one that is longer.
pub const MAX_FINDINGS_BYTES: usize = 1 << 20;

/// Rules whose state is told, at most.
pub const MAX_RULES: usize = 10_000;

/// In the metadata of a call that was put off: after how many milliseconds to ask
/// again.
pub const RETRY_AFTER_MS: &str = "picket-retry-after-ms";
