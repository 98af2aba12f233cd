//! The audit log: who did what, when and why. It is only ever added to.
//!
//! Every call that changes what people decide writes its entry itself, in the
//! same transaction. [`AuditLog::record`] is for what changes nothing here, such as
//! a log-in that failed.

mod sql;

pub(crate) use sql::append;

use crate::basics::{Cause, Micros};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What was done, to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What was done, such as `rule.update`.
    pub action: String,
    /// The kind of thing it was done to, such as `rule`.
    pub kind: String,
    /// Its id.
    pub subject: String,
    /// What else is worth knowing. No secrets.
    pub detail: Value,
}

/// An entry.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its place in the log, from 1, without a gap.
    pub seq: i64,
    /// When.
    pub at: Micros,
    /// Who.
    pub actor: String,
    /// Why, in their words.
    pub reason: String,
    /// What was done.
    pub action: String,
    /// The kind of thing it was done to.
    pub kind: String,
    /// Its id.
    pub subject: String,
    /// What else is worth knowing: JSON, to the byte as it was written.
    pub detail: String,
    /// SHA-256 over the entry before and this one: see [`AuditEntry::chained`].
    pub hash: Vec<u8>,
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of this actor.
    pub actor: Option<String>,
    /// Those about this kind of thing.
    pub kind: Option<String>,
    /// Those about the thing with this id.
    pub subject: Option<String>,
}

/// What came of following the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Every entry is what was written; the next one to look at, if there are more.
    Whole {
        /// Where to go on.
        next: Option<i64>,
    },
    /// This entry, or the one before it, was changed or taken out.
    Broken {
        /// Its place.
        at: i64,
    },
}

/// The audit log.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Writes down what changed nothing in the store.
    async fn record(&self, deed: Deed, cause: &Cause) -> Result<()>;

    /// Entries, newest first.
    async fn entries(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, i64>>;

    /// Follows the chain from an entry on, for a bounded number of entries. That the
    /// newest entries were cut off is not seen: keep the last hash elsewhere.
    async fn verify(&self, from: i64, entries: u32) -> Result<Verified>;
}

/// What the first entry stands on.
pub(crate) const CHAIN_START: &[u8] = b"picket audit log 1";

impl AuditEntry {
    /// The hash that this entry must have on top of the one before: over every
    /// field, each with its length in front.
    pub fn chained(&self, before: &[u8]) -> Vec<u8> {
        let mut hash = Sha256::new();
        let fields: [&[u8]; 9] = [
            before,
            &self.seq.to_be_bytes(),
            &self.at.to_be_bytes(),
            self.actor.as_bytes(),
            self.action.as_bytes(),
            self.kind.as_bytes(),
            self.subject.as_bytes(),
            self.reason.as_bytes(),
            self.detail.as_bytes(),
        ];
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().to_vec()
    }
}
