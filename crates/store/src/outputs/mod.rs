//! What waits to be told to others: a queue of findings for each output.
//!
//! ```text
//! digest ─► output_queue ─ queued_findings ─► output ─ told ─► gone
//!               one replica at a time: hold_output
//! ```
//! A finding is queued in the transaction that digests it, so none is missed, however
//! many replicas store findings at once. It goes when it was told: one may be told twice.

mod sql;

pub(crate) use sql::queue;

use crate::basics::{Micros, Uuid};
use crate::error::Result;
use async_trait::async_trait;
use serde_json::Value;

/// A finding that an output is to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForOutput {
    /// The output's name.
    pub output: String,
    /// The store's id for the finding.
    pub finding: Uuid,
}

/// A finding that waits for an output.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedFinding {
    /// The store's id for it.
    pub id: Uuid,
    /// Its OCSF; none if it was deleted before it was told.
    pub ocsf: Option<Value>,
}

/// The queues of outputs.
#[async_trait]
pub trait Outputs: Send + Sync {
    /// Takes an output for a time, or goes on holding it; false if another has it.
    async fn hold_output(
        &self,
        output: &str,
        holder: Uuid,
        until: Micros,
        now: Micros,
    ) -> Result<bool>;

    /// Lets an output go, if this one holds it.
    async fn release_output(&self, output: &str, holder: Uuid) -> Result<()>;

    /// Up to so many findings that wait for an output, those that came first at the front.
    async fn queued_findings(&self, output: &str, limit: u32) -> Result<Vec<QueuedFinding>>;

    /// These were told, or never will be.
    async fn told(&self, output: &str, findings: &[Uuid]) -> Result<()>;

    /// How many findings wait, by output; those with none are left out.
    async fn output_backlog(&self) -> Result<Vec<(String, i64)>>;

    /// Empties the queues of all outputs but these; how many findings waited there.
    async fn forget_other_outputs(&self, keep: &[String]) -> Result<u64>;
}
