//! Log-in by an OpenID Connect provider: authorization code with PKCE.
//!
//! ```text
//! begin: state, nonce, verifier ─► a cookie, and the provider's URL
//!                 people log in there, and come back with a code and the state
//! finish: code + verifier ─► provider ─► ID token ─► jws (whose signature)
//!                                                └─► claims (for whom, from whom, until when)
//! ```
//! Nothing of a log-in under way is kept here: any replica can finish what another
//! began.

mod attempt;
mod claims;
mod jws;
mod provider;

pub use attempt::Attempt;
pub use claims::Identity;
pub(crate) use provider::roots;
pub use provider::{OidcError, Provider};
