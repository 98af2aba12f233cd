//! From findings to what they lead to: issues, the graph, jobs and whatever else hangs on them.
//!
//! ```text
//! store_findings ─► findings + findings_pending                           one transaction
//! digest: findings_pending ─ Digester::findings ─► issues, graph, jobs, … one transaction:
//!                             Digester::issues ◄─ what became of them      exactly once
//! ```
//! Any replica may digest at any time: one takes what another has not taken. What a
//! finding means is not known here: that is the [`Digester`]'s.

mod sql;

use crate::basics::{Micros, Uuid};
use crate::error::Result;
use crate::evidence::PolicyFinding;
use crate::findings::FindingColumns;
use crate::graph::GraphWrites;
use crate::issues::{IssueChange, IssueOpening};
use crate::jobs::NewJob;
use crate::outputs::ForOutput;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;

/// A finding that was not digested yet.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingFinding {
    /// The store's id for it.
    pub id: Uuid,
    /// The sensor that delivered it.
    pub sensor: Uuid,
    /// When it was stored.
    pub received_at: Micros,
    /// What it is looked for by.
    pub columns: FindingColumns,
    /// The projects that it is in.
    pub projects: Vec<Uuid>,
    /// What [`NewFinding::facts`](crate::NewFinding::facts) was; null where that cannot
    /// be read.
    pub facts: Value,
}

/// What findings lead to.
#[derive(Debug, Clone, Default)]
pub struct FindingWrites {
    /// Issues that they open, or are counted in.
    pub openings: Vec<IssueOpening>,
    /// What response policies made of them.
    pub policies: Vec<PolicyFinding>,
    /// What they add to the graph.
    pub graph: GraphWrites,
    /// Work to be done.
    pub jobs: Vec<NewJob>,
    /// Outputs that are to tell of them.
    pub outputs: Vec<ForOutput>,
    /// Findings of which nothing could be made.
    pub skipped: u32,
}

/// What changes of issues lead to.
#[derive(Debug, Clone, Default)]
pub struct IssueWrites {
    /// What it adds to the graph.
    pub graph: GraphWrites,
    /// Work to be done.
    pub jobs: Vec<NewJob>,
}

/// Says what findings lead to. It is called within a transaction that others wait for:
/// it must be quick, do no input or output, and give the same for the same findings. If it
/// panics, the finding that it panics at is skipped.
pub trait Digester: Send + Sync {
    /// What findings lead to.
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites;
    /// What it leads to that issues were opened, reopened, or counted on.
    fn issues(&self, changes: &[IssueChange]) -> IssueWrites;
}

/// What one digest did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digested {
    /// Findings that were taken: no longer pending, whatever became of them.
    pub findings: u32,
    /// Those of which nothing could be made, or stored.
    pub skipped: u32,
    /// Issues that were opened.
    pub opened: u32,
    /// Issues that were closed and are open again.
    pub reopened: u32,
    /// When the first one of them was stored.
    pub oldest: Option<Micros>,
}

/// Digesting.
#[async_trait]
pub trait Digest: Send + Sync {
    /// Takes up to so many pending findings, the longest waiting first, and writes
    /// what they lead to. If a finding's own writes cannot be stored, the others' are,
    /// and it is skipped.
    async fn digest(
        &self,
        digester: Arc<dyn Digester>,
        limit: u32,
        now: Micros,
    ) -> Result<Digested>;

    /// How many findings are pending.
    async fn findings_pending(&self) -> Result<i64>;
}
