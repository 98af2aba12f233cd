//! What people change of issues.

use super::{ChangeIssue, Issue, IssueStatus, Rejection, labels};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Uuid};
use crate::changes::Change;
use crate::db::{Dialect, Link, sql};
use crate::error::{Result, StoreError};
use serde_json::{Map, Value, json};

/// Reads an issue that is about to be changed: nobody else changes it meanwhile.
pub(super) async fn hold<L: Link>(link: &mut L, id: Uuid) -> Result<Issue> {
    let text = match L::DIALECT {
        Dialect::Sqlite => "SELECT * FROM issues WHERE id = $1",
        Dialect::Postgres => "SELECT * FROM issues WHERE id = $1 FOR UPDATE",
    };
    let found = link.first(sql("reading an issue", text).bind(id)).await?;
    found.ok_or_else(|| StoreError::not_found("issue", id))
}

/// Refuses a change that says something and its opposite.
pub(super) fn check(change: &ChangeIssue, cause: &Cause) -> Result<()> {
    let invalid = |field, why: &str| {
        let why = why.to_owned();
        Err(StoreError::Invalid { field, why })
    };
    match change.status {
        Some((IssueStatus::Rejected, None)) => invalid(
            "rejection",
            "say why it is rejected: false_positive, accepted_risk, duplicate or other",
        ),
        Some((IssueStatus::Rejected, Some(Rejection::Other))) if cause.reason.is_empty() => {
            invalid("reason", "is empty: say in words why it is rejected")
        }
        Some((status, Some(_))) if status != IssueStatus::Rejected => {
            invalid("rejection", "is only for what is rejected")
        }
        _ => Ok(()),
    }
}

/// Changes it, if it is at the version that was read.
pub(super) async fn change(
    link: &mut impl Link,
    id: Uuid,
    expected: i64,
    change: &ChangeIssue,
    cause: &Cause,
) -> Result<Issue> {
    let before = hold(link, id).await?;
    if before.version != expected {
        return Err(StoreError::Conflict {
            what: "issue",
            id: id.to_string(),
            expected,
            found: before.version,
        });
    }
    write(link, before, change, cause).await
}

/// Adds labels to it.
pub(super) async fn label(
    link: &mut impl Link,
    id: Uuid,
    labels: Vec<String>,
    cause: &Cause,
) -> Result<Issue> {
    let before = hold(link, id).await?;
    let mut all = before.labels.clone();
    all.extend(labels);
    let change = ChangeIssue {
        labels: Some(labels::checked(all)?),
        ..ChangeIssue::default()
    };
    write(link, before, &change, cause).await
}

async fn write(
    link: &mut impl Link,
    before: Issue,
    change: &ChangeIssue,
    cause: &Cause,
) -> Result<Issue> {
    let id = before.id;
    let after = changed(&before, change, cause);
    let detail = difference(&before, &after);
    if detail.is_empty() {
        return Ok(before);
    }
    let update = sql(
        "changing an issue",
        "UPDATE issues SET version = $1, status = $2, rejection = $3, reason = $4, severity = $5, \
         severity_set = $6, assignee = $7, due_at = $8, closed_at = $9, changed_at = $10, \
         labels = $11 WHERE id = $12",
    );
    link.execute(
        update
            .bind(after.version)
            .bind(after.status.name())
            .bind(after.rejection.map(Rejection::name))
            .bind(after.reason.as_str())
            .bind(i64::from(after.severity as u8))
            .bind(after.severity_set)
            .bind(after.assignee)
            .bind(after.due_at)
            .bind(after.closed_at)
            .bind(after.changed_at)
            .bind(labels::joined(&after.labels))
            .bind(id),
    )
    .await?;
    link.announce(Change::Issues).await?;
    let deed = Deed {
        action: "issue.update".to_owned(),
        kind: "issue".to_owned(),
        subject: id.to_string(),
        detail: detail.into(),
    };
    audit::append(link, deed, cause).await?;
    Ok(after)
}

fn changed(before: &Issue, change: &ChangeIssue, cause: &Cause) -> Issue {
    let mut after = before.clone();
    after.version += 1;
    after.changed_at = cause.at;
    if let Some((status, rejection)) = change.status {
        after.status = status;
        after.rejection = rejection;
        after.reason.clone_from(&cause.reason);
        after.closed_at = match (status.is_closed(), before.closed_at) {
            (false, _) => None,
            // Said again, or in other words: it was over by then already.
            (true, Some(at)) if status == before.status => Some(at),
            (true, _) => Some(cause.at),
        };
    }
    if let Some(assignee) = change.assignee {
        after.assignee = assignee;
    }
    if let Some(severity) = change.severity {
        after.severity = severity;
        after.severity_set = true;
    }
    if let Some(labels) = &change.labels {
        after.labels.clone_from(labels);
    }
    if let Some(due_at) = change.due_at {
        after.due_at = due_at;
    }
    after
}

/// What is other than before, for the audit log; empty where nothing is.
fn difference(before: &Issue, after: &Issue) -> Map<String, Value> {
    let of = |issue: &Issue| {
        let rejection = issue.rejection.map(Rejection::name);
        let assignee = issue.assignee.map(|id| id.to_string());
        [
            ("status", json!(issue.status.name())),
            ("rejection", json!(rejection)),
            ("reason", json!(issue.reason)),
            ("severity", json!(issue.severity.name())),
            ("severity_set", json!(issue.severity_set)),
            ("assignee", json!(assignee)),
            ("labels", json!(issue.labels)),
            ("due_at", json!(issue.due_at)),
        ]
    };
    of(before)
        .into_iter()
        .zip(of(after))
        .filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| (name.to_owned(), json!({"from": before, "to": after})))
        .collect()
}
