//! Evidence: what response policies made of findings, and the pages of it that were
//! shown to those who decide.

mod sql;

pub(crate) use sql::{attach, insert};

use crate::basics::{Micros, Uuid};
use crate::error::Result;
use async_trait::async_trait;
use picket_model::severity::Severity;

/// What one response policy made of one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFinding {
    /// The policy.
    pub policy: String,
    /// When the finding was.
    pub time: Micros,
    /// The finding.
    pub finding: Uuid,
    /// `simulated`, `acted`, `withheld` or `failed`.
    pub outcome: String,
    /// Whether the policy asks for the process to be killed.
    pub kill: bool,
    /// The executable of the process's parent.
    pub parent: Option<String>,
}

/// Whose evidence it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceOf {
    /// A policy, whatever rule set it off.
    Policy(String),
    /// A rule, whatever policy it set off.
    Rule(String),
}

/// Which evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceFilter {
    /// Whose.
    pub of: EvidenceOf,
    /// From this time on.
    pub from: Micros,
    /// Before this time.
    pub until: Micros,
    /// Of findings in one of these projects. None: of all.
    pub projects: Option<Vec<Uuid>>,
}

/// A finding, and what a policy made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedFinding {
    /// What the policy made of it.
    pub by: PolicyFinding,
    /// How bad it is.
    pub severity: Severity,
    /// The rule that matched.
    pub rule: String,
    /// The host.
    pub host: String,
    /// The container's image.
    pub image: Option<String>,
    /// Who acted.
    pub user: Option<String>,
    /// What acted: what would have been killed.
    pub process: Option<String>,
}

/// A page of evidence that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidencePage {
    /// SHA-256 of `page`, in hex: what it is named by.
    pub digest: String,
    /// The policy or rule.
    pub definition: Uuid,
    /// In this version of it.
    pub version: i64,
    /// When it was made.
    pub made_at: Micros,
    /// JSON, byte for byte as its digest was taken.
    pub page: String,
    /// When somebody armed on it. From then on it stays.
    pub armed_at: Option<Micros>,
}

/// Evidence.
#[async_trait]
pub trait Evidence: Send + Sync {
    /// What policies made of findings, newest first, up to so many
    /// ([`MAX_EVIDENCE`](crate::limits::MAX_EVIDENCE)).
    async fn judged_findings(
        &self,
        filter: &EvidenceFilter,
        limit: u32,
    ) -> Result<Vec<JudgedFinding>>;

    /// Keeps a page that is being shown. Pages of which nothing came are forgotten
    /// after [`EVIDENCE_KEPT`](crate::limits::EVIDENCE_KEPT).
    async fn keep_evidence(&self, page: EvidencePage) -> Result<()>;

    /// A page, by its digest.
    async fn evidence(&self, digest: &str) -> Result<EvidencePage>;
}
