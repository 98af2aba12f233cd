//! Issues: what a person works on. Findings of one fingerprint are one issue, for
//! good: it is counted on, and reopened when it comes back.
//!
//! ```text
//!          ┌────────── somebody says so ──────────┐
//! finding ─► open ◄──► in progress ──► resolved ──┤
//!             ▲ │           │             │       ▼
//!             │ └───────────┴──────► rejected (counted, stays rejected)
//!             └─ a finding from after the resolution
//! ```

mod change;
mod filter;
mod labels;
mod notes;
mod open;
mod sql;

pub use labels::check_all as check_labels;
pub(crate) use open::open;

use crate::basics::{Cause, Micros, Uuid};
use crate::error::Result;
use crate::findings::Fingerprint;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use picket_model::severity::Severity;

/// Where the work on an issue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IssueStatus {
    /// Nobody has begun.
    Open,
    /// Somebody works on it.
    InProgress,
    /// It is over. A finding from after that reopens it.
    Resolved,
    /// It is none, and why. Findings are counted and change nothing.
    Rejected,
}

impl IssueStatus {
    /// All of them.
    pub const ALL: [IssueStatus; 4] = [
        IssueStatus::Open,
        IssueStatus::InProgress,
        IssueStatus::Resolved,
        IssueStatus::Rejected,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            IssueStatus::Open => "open",
            IssueStatus::InProgress => "in_progress",
            IssueStatus::Resolved => "resolved",
            IssueStatus::Rejected => "rejected",
        }
    }

    /// The status of a word.
    pub fn of_name(name: &str) -> Option<IssueStatus> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing is left to do.
    pub const fn is_closed(self) -> bool {
        matches!(self, IssueStatus::Resolved | IssueStatus::Rejected)
    }
}

/// Why an issue was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The rule matched what it should not.
    FalsePositive,
    /// It is so, and may stay so.
    AcceptedRisk,
    /// Another issue is about the same.
    Duplicate,
    /// What the words beside it say.
    Other,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Rejection; 4] = [
        Rejection::FalsePositive,
        Rejection::AcceptedRisk,
        Rejection::Duplicate,
        Rejection::Other,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Rejection::FalsePositive => "false_positive",
            Rejection::AcceptedRisk => "accepted_risk",
            Rejection::Duplicate => "duplicate",
            Rejection::Other => "other",
        }
    }

    /// The reason of a word.
    pub fn of_name(name: &str) -> Option<Rejection> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its id.
    pub id: Uuid,
    /// Goes up with each change of what people work with: status, severity, assignee.
    /// Not with each finding that is counted.
    pub version: i64,
    /// What its findings have in common.
    pub fingerprint: Fingerprint,
    /// Where the work on it stands.
    pub status: IssueStatus,
    /// Why it was rejected, if it was.
    pub rejection: Option<Rejection>,
    /// What was said when the status was last changed; may be empty.
    pub reason: String,
    /// How bad it is: the worst of its findings, unless somebody set it.
    pub severity: Severity,
    /// Whether somebody set the severity: findings do not change it then.
    pub severity_set: bool,
    /// One line for people: the rule's title.
    pub title: String,
    /// The rule that matched.
    pub rule: String,
    /// The host's name.
    pub host: String,
    /// The Kubernetes namespace.
    pub namespace: Option<String>,
    /// The container's image.
    pub image: Option<String>,
    /// The user who works on it.
    pub assignee: Option<Uuid>,
    /// What people sort it by, in order.
    pub labels: Vec<String>,
    /// How many findings there were, those that retention has deleted too.
    pub count: i64,
    /// When the first one happened.
    pub first_seen: Micros,
    /// When the last one happened.
    pub last_seen: Micros,
    /// When it was opened, or last reopened.
    pub opened_at: Micros,
    /// Until when it should be closed.
    pub due_at: Micros,
    /// When it was closed, if it is.
    pub closed_at: Option<Micros>,
    /// How often it came back.
    pub reopened: i64,
    /// When people or findings last changed what the version counts.
    pub changed_at: Micros,
}

/// Findings of one fingerprint that open an issue, or are counted in the one that
/// is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueOpening {
    /// What they have in common.
    pub fingerprint: Fingerprint,
    /// The worst of them.
    pub severity: Severity,
    /// One line for people.
    pub title: String,
    /// The rule that matched.
    pub rule: String,
    /// The host's name.
    pub host: String,
    /// The Kubernetes namespace.
    pub namespace: Option<String>,
    /// The container's image.
    pub image: Option<String>,
    /// When the first one happened.
    pub first_seen: Micros,
    /// When the last one happened.
    pub last_seen: Micros,
    /// How long people have for it, from when it is opened.
    pub due_after: Micros,
    /// All projects that they are in.
    pub projects: Vec<Uuid>,
    /// The findings; as many as they are, the count goes up.
    pub findings: Vec<Uuid>,
}

/// What findings did to an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IssueEvent {
    /// There was none: it was opened.
    Opened,
    /// It was resolved, and came back.
    Reopened,
    /// It is worse than it was.
    Raised,
    /// It was counted, nothing else.
    Counted,
}

impl IssueEvent {
    const ALL: [IssueEvent; 4] = [
        IssueEvent::Opened,
        IssueEvent::Reopened,
        IssueEvent::Raised,
        IssueEvent::Counted,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            IssueEvent::Opened => "opened",
            IssueEvent::Reopened => "reopened",
            IssueEvent::Raised => "raised",
            IssueEvent::Counted => "counted",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<IssueEvent> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// An issue on which findings were counted, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueChange {
    /// What they did to it.
    pub event: IssueEvent,
    /// The issue.
    pub issue: Issue,
    /// The findings.
    pub findings: Vec<Uuid>,
    /// The projects that these are in.
    pub projects: Vec<Uuid>,
}

/// Which issues. An empty list does not filter; several values are alternatives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssueFilter {
    /// Where the work stands.
    pub statuses: Vec<IssueStatus>,
    /// How bad.
    pub severities: Vec<Severity>,
    /// Rules.
    pub rules: Vec<String>,
    /// Host names.
    pub hosts: Vec<String>,
    /// Kubernetes namespaces.
    pub namespaces: Vec<String>,
    /// Container images.
    pub images: Vec<String>,
    /// Fingerprints, of any version.
    pub fingerprints: Vec<String>,
    /// Who works on it.
    pub assignees: Vec<Uuid>,
    /// Labels.
    pub labels: Vec<String>,
    /// Those alone that nobody works on.
    pub unassigned: bool,
    /// Those alone that are not closed and were due before this time.
    pub overdue_at: Option<Micros>,
    /// Those alone whose title, rule or host holds this text, in upper or lower case
    /// (of ASCII letters).
    pub text: Option<String>,
    /// In one of these projects. None: in any or none; an empty list: nothing at all,
    /// for one who may see no project.
    pub projects: Option<Vec<Uuid>>,
}

/// Where the next page of issues begins. An issue that is counted on moves to the front:
/// it may be seen again there, or missed behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueCursor {
    /// When the last one was last seen.
    pub last_seen: Micros,
    /// The last one's id.
    pub id: Uuid,
}

/// What somebody changes of an issue; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeIssue {
    /// Where the work stands, and why it was rejected, if that is where.
    pub status: Option<(IssueStatus, Option<Rejection>)>,
    /// Who works on it, or nobody.
    pub assignee: Option<Option<Uuid>>,
    /// How bad it is, whatever its findings say from now on.
    pub severity: Option<Severity>,
    /// Until when it should be closed.
    pub due_at: Option<Micros>,
    /// All labels that it is to have.
    pub labels: Option<Vec<String>>,
}

/// What somebody, or something, said about an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueNote {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: Micros,
    /// Who, such as `user:anna`.
    pub author: String,
    /// What.
    pub text: String,
}

/// How many issues there are that are not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenIssues {
    /// Of this severity.
    pub severity: Severity,
    /// So many.
    pub open: i64,
    /// And of these so many should have been closed.
    pub overdue: i64,
}

/// Issues.
#[async_trait]
pub trait Issues: Send + Sync {
    /// Issues, the last seen first.
    async fn issues(
        &self,
        filter: &IssueFilter,
        before: Option<IssueCursor>,
        size: PageSize,
    ) -> Result<Page<Issue, IssueCursor>>;

    /// An issue.
    async fn issue(&self, id: Uuid) -> Result<Issue>;

    /// The projects that their findings were in: pairs of an issue and a project.
    async fn issues_projects(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>>;

    /// Changes an issue that was read at this version. The cause's reason is kept with a
    /// new status.
    async fn change_issue(
        &self,
        id: Uuid,
        expected: i64,
        change: ChangeIssue,
        cause: &Cause,
    ) -> Result<Issue>;

    /// Adds labels to an issue, whatever its version is: it may be done twice.
    async fn label_issue(&self, id: Uuid, labels: &[String], cause: &Cause) -> Result<Issue>;

    /// Opens an issue of findings whose rule does not, or reopens one that was resolved
    /// before they happened. Where there is one already, nothing is counted: it may be
    /// done twice.
    async fn open_issue(&self, opening: IssueOpening, cause: &Cause) -> Result<IssueChange>;

    /// Adds a note to an issue.
    async fn add_issue_note(&self, id: Uuid, text: &str, cause: &Cause) -> Result<IssueNote>;

    /// The notes of an issue, the oldest first.
    async fn issue_notes(
        &self,
        id: Uuid,
        after: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<IssueNote, Uuid>>;

    /// How many are not closed, of each severity that has some.
    async fn open_issues(&self, now: Micros) -> Result<Vec<OpenIssues>>;

    /// Deletes up to so many issues that are closed, and of which nothing was seen or
    /// changed since a time.
    async fn delete_closed_issues(&self, before: Micros, step: u32) -> Result<u64>;
}
