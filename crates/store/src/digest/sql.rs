//! Digesting in SQL.

use super::{Digest, Digested, Digester, PendingFinding};
use crate::basics::{Micros, Uuid};
use crate::db::{Backend, Columns, Dialect, Link, One, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::evidence;
use crate::findings::FindingRow;
use crate::graph;
use crate::issues::{self, IssueEvent};
use crate::jobs;
use crate::limits::MAX_DIGEST;
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, ExprTrait, Query};
use serde_json::Value;
use std::collections::HashMap;
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
            projects: Vec::new(),
            // The others shall not wait for one that nobody can read.
            facts: row.json("facts").unwrap_or(Value::Null),
        })
    }
}

/// One passes over what another has just taken. The choice stands in a WITH, so that it
/// is made first, and the findings are then read one by one.
macro_rules! take {
    ($materialized:literal, $for_update:literal) => {
        concat!(
            "WITH due AS ",
            $materialized,
            " (SELECT finding_id, facts FROM findings_pending ORDER BY finding_id LIMIT $1 ",
            $for_update,
            ") SELECT due.facts, f.* FROM due JOIN findings f ON f.id = due.finding_id \
             ORDER BY due.finding_id"
        )
    };
}

/// The findings that wait longest and that nobody else has taken; they are pending no
/// longer.
async fn take<L: Link>(link: &mut L, limit: u32) -> Result<Vec<PendingFinding>> {
    let text = match L::DIALECT {
        Dialect::Sqlite => take!("", ""),
        Dialect::Postgres => take!("MATERIALIZED", "FOR UPDATE SKIP LOCKED"),
    };
    let limit = i64::from(limit.clamp(1, MAX_DIGEST));
    let mut taken = link
        .fetch::<PendingFinding>(sql("taking findings", text).bind(limit))
        .await?;
    if taken.is_empty() {
        return Ok(taken);
    }
    let ids = || taken.iter().map(|finding| finding.id);
    let mut delete = Query::delete();
    delete
        .from_table("findings_pending")
        .and_where(Expr::col("finding_id").is_in(ids()));
    let mut projects = Query::select();
    projects
        .columns(["finding_id", "project_id"])
        .from("finding_projects")
        .and_where(Expr::col("finding_id").is_in(ids()));
    let mut delete = in_dialect("taking findings", L::DIALECT, &delete);
    let mut projects = in_dialect("reading findings' projects", L::DIALECT, &projects);
    if taken.len() == limit as usize {
        (delete, projects) = (delete.recurring(), projects.recurring());
    }
    link.execute(delete).await?;
    let mut of_finding: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for Membership { finding, project } in link.fetch(projects).await? {
        of_finding.entry(finding).or_default().push(project);
    }
    for finding in &mut taken {
        finding.projects = of_finding.remove(&finding.id).unwrap_or_default();
        finding.projects.sort_unstable();
    }
    Ok(taken)
}

struct Membership {
    finding: Uuid,
    project: Uuid,
}

impl Record for Membership {
    fn read(row: &impl Columns) -> Result<Membership> {
        Ok(Membership {
            finding: row.id("finding_id")?,
            project: row.id("project_id")?,
        })
    }
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
