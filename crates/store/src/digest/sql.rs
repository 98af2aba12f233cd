//! Digesting in SQL.

use super::{Digest, Digested, Digester, PendingFinding};
use crate::basics::{Micros, Uuid};
use crate::db::{Backend, Columns, Dialect, Link, One, Record, sql};
use crate::error::{Result, StoreError};
use crate::evidence;
use crate::findings::FindingRow;
use crate::graph;
use crate::issues::{self, IssueEvent};
use crate::jobs;
use crate::limits::MAX_DIGEST;
use crate::outputs;
use crate::store::SqlStore;
use async_trait::async_trait;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

impl Record for PendingFinding {
    fn read(row: &impl Columns) -> Result<PendingFinding> {
        let finding = FindingRow::read(row)?;
        Ok(PendingFinding {
            id: finding.id,
            sensor: finding.sensor,
            received_at: finding.received_at,
            columns: finding.columns,
            projects: row
                .get::<Option<String>>("projects")?
                .map(|ids| projects(&ids))
                .transpose()?
                .unwrap_or_default(),
            // The others shall not wait for one that nobody can read.
            facts: row.json("facts").unwrap_or(Value::Null),
        })
    }
}

fn projects(ids: &str) -> Result<Vec<Uuid>> {
    let mut projects = ids
        .split(',')
        .map(|id| {
            id.parse()
                .map_err(|why| StoreError::damaged("projects", why))
        })
        .collect::<Result<Vec<Uuid>>>()?;
    projects.sort_unstable();
    Ok(projects)
}

/// A finding's projects come as one text: a row for each would double what is read.
macro_rules! read {
    ($due:literal, $projects:literal, $join:literal) => {
        concat!(
            $due,
            " SELECT due.facts, f.*, (SELECT ",
            $projects,
            " FROM finding_projects p WHERE p.finding_id = f.id) AS projects \
             FROM due ",
            $join,
            " ORDER BY due.finding_id"
        )
    };
}

/// The findings that wait longest and that nobody else has taken; they are pending no
/// longer.
async fn take<L: Link>(link: &mut L, limit: u32) -> Result<Vec<PendingFinding>> {
    let text = match L::DIALECT {
        Dialect::Sqlite => read!(
            "WITH due AS (SELECT finding_id, facts FROM findings_pending \
             ORDER BY finding_id LIMIT $1)",
            "group_concat(hex(p.project_id), ',')",
            "JOIN findings f ON f.id = due.finding_id"
        ),
        // One passes over what another has just taken. They are deleted by their place:
        // by their ids, PostgreSQL would look through all that is pending. Each finding is
        // looked up by itself: joined, PostgreSQL would walk through all that are older.
        Dialect::Postgres => read!(
            "WITH due AS MATERIALIZED (SELECT ctid AS place, finding_id, facts \
             FROM findings_pending ORDER BY finding_id LIMIT $1 FOR UPDATE SKIP LOCKED), \
             gone AS (DELETE FROM findings_pending \
             WHERE ctid = ANY (ARRAY(SELECT place FROM due)))",
            "string_agg(CAST(p.project_id AS text), ',')",
            "CROSS JOIN LATERAL (SELECT * FROM findings WHERE id = due.finding_id LIMIT 1) f"
        ),
    };
    let limit = i64::from(limit.clamp(1, MAX_DIGEST));
    let taken = link
        .fetch::<PendingFinding>(sql("taking findings", text).bind(limit))
        .await?;
    // There is one writer, so they are the first ones still.
    if let (Dialect::Sqlite, Some(last)) = (L::DIALECT, taken.last()) {
        let delete = "DELETE FROM findings_pending WHERE finding_id <= $1";
        link.execute(sql("taking findings", delete).bind(last.id))
            .await?;
    }
    Ok(taken)
}

/// Writes what some findings lead to. The order of the tables, and of the rows of each,
/// is the same in every replica: none waits for one that waits for it.
async fn write<L: Link>(
    link: &mut L,
    digester: &dyn Digester,
    findings: &[PendingFinding],
    now: Micros,
) -> Result<Digested> {
    let writes = unharmed(|| digester.findings(findings))?;
    evidence::insert(link, writes.policies).await?;
    let changes = issues::open(link, writes.openings, now).await?;
    let of_issues = unharmed(|| digester.issues(&changes))?;
    let mut graph = writes.graph;
    graph.append(of_issues.graph);
    graph::write(link, &graph).await?;
    let mut work = writes.jobs;
    work.extend(of_issues.jobs);
    jobs::add(link, work, now).await?;
    outputs::queue(link, writes.outputs).await?;
    let count = |event| {
        changes
            .iter()
            .filter(|change| change.event == event)
            .count() as u32
    };
    Ok(Digested {
        skipped: writes.skipped,
        opened: count(IssueEvent::Opened),
        reopened: count(IssueEvent::Reopened),
        ..Digested::default()
    })
}

/// A fault in a digester must not end the one task that writes: it is as if the finding
/// were at fault.
fn unharmed<T>(work: impl FnOnce() -> T) -> Result<T> {
    // What it leaves behind is its own; here nothing is shared with it.
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| StoreError::Invalid {
        field: "finding",
        why: "the digester failed at it".to_owned(),
    })
}

/// Writes what they lead to; where one's writes cannot be stored, those of the others.
async fn write_all<L: Link>(
    link: &mut L,
    digester: &dyn Digester,
    findings: &[PendingFinding],
    now: Micros,
) -> Result<Digested> {
    let mut sum = Digested::default();
    let mut left = vec![findings];
    while let Some(part) = left.pop() {
        link.execute(sql("beginning", "SAVEPOINT digest")).await?;
        match write(link, digester, part, now).await {
            Ok(done) => {
                sum.skipped += done.skipped;
                sum.opened += done.opened;
                sum.reopened += done.reopened;
            }
            Err(why) if is_of_the_data(&why) => {
                link.execute(sql("taking back", "ROLLBACK TO SAVEPOINT digest"))
                    .await?;
                if part.len() > 1 {
                    let (first, second) = part.split_at(part.len() / 2);
                    // The first half is on top: it comes first.
                    left.extend([second, first]);
                } else {
                    sum.skipped += 1;
                }
            }
            Err(why) => return Err(why),
        }
        link.execute(sql("ending", "RELEASE SAVEPOINT digest"))
            .await?;
    }
    Ok(sum)
}

/// Whether the same would fail again, for what it holds.
fn is_of_the_data(why: &StoreError) -> bool {
    match why {
        StoreError::Invalid { .. } | StoreError::Dangling { .. } => true,
        StoreError::Database {
            source: sqlx::Error::Database(said),
            ..
        } => said.code().is_some_and(|code| {
            // PostgreSQL: a bad value, a constraint. SQLite: TOOBIG, CONSTRAINT, MISMATCH.
            let sqlite = code.parse::<u32>().is_ok_and(|code| {
                code.checked_rem(256)
                    .is_some_and(|code| matches!(code, 18..=20))
            });
            (code.len() == 5 && (code.starts_with("22") || code.starts_with("23")))
                || (code.len() < 5 && sqlite)
        }),
        _ => false,
    }
}

#[async_trait]
impl<B: Backend> Digest for SqlStore<B> {
    async fn digest(
        &self,
        digester: Arc<dyn Digester>,
        limit: u32,
        now: Micros,
    ) -> Result<Digested> {
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let taken = take(link, limit).await?;
                    if taken.is_empty() {
                        return Ok(Digested::default());
                    }
                    let done = write_all(link, &*digester, &taken, now).await?;
                    Ok(Digested {
                        findings: taken.len() as u32,
                        oldest: taken.iter().map(|finding| finding.received_at).min(),
                        ..done
                    })
                })
            })
            .await
    }

    async fn findings_pending(&self) -> Result<i64> {
        let count = sql(
            "counting pending findings",
            "SELECT COUNT(*) FROM findings_pending",
        );
        let found = self.0.read().await?.first::<One<i64>>(count).await?;
        Ok(found.map_or(0, |One(count)| count))
    }
}
