//! Opening issues, and counting on them: one statement for many.

use super::{Issue, IssueChange, IssueEvent, IssueOpening, IssueStatus, Rejection, notes};
use crate::basics::{Micros, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Columns, Link, Record, in_dialect};
use crate::error::{Result, StoreError};
use crate::findings::{Fingerprint, severity_of_row};
use crate::limits::{MAX_FINDING_TEXT, MAX_ISSUE_TITLE, clip};
use sea_query::{Expr, OnConflict, Query};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one INSERT, as for findings.
const ROWS: usize = 100;

impl Record for Issue {
    fn read(row: &impl Columns) -> Result<Issue> {
        Ok(Issue {
            id: row.id("id")?,
            version: row.int("version")?,
            fingerprint: Fingerprint {
                version: row.int("fingerprint_version")?,
                value: row.text("fingerprint")?,
            },
            status: row.word("status", IssueStatus::of_name)?,
            rejection: row
                .get::<Option<String>>("rejection")?
                .map(|word| {
                    Rejection::of_name(&word).ok_or_else(|| StoreError::damaged("rejection", word))
                })
                .transpose()?,
            reason: row.text("reason")?,
            severity: severity_of_row(row)?,
            severity_set: row.get("severity_set")?,
            title: row.text("title")?,
            rule: row.text("rule")?,
            host: row.text("host")?,
            namespace: row.get("namespace")?,
            image: row.get("image")?,
            assignee: row.get("assignee")?,
            labels: super::labels::split(&row.text("labels")?),
            count: row.int("count")?,
            first_seen: row.int("first_seen")?,
            last_seen: row.int("last_seen")?,
            opened_at: row.int("opened_at")?,
            due_at: row.int("due_at")?,
            closed_at: row.get("closed_at")?,
            reopened: row.int("reopened")?,
            changed_at: row.int("changed_at")?,
        })
    }
}

/// An issue as it was written, and what was done to it.
struct Written(Issue, IssueEvent);

impl Record for Written {
    fn read(row: &impl Columns) -> Result<Written> {
        let event = row.word("event", IssueEvent::of_name)?;
        Ok(Written(Issue::read(row)?, event))
    }
}

type Key = (String, i64);

/// Opens issues, reopens those that came back, and counts on the others. What is the
/// same is done once; in the order of the keys, as every replica does it.
pub(crate) async fn open(
    link: &mut impl Link,
    openings: Vec<IssueOpening>,
    now: Micros,
) -> Result<Vec<IssueChange>> {
    let mut openings = merged(openings);
    let mut changes = Vec::with_capacity(openings.len());
    let keys: Vec<Key> = openings.keys().cloned().collect();
    for keys in keys.chunks(ROWS) {
        let chunk: Vec<&IssueOpening> = keys.iter().filter_map(|key| openings.get(key)).collect();
        for Written(issue, event) in upsert(link, &chunk, now).await? {
            let print = &issue.fingerprint;
            let Some(opening) = openings.remove(&(print.value.clone(), print.version)) else {
                return Err(StoreError::damaged("fingerprint", &print.value));
            };
            changes.push(IssueChange {
                event,
                issue,
                findings: opening.findings,
                projects: opening.projects,
            });
        }
    }
    let projects: BTreeSet<(Uuid, Uuid)> = changes
        .iter()
        .flat_map(|change| change.projects.iter().map(|id| (change.issue.id, *id)))
        .collect();
    add_projects(link, projects).await?;
    for change in &changes {
        if change.event == IssueEvent::Reopened {
            notes::came_back(link, change.issue.id, change.findings.len(), now).await?;
        }
    }
    if !changes.is_empty() {
        link.announce(Change::Issues).await?;
    }
    Ok(changes)
}

fn merged(openings: Vec<IssueOpening>) -> BTreeMap<Key, IssueOpening> {
    let mut merged: BTreeMap<Key, IssueOpening> = BTreeMap::new();
    for mut opening in openings {
        opening.title = clip(&opening.title, MAX_ISSUE_TITLE);
        for text in [&mut opening.rule, &mut opening.host] {
            *text = clip(text, MAX_FINDING_TEXT);
        }
        for text in [&mut opening.namespace, &mut opening.image] {
            *text = text.as_deref().map(|text| clip(text, MAX_FINDING_TEXT));
        }
        opening.fingerprint.value = clip(&opening.fingerprint.value, MAX_FINDING_TEXT);
        let print = &opening.fingerprint;
        let key = (print.value.clone(), print.version);
        let Some(before) = merged.get_mut(&key) else {
            merged.insert(key, opening);
            continue;
        };
        before.severity = before.severity.max(opening.severity);
        before.first_seen = before.first_seen.min(opening.first_seen);
        before.last_seen = before.last_seen.max(opening.last_seen);
        before.due_after = before.due_after.min(opening.due_after);
        before.projects.extend(opening.projects);
        before.findings.extend(opening.findings);
    }
    merged
}

const COLUMNS: [&str; 19] = [
    "id",
    "fingerprint",
    "fingerprint_version",
    "version",
    "status",
    "severity",
    "title",
    "rule",
    "host",
    "namespace",
    "image",
    "count",
    "first_seen",
    "last_seen",
    "opened_at",
    "due_at",
    "reopened",
    "changed_at",
    "event",
];

/// It was resolved, and something happened after that. What happened before and is only
/// told now does not reopen it.
macro_rules! back {
    () => {
        "issues.status = 'resolved' AND excluded.last_seen > issues.closed_at"
    };
}
/// It is worse than before, and nobody has said how bad it is.
macro_rules! raised {
    () => {
        "NOT issues.severity_set AND excluded.severity > issues.severity"
    };
}

/// What becomes of a row that is there.
const MERGE: [(&str, &str); 14] = [
    ("count", "issues.count + excluded.count"),
    ("title", "excluded.title"),
    (
        "first_seen",
        "CASE WHEN excluded.first_seen < issues.first_seen THEN excluded.first_seen ELSE issues.first_seen END",
    ),
    (
        "last_seen",
        "CASE WHEN excluded.last_seen > issues.last_seen THEN excluded.last_seen ELSE issues.last_seen END",
    ),
    (
        "severity",
        concat!(
            "CASE WHEN ",
            raised!(),
            " THEN excluded.severity ELSE issues.severity END"
        ),
    ),
    (
        "status",
        concat!("CASE WHEN ", back!(), " THEN 'open' ELSE issues.status END"),
    ),
    (
        "reason",
        concat!("CASE WHEN ", back!(), " THEN '' ELSE issues.reason END"),
    ),
    (
        "opened_at",
        concat!(
            "CASE WHEN ",
            back!(),
            " THEN excluded.opened_at ELSE issues.opened_at END"
        ),
    ),
    (
        "due_at",
        concat!(
            "CASE WHEN ",
            back!(),
            " OR (",
            raised!(),
            " AND excluded.due_at < issues.due_at) THEN excluded.due_at ELSE issues.due_at END"
        ),
    ),
    (
        "closed_at",
        concat!(
            "CASE WHEN ",
            back!(),
            " THEN NULL ELSE issues.closed_at END"
        ),
    ),
    (
        "reopened",
        concat!(
            "issues.reopened + CASE WHEN ",
            back!(),
            " THEN 1 ELSE 0 END"
        ),
    ),
    (
        "version",
        concat!(
            "issues.version + CASE WHEN ",
            back!(),
            " OR ",
            raised!(),
            " THEN 1 ELSE 0 END"
        ),
    ),
    (
        "changed_at",
        concat!(
            "CASE WHEN ",
            back!(),
            " OR ",
            raised!(),
            " THEN excluded.changed_at ELSE issues.changed_at END"
        ),
    ),
    (
        "event",
        concat!(
            "CASE WHEN ",
            back!(),
            " THEN 'reopened' WHEN ",
            raised!(),
            " THEN 'raised' ELSE 'counted' END"
        ),
    ),
];

async fn upsert<L: Link>(
    link: &mut L,
    chunk: &[&IssueOpening],
    now: Micros,
) -> Result<Vec<Written>> {
    let merge = MERGE.map(|(column, expression)| (column, Expr::cust(expression)));
    let mut query = Query::insert();
    query
        .into_table("issues")
        .columns(COLUMNS)
        .on_conflict(
            OnConflict::columns(["fingerprint", "fingerprint_version"])
                .values(merge)
                .to_owned(),
        )
        .returning_all();
    for opening in chunk {
        query
            .values([
                Expr::val(new_id()),
                Expr::val(opening.fingerprint.value.as_str()),
                Expr::val(opening.fingerprint.version),
                Expr::val(1_i64),
                Expr::val(IssueStatus::Open.name()),
                Expr::val(i64::from(opening.severity as u8)),
                Expr::val(opening.title.as_str()),
                Expr::val(opening.rule.as_str()),
                Expr::val(opening.host.as_str()),
                Expr::val(opening.namespace.clone()),
                Expr::val(opening.image.clone()),
                Expr::val(opening.findings.len() as i64),
                Expr::val(opening.first_seen),
                Expr::val(opening.last_seen),
                Expr::val(now),
                Expr::val(now.saturating_add(opening.due_after)),
                Expr::val(0_i64),
                Expr::val(now),
                Expr::val(IssueEvent::Opened.name()),
            ])
            .map_err(|why| StoreError::damaged("a statement", why))?;
    }
    let mut statement = in_dialect("opening issues", L::DIALECT, &query);
    if chunk.len() == ROWS {
        statement = statement.recurring();
    }
    link.fetch(statement).await
}

async fn add_projects<L: Link>(link: &mut L, rows: BTreeSet<(Uuid, Uuid)>) -> Result<()> {
    let rows: Vec<_> = rows.into_iter().collect();
    for rows in rows.chunks(ROWS) {
        let mut query = Query::insert();
        query
            .into_table("issue_projects")
            .columns(["issue_id", "project_id"])
            .on_conflict(OnConflict::new().do_nothing().to_owned());
        for (issue, project) in rows {
            query
                .values([Expr::val(*issue), Expr::val(*project)])
                .map_err(|why| StoreError::damaged("a statement", why))?;
        }
        let mut statement = in_dialect("adding issues' projects", L::DIALECT, &query);
        if rows.len() == ROWS {
            statement = statement.recurring();
        }
        link.execute(statement).await?;
    }
    Ok(())
}
