//! A page of evidence: what it shows.

use crate::api::definitions::StageName;
use crate::api::values::Time;
use serde::Serialize;
use utoipa::ToSchema;

/// What a policy, or the policies on a rule, made of what happened.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Evidence {
    /// `policy` or `rule`.
    pub(super) kind: String,
    /// Its name.
    pub(super) name: String,
    /// Its version when the page was made.
    pub(super) version: i64,
    /// How far it might go then.
    pub(super) stage: StageName,
    /// Since when this version stands.
    pub(super) since: Time,
    /// When the page was made.
    pub(super) made_at: Time,
    /// Findings from this time on,
    pub(super) from: Time,
    /// and before this time.
    pub(super) until: Time,
    /// Findings in these projects alone: whoever asked sees no others. Left out: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) projects: Option<Vec<String>>,
    /// What was done, or would have been.
    pub(super) actions: Actions,
    /// When a process would have been killed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<Time>,
    /// And last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Time>,
    /// How often in each hour in which it would have; the last ones.
    pub(super) per_hour: Vec<Hour>,
    /// On which hosts.
    pub(super) hosts: Ranking,
    /// Which processes, and who had started them.
    pub(super) processes: Ranking,
    /// Whose.
    pub(super) users: Ranking,
    /// Of which container images.
    pub(super) images: Ranking,
    /// By which rules.
    pub(super) rules: Vec<RuleShare>,
    /// Findings to look at: of each process the last ones.
    pub(super) samples: Vec<Sample>,
    /// Sensors on which a rule is not evaluated or enforced as it should be, the first ones.
    pub(super) gaps: Vec<Gap>,
    /// What speaks against arming, or should be known first.
    pub(super) warnings: Vec<Warning>,
}

/// How often.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct Actions {
    /// Processes that block would have killed.
    pub(super) would_kill: u64,
    /// Processes that were killed.
    pub(super) killed: u64,
    /// Not done, or not to be done, for protection, scope or budget.
    pub(super) withheld: u64,
    /// Tried, and not done.
    pub(super) failed: u64,
    /// There are more: the newest alone were looked at.
    pub(super) cut: bool,
}

/// One hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct Hour {
    /// Its beginning.
    pub(super) hour: Time,
    /// Processes that would have been killed.
    pub(super) count: u64,
}

/// Those of which there are most.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct Ranking {
    /// How many different ones.
    pub(super) different: usize,
    /// The first ones.
    pub(super) top: Vec<Share>,
}

/// One of many.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct Share {
    /// Its name; empty: not known.
    pub(super) name: String,
    /// The parent's executable, of a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<String>,
    /// Processes that would have been killed.
    pub(super) count: u64,
}

/// What a rule has to do with it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RuleShare {
    /// The rule.
    pub(super) rule: String,
    /// Processes that would have been killed for it.
    pub(super) count: u64,
    /// Its version now; left out: it is there no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<i64>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Time>,
}

/// A finding.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct Sample {
    /// Its id.
    #[schema(format = "uuid")]
    pub(super) finding: String,
    /// When.
    pub(super) time: Time,
    /// Where.
    pub(super) host: String,
    /// What would have been killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) process: Option<String>,
}

/// A sensor on which a rule is not what it should be.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Gap {
    /// The sensor.
    #[schema(format = "uuid")]
    pub(super) sensor: String,
    /// The rule.
    pub(super) rule: String,
    /// How it stands there, such as `cannot_be_enforced`.
    pub(super) mode: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

/// What should be known.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct Warning {
    /// A word for programs.
    pub(super) code: String,
    /// For people.
    pub(super) detail: String,
}
