//! Ids, times, labels, and who caused a change.

use crate::error::Result;
use crate::limits;
use std::collections::BTreeMap;

pub use uuid::Uuid;

/// Microseconds since 1970 (UTC).
pub type Micros = i64;

/// The names that a sensor's owner gave it, such as `env=prod`.
pub type Labels = BTreeMap<String, String>;

/// A SHA-256 of a secret: the store never sees the secret itself. What is
/// hashed so must be random and long, as tokens are; passwords are not.
pub type SecretHash = [u8; 32];

/// A new id: UUIDv7, so that ids are in the order in which they were made.
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// Who made a change, when, and why. It stands in the audit log with the
/// change, both or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Who, such as `user:anna` or `system:rollout`.
    pub actor: String,
    /// Why, in their words; may be empty.
    pub reason: String,
    /// When.
    pub at: Micros,
}

impl Cause {
    pub(crate) fn check(&self) -> Result<()> {
        limits::name("actor", &self.actor)?;
        limits::text("reason", &self.reason, limits::MAX_REASON)
    }
}

pub(crate) fn labels_to_json(labels: &Labels) -> serde_json::Value {
    labels
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
