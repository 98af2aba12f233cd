//! What people decide: rules, policies, lists and projects, each with all its
//! versions.

mod sql;

use crate::basics::{Cause, Micros, Uuid};
use crate::error::{Result, StoreError};
use crate::limits;
use crate::page::{Page, PageSize};
use async_trait::async_trait;

/// What a definition defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A rule.
    Rule,
    /// A response policy.
    Policy,
    /// A named list that rules use.
    List,
    /// A selector over sensors.
    Project,
    /// What is done about findings and issues by itself.
    Playbook,
    /// What a rule leaves alone.
    Exception,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] = [
        Kind::Rule,
        Kind::Policy,
        Kind::List,
        Kind::Project,
        Kind::Playbook,
        Kind::Exception,
    ];

    /// Whether its body is a rule file, checked together with all others.
    pub const fn is_rule_file(self) -> bool {
        matches!(self, Kind::Rule | Kind::Policy | Kind::List)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Rule => "rule",
            Kind::Policy => "policy",
            Kind::List => "list",
            Kind::Project => "project",
            Kind::Playbook => "playbook",
            Kind::Exception => "exception",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How far a definition may go. What is new begins as a draft; each step forward
/// is one, a step back may be any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// On no sensor.
    Draft,
    /// On sensors; nothing is blocked.
    Simulate,
    /// On sensors; may block. Lists and projects in use stand here too.
    Block,
}

impl Stage {
    /// Every stage, the first one first.
    pub const ALL: [Stage; 3] = [Stage::Draft, Stage::Simulate, Stage::Block];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Draft => "draft",
            Stage::Simulate => "simulate",
            Stage::Block => "block",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// Whether it may follow on `self`.
    pub fn may_become(self, next: Stage) -> bool {
        next as u8 <= self as u8 + 1
    }
}

/// What one version says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// How far it may go.
    pub stage: Stage,
    /// As its author wrote it; for a project, its selector.
    pub body: String,
    /// The projects it is for; none: every sensor.
    pub projects: Vec<Uuid>,
}

/// A definition, at one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Stays the same over all versions.
    pub id: Uuid,
    /// What it is.
    pub kind: Kind,
    /// Unique among those of its kind that are not deleted.
    pub name: String,
    /// From 1.
    pub version: i64,
    /// What this version says.
    pub content: Content,
    /// Who made this version.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub changed_at: Micros,
    /// It is there no more; its versions are.
    pub deleted: bool,
}

/// Which definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefinitionFilter {
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those at one of these stages; empty: any.
    pub stages: Vec<Stage>,
    /// Those for one of these projects, or for every sensor.
    pub projects: Option<Vec<Uuid>>,
}

/// Rules, policies, lists and projects.
#[async_trait]
pub trait Definitions: Send + Sync {
    /// Makes the first version. It must be a draft unless it is a list or project.
    async fn define(
        &self,
        kind: Kind,
        name: &str,
        content: Content,
        cause: &Cause,
    ) -> Result<Definition>;

    /// Makes the next version of the one that the author has read.
    ///
    /// Whether the author may arm a block is the caller's to ask: of every new
    /// version whose stage is [`Stage::Block`], even if the one before was there.
    async fn redefine(
        &self,
        id: Uuid,
        expected: i64,
        content: Content,
        cause: &Cause,
    ) -> Result<Definition>;

    /// As [`redefine`](Self::redefine), for a version that may block while the one
    /// before might not: the page of evidence of the version before is named in the
    /// audit entry, and stays from then on. An error if there is no such page.
    async fn arm(
        &self,
        id: Uuid,
        expected: i64,
        content: Content,
        evidence: &str,
        cause: &Cause,
    ) -> Result<Definition>;

    /// Takes it out, as a last version. Its name is free then.
    async fn undefine(&self, id: Uuid, expected: i64, cause: &Cause) -> Result<()>;

    /// The latest version, of a deleted one too.
    async fn definition(&self, id: Uuid) -> Result<Definition>;

    /// The latest version of the one that has this name.
    async fn definition_named(&self, kind: Kind, name: &str) -> Result<Definition>;

    /// Whether one of that kind has this name, or had it and was deleted.
    async fn was_defined(&self, kind: Kind, name: &str) -> Result<bool>;

    /// The latest versions of those that are not deleted, by name.
    async fn definitions(
        &self,
        filter: &DefinitionFilter,
        after: Option<(String, Uuid)>,
        size: PageSize,
    ) -> Result<Page<Definition, (String, Uuid)>>;

    /// Versions of one, newest first.
    async fn versions(
        &self,
        id: Uuid,
        before: Option<i64>,
        size: PageSize,
    ) -> Result<Page<Definition, i64>>;
}

impl Content {
    pub(crate) fn check(&self) -> Result<()> {
        limits::text("body", &self.body, limits::MAX_BODY)?;
        limits::count("projects", self.projects.len(), limits::MAX_PROJECTS)
    }

    /// Each project once, in order.
    pub(crate) fn in_order(mut self) -> Content {
        self.projects.sort_unstable();
        self.projects.dedup();
        self
    }
}

/// Lists and projects have no life cycle of their own.
pub(crate) fn check_step(kind: Kind, id: Uuid, from: Option<Stage>, to: Stage) -> Result<()> {
    let free = matches!(kind, Kind::List | Kind::Project | Kind::Exception);
    let allowed = match from {
        None => to == Stage::Draft,
        Some(from) => from.may_become(to),
    };
    if free || allowed {
        return Ok(());
    }
    Err(StoreError::Transition {
        what: kind.name(),
        id: id.to_string(),
        from: from.map_or("nothing", Stage::name),
        to: to.name(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_by_one_step_and_back_by_any() {
        assert!(Stage::Draft.may_become(Stage::Draft));
        assert!(Stage::Draft.may_become(Stage::Simulate));
        assert!(!Stage::Draft.may_become(Stage::Block));
        assert!(Stage::Simulate.may_become(Stage::Block));
        assert!(Stage::Block.may_become(Stage::Draft));
    }
}
