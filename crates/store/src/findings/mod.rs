//! Findings: stored in batches, each once, read in pages by any mix of filters,
//! deleted when there are too many.

mod filter;
mod rates;
mod retention;
mod sql;
mod write;

pub(crate) use sql::severity_of_row;
pub(crate) use write::insert_rows;

pub use rates::RuleRate;

use crate::basics::{Micros, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use serde_json::Value;

/// What findings are grouped by, and by which version of the recipe.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The recipe's version.
    pub version: i64,
    /// What it gave.
    pub value: String,
}

/// What findings are looked for by. Texts longer than
/// [`MAX_FINDING_TEXT`](crate::limits::MAX_FINDING_TEXT) are cut: the JSON has
/// them whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingColumns {
    /// When it happened, by the sensor's clock.
    pub time: Micros,
    /// How bad it is.
    pub severity: Severity,
    /// What was done about it.
    pub disposition: Disposition,
    /// The rule that matched.
    pub rule: String,
    /// The host's name.
    pub host: String,
    /// The container's id.
    pub container: Option<String>,
    /// The container's image.
    pub image: Option<String>,
    /// Who acted: the user's name, or number where there is no name.
    pub user: Option<String>,
    /// What acted: the path, or name where there is no path.
    pub process: Option<String>,
    /// What it is grouped by.
    pub fingerprint: Fingerprint,
}

/// A finding, as a sensor delivers it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFinding {
    /// The sensor that delivers it: from its certificate, not from its words.
    pub sensor: Uuid,
    /// The sensor's own id for it: a second one of this id is the same.
    pub uid: String,
    /// What it is looked for by.
    pub columns: FindingColumns,
    /// The projects that its sensor was in.
    pub projects: Vec<Uuid>,
    /// The whole of it, as OCSF.
    pub ocsf: Value,
    /// What is made of it later is made of this: see [`Digest`](crate::Digest). At most
    /// [`MAX_FACTS`](crate::limits::MAX_FACTS) bytes; more is left out.
    pub facts: Value,
}

/// A finding, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// The store's id for it.
    pub id: Uuid,
    /// The sensor that delivered it.
    pub sensor: Uuid,
    /// The sensor's id for it.
    pub uid: String,
    /// When it was stored.
    pub received_at: Micros,
    /// What it is looked for by.
    pub columns: FindingColumns,
}

/// What became of a delivered finding. Whatever it is, the sensor need not
/// deliver it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// Stored, under this id.
    New(Uuid),
    /// It was there already.
    Known,
    /// It cannot be stored, and why.
    Refused(&'static str),
}

/// Which findings. An empty list does not filter; several values are alternatives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FindingFilter {
    /// From this time on.
    pub from: Option<Micros>,
    /// Before this time.
    pub until: Option<Micros>,
    /// How bad.
    pub severities: Vec<Severity>,
    /// What was done.
    pub dispositions: Vec<Disposition>,
    /// Rules.
    pub rules: Vec<String>,
    /// In one of these projects. None: in any or none; an empty list: nothing at
    /// all, for one who may see no project.
    pub projects: Option<Vec<Uuid>>,
    /// Host names.
    pub hosts: Vec<String>,
    /// Container ids.
    pub containers: Vec<String>,
    /// Container images.
    pub images: Vec<String>,
    /// Users.
    pub users: Vec<String>,
    /// Processes.
    pub processes: Vec<String>,
    /// Fingerprints, of any version.
    pub fingerprints: Vec<String>,
}

/// Where the next page of findings begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingCursor {
    /// The last one's time.
    pub time: Micros,
    /// The last one's id.
    pub id: Uuid,
}

/// How many findings may stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// This many.
    pub findings: Option<i64>,
    /// So many that their JSON has this many bytes together.
    pub bytes: Option<i64>,
}

/// How many findings there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// This many.
    pub findings: i64,
    /// The bytes of their JSON, as delivered. What the database needs for it is
    /// more: indexes, pages.
    pub bytes: i64,
}

/// Findings.
#[async_trait]
pub trait Findings: Send + Sync {
    /// Stores a delivery; says of each finding, in the same order, what became of
    /// it. Two deliveries of the same finding, at the same time too, store it once.
    async fn store_findings(
        &self,
        findings: Vec<NewFinding>,
        received_at: Micros,
    ) -> Result<Vec<Delivered>>;

    /// Findings, newest first. What arrives meanwhile and is newer than the cursor is
    /// on no later page.
    async fn findings(
        &self,
        filter: &FindingFilter,
        before: Option<FindingCursor>,
        size: PageSize,
    ) -> Result<Page<FindingRow, FindingCursor>>;

    /// Findings in the order of their ids, from an id on: for who follows them. Ids are
    /// made before the commit, so a finding may come with an id that is smaller than
    /// others that were there already, by moments: ask again from a little before.
    async fn findings_stored_after(
        &self,
        filter: &FindingFilter,
        after: Uuid,
        size: PageSize,
    ) -> Result<Page<FindingRow, Uuid>>;

    /// One finding.
    async fn finding(&self, id: Uuid) -> Result<FindingRow>;

    /// The projects of one finding, in order.
    async fn finding_projects(&self, id: Uuid) -> Result<Vec<Uuid>>;

    /// The OCSF of some findings, at most a page of them; those that are not there
    /// any more are left out.
    async fn findings_ocsf(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, Value)>>;

    /// Which rules made how many findings since then, the most first; of the newest
    /// 100,000 findings.
    async fn rule_rates(&self, since: Micros) -> Result<Vec<RuleRate>>;

    /// How many there are.
    async fn findings_tally(&self) -> Result<Tally>;

    /// Deletes the oldest from before this time, a bounded number. How many it were:
    /// fewer than the step means that it is done.
    async fn delete_findings_before(&self, time: Micros, step: u32) -> Result<u64>;

    /// Deletes the oldest that are too many, a bounded number. How many it were:
    /// fewer than the step means that it is done.
    async fn trim_findings(&self, keep: Keep, step: u32) -> Result<u64>;
}
