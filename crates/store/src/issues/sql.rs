//! Issues in SQL.

use super::{
    ChangeIssue, Issue, IssueChange, IssueCursor, IssueEvent, IssueFilter, IssueNote, IssueOpening,
    IssueStatus, Issues, OpenIssues, change, filter, labels, notes, open,
};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Micros, Uuid};
use crate::changes::Change;
use crate::db::{Backend, Columns, Link, One, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::findings::severity_of_row;
use crate::limits::{self, MAX_PAGE, MAX_RETENTION_STEP};
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

struct Membership(Uuid, Uuid);

impl Record for Membership {
    fn read(row: &impl Columns) -> Result<Membership> {
        Ok(Membership(row.id("issue_id")?, row.id("project_id")?))
    }
}

impl Record for OpenIssues {
    fn read(row: &impl Columns) -> Result<OpenIssues> {
        Ok(OpenIssues {
            severity: severity_of_row(row)?,
            open: row.int("open")?,
            overdue: row.int("overdue")?,
        })
    }
}

async fn read(link: &mut impl Link, id: Uuid) -> Result<Issue> {
    let read = sql("reading an issue", "SELECT * FROM issues WHERE id = $1");
    let found = link.first(read.bind(id)).await?;
    found.ok_or_else(|| StoreError::not_found("issue", id))
}

/// Opens one, unless there is one that says the same already.
async fn open_one(
    link: &mut impl Link,
    opening: IssueOpening,
    cause: &Cause,
) -> Result<IssueChange> {
    let find = sql(
        "looking for an issue",
        "SELECT * FROM issues WHERE fingerprint = $1 AND fingerprint_version = $2",
    );
    let print = &opening.fingerprint;
    let find = find.bind(print.value.as_str()).bind(print.version);
    if let Some(issue) = link.first::<Issue>(find).await? {
        let over = issue.status == IssueStatus::Resolved
            && issue.closed_at.is_some_and(|at| opening.last_seen > at);
        if !over {
            return Ok(IssueChange {
                event: IssueEvent::Counted,
                issue,
                findings: Vec::new(),
                projects: opening.projects,
            });
        }
    }
    let mut changes = open(link, vec![opening], cause.at).await?;
    let change = changes
        .pop()
        .ok_or_else(|| StoreError::damaged("an issue", "it was opened, and is not there"))?;
    let deed = Deed {
        action: "issue.open".to_owned(),
        kind: "issue".to_owned(),
        subject: change.issue.id.to_string(),
        detail: json!({"event": change.event.name(), "rule": change.issue.rule}),
    };
    audit::append(link, deed, cause).await?;
    Ok(change)
}

async fn delete_closed<L: Link>(link: &mut L, before: Micros, step: u32) -> Result<u64> {
    let find = sql(
        "looking for old issues",
        "SELECT id FROM issues WHERE status IN ('resolved', 'rejected') \
         AND last_seen < $1 AND changed_at < $1 ORDER BY last_seen, id LIMIT $2",
    );
    let step = i64::from(step.clamp(1, MAX_RETENTION_STEP));
    let ids = link
        .fetch::<One<Uuid>>(find.bind(before).bind(step))
        .await?;
    let mut deleted = 0;
    for ids in ids.chunks(500) {
        let of = |table: &'static str, column: &'static str| {
            let mut query = Query::delete();
            query
                .from_table(table)
                .and_where(Expr::col(column).is_in(ids.iter().map(|One(id)| *id)));
            if table == "issues" {
                // One that came back just now is not closed any more.
                let closed = [IssueStatus::Resolved, IssueStatus::Rejected];
                query.and_where(Expr::col("status").is_in(closed.map(IssueStatus::name)));
            }
            in_dialect("deleting issues", L::DIALECT, &query)
        };
        // Its notes go with it.
        deleted += link.execute(of("issues", "id")).await?;
        link.execute(of("issue_projects", "issue_id")).await?;
    }
    if deleted > 0 {
        link.announce(Change::Issues).await?;
    }
    Ok(deleted)
}

#[async_trait]
impl<B: Backend> Issues for SqlStore<B> {
    async fn issues(
        &self,
        filter: &IssueFilter,
        before: Option<IssueCursor>,
        size: PageSize,
    ) -> Result<Page<Issue, IssueCursor>> {
        if filter.projects.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let query = filter::page(filter, before, size)?;
        let statement = in_dialect("listing issues", B::Link::DIALECT, &query);
        let rows = self.0.read().await?.fetch::<Issue>(statement).await?;
        Ok(Page::of(rows, size, |issue| IssueCursor {
            last_seen: issue.last_seen,
            id: issue.id,
        }))
    }

    async fn issue(&self, id: Uuid) -> Result<Issue> {
        read(&mut self.0.read().await?, id).await
    }

    async fn issues_projects(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>> {
        limits::count("ids", ids.len(), MAX_PAGE as usize)?;
        let mut query = Query::select();
        query
            .columns(["issue_id", "project_id"])
            .from("issue_projects")
            .and_where(Expr::col("issue_id").is_in(ids.iter().copied()))
            .order_by("issue_id", sea_query::Order::Asc)
            .order_by("project_id", sea_query::Order::Asc);
        let statement = in_dialect("reading issues' projects", B::Link::DIALECT, &query);
        let rows = self.0.read().await?.fetch::<Membership>(statement).await?;
        Ok(rows
            .into_iter()
            .map(|Membership(issue, project)| (issue, project))
            .collect())
    }

    async fn change_issue(
        &self,
        id: Uuid,
        expected: i64,
        mut asked: ChangeIssue,
        cause: &Cause,
    ) -> Result<Issue> {
        cause.check()?;
        change::check(&asked, cause)?;
        asked.labels = asked.labels.map(labels::checked).transpose()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move { change::change(link, id, expected, &asked, &cause).await })
            })
            .await
    }

    async fn label_issue(&self, id: Uuid, labels: &[String], cause: &Cause) -> Result<Issue> {
        cause.check()?;
        let labels = labels::checked(labels.to_vec())?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move { change::label(link, id, labels, &cause).await })
            })
            .await
    }

    async fn open_issue(&self, opening: IssueOpening, cause: &Cause) -> Result<IssueChange> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| Box::pin(async move { open_one(link, opening, &cause).await }))
            .await
    }

    async fn add_issue_note(&self, id: Uuid, text: &str, cause: &Cause) -> Result<IssueNote> {
        cause.check()?;
        notes::check(text)?;
        let (text, cause) = (text.to_owned(), cause.clone());
        self.0
            .write(move |link| {
                Box::pin(async move {
                    change::hold(link, id).await?;
                    let note = notes::add(link, id, text, &cause).await?;
                    link.announce(Change::Issues).await?;
                    let deed = Deed {
                        action: "issue.note".to_owned(),
                        kind: "issue".to_owned(),
                        subject: id.to_string(),
                        detail: json!({"note": note.id.to_string()}),
                    };
                    audit::append(link, deed, &cause).await?;
                    Ok(note)
                })
            })
            .await
    }

    async fn issue_notes(
        &self,
        id: Uuid,
        after: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<IssueNote, Uuid>> {
        notes::list(&mut self.0.read().await?, id, after, size).await
    }

    async fn open_issues(&self, now: Micros) -> Result<Vec<OpenIssues>> {
        let count = sql(
            "counting issues",
            "SELECT severity, COUNT(*) AS open, \
             CAST(SUM(CASE WHEN due_at < $1 THEN 1 ELSE 0 END) AS BIGINT) AS overdue \
             FROM issues WHERE status IN ('open', 'in_progress') \
             GROUP BY severity ORDER BY severity",
        );
        self.0.read().await?.fetch(count.bind(now)).await
    }

    async fn delete_closed_issues(&self, before: Micros, step: u32) -> Result<u64> {
        self.0
            .write(move |link| Box::pin(async move { delete_closed(link, before, step).await }))
            .await
    }
}
