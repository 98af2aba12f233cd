//! Signed bundles: the rules, policies and lists that a scope's sensors enforce.
//!
//! A bundle is trusted by its signature and by nothing else: whoever carries it
//! may be anybody. Three steps, each its own type, so that none can be left out:
//!
//! | step | gives | refuses |
//! |---|---|---|
//! | [`TrustedKeys::verify`] | [`Verified`] | what no trusted key has signed, what is malformed or too large |
//! | [`Standing::admit`] | [`Admission`] | what is for others, older than what is in force, or over |
//! | the engine | rules in force | what does not compile |

mod admission;
mod envelope;
mod keys;

pub use admission::{Admission, Applied, Refusal, Standing};
pub use envelope::{MAX_BYTES, Unverified, Verified, sign};
pub(crate) use envelope::{seal, unseal};
pub use keys::{BadKey, KeyId, PublicKey, SigningKey, TrustedKeys};

use serde::{Deserialize, Serialize};

/// What a scope's sensors are to enforce, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// For whom: a project's name. A sensor takes only bundles of its own scope.
    pub scope: String,
    /// Grows by one with each bundle of the scope, also when an older content comes back.
    pub version: u64,
    /// When it was signed, microseconds since the epoch.
    pub created_us: i64,
    /// When a newer one should long have come, microseconds since the epoch. What is
    /// in force then stays so, and raises an alarm.
    pub expires_us: i64,
    /// Rule files, in the order in which they are read.
    pub files: Vec<RuleFile>,
}

/// A rule file as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// For diagnostics: `payments/web.yaml`.
    pub name: String,
    /// YAML, as `picket rules check` reads it.
    pub text: String,
}
