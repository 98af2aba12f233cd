//! Who may do what.
//!
//! ```text
//! request ─ cookie or bearer token ─► identify ─► Who { user, rights }
//!                                                   │ may(Permission), in which projects
//! log-in ─ limiter ─► argon2 ─► a token, its hash alone in the store
//! ```

mod first_run;
mod limiter;
mod passwords;
mod rights;
mod secrets;

pub use first_run::first_admin;
pub use limiter::Limiter;
pub use passwords::{MAX_PASSWORD, MIN_PASSWORD, Passwords};
pub use rights::{Permission, Rights, Role, Scope};
pub use secrets::{Secret, digest};

/// The name of tokens that a log-in makes.
pub const SESSION: &str = "session";
