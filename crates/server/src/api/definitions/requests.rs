//! What goes in and comes out.

use crate::api::problem::Diagnostic;
use crate::api::values::Time;
use picket_store::{Kind, Stage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How far a rule or policy may go. New ones are drafts; each step forward is one, a
/// step back may be any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum StageName {
    /// On no sensor.
    Draft,
    /// On sensors; nothing is blocked.
    Simulate,
    /// On sensors; may block.
    Block,
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Stage {
        match name {
            StageName::Draft => Stage::Draft,
            StageName::Simulate => Stage::Simulate,
            StageName::Block => Stage::Block,
        }
    }
}

impl From<Stage> for StageName {
    fn from(stage: Stage) -> StageName {
        match stage {
            Stage::Draft => StageName::Draft,
            Stage::Simulate => StageName::Simulate,
            Stage::Block => StageName::Block,
        }
    }
}

/// A rule, policy or list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DefinitionView {
    /// Stays the same over all versions.
    #[schema(format = "uuid")]
    pub(super) id: String,
    /// `rule`, `policy` or `list`.
    pub(super) kind: String,
    /// A rule's or policy's id in the rule language; a list's file.
    pub(super) name: String,
    /// For `If-Match`, as in the ETag.
    pub(super) version: i64,
    /// How far it may go; lists have no stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<StageName>,
    /// The projects it is for; none: every sensor.
    pub(super) projects: Vec<String>,
    /// As its author wrote it: a rule file.
    pub(super) body: String,
    /// Who made this version.
    pub(super) changed_by: String,
    /// Why.
    pub(super) reason: String,
    /// When.
    pub(super) changed_at: Time,
    /// Warnings and notes on what was just written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// One version.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct VersionView {
    /// From 1.
    pub(super) version: i64,
    /// How far it might go.
    pub(super) stage: StageName,
    /// What it said.
    pub(super) body: String,
    /// Who made it.
    pub(super) changed_by: String,
    /// Why.
    pub(super) reason: String,
    /// When.
    pub(super) changed_at: Time,
    /// It is the version that took it out.
    pub(super) deleted: bool,
}

/// A rule, policy or list to be made. Rules and policies begin as drafts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewDefinition {
    /// Its name: a rule's or policy's id; for lists, any. Lower case letters, digits and `.-_`.
    pub(super) name: String,
    /// A rule file with one rule (or policy) and what it alone uses; or with lists and macros.
    pub(super) body: String,
    /// Why.
    #[serde(default)]
    pub(super) reason: String,
}

/// The next version of one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ChangeDefinition {
    /// The whole of it.
    pub(super) body: String,
    /// How far it may go; left out: as far as until now.
    pub(super) stage: Option<StageName>,
    /// To let it block: the digest of the evidence that was looked at.
    pub(super) evidence: Option<String>,
    /// Why.
    #[serde(default)]
    pub(super) reason: String,
}

/// A step of the life cycle.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct StageChange {
    /// Where to.
    pub(super) stage: StageName,
    /// To let it block: the digest of the evidence that was looked at.
    pub(super) evidence: Option<String>,
    /// Why. To let something block takes a reason.
    #[serde(default)]
    pub(super) reason: String,
}

/// Why something is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DeleteQuery {
    /// Why.
    #[serde(default)]
    #[param(required = false)]
    pub(in crate::api) reason: String,
}

/// Which definitions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ListQuery {
    /// Those at this stage.
    #[param(inline)]
    pub(super) stage: Option<StageName>,
    /// Those for this project, or for every sensor.
    pub(super) project: Option<String>,
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
}

/// Two versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DiffQuery {
    /// The older one; left out: the one before `to`.
    pub(super) from: Option<i64>,
    /// The newer one; left out: the latest.
    pub(super) to: Option<i64>,
}

/// What changed between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DiffView {
    /// The older one.
    pub(super) from: i64,
    /// The newer one.
    pub(super) to: i64,
    /// The stages, if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stages: Option<[StageName; 2]>,
    /// Line by line, as `diff -u` has it; empty: the texts are the same.
    pub(super) diff: String,
}

/// Where a kind's texts lie, in diagnostics and exports.
pub(in crate::api) fn file_name(kind: Kind, name: &str) -> String {
    let folder = match kind {
        Kind::Rule => "rules",
        Kind::Policy => "policies",
        Kind::List => "lists",
        Kind::Project => "projects",
        Kind::Playbook => "playbooks",
        Kind::Exception => "exceptions",
    };
    format!("{folder}/{name}.yaml")
}
