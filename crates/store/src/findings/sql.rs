//! Findings in SQL.

use super::{
    Delivered, FindingColumns, FindingCursor, FindingFilter, FindingRow, Findings, Fingerprint,
    Keep, NewFinding, RuleRate, Tally, filter, rates, retention, write,
};
use crate::basics::{Micros, Uuid};
use crate::db::{Backend, Columns, Link, One, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::limits::{self, MAX_PAGE};
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use sea_query::{Expr, ExprTrait, Query};
use serde_json::Value;

/// The column `severity`.
pub(crate) fn severity_of_row(row: &impl Columns) -> Result<Severity> {
    let severity = row.int("severity")?;
    Severity::ALL
        .into_iter()
        .find(|known| i64::from(*known as u8) == severity)
        .ok_or_else(|| StoreError::damaged("severity", severity))
}

impl Record for FindingRow {
    fn read(row: &impl Columns) -> Result<FindingRow> {
        let number = |column, why: i64| StoreError::damaged(column, why);
        let disposition = row.int("disposition")?;
        Ok(FindingRow {
            id: row.id("id")?,
            sensor: row.id("sensor_id")?,
            uid: row.text("uid")?,
            received_at: row.int("received_at")?,
            columns: FindingColumns {
                time: row.int("time")?,
                severity: severity_of_row(row)?,
                disposition: [Disposition::Blocked, Disposition::Logged]
                    .into_iter()
                    .find(|known| i64::from(known.id()) == disposition)
                    .ok_or_else(|| number("disposition", disposition))?,
                rule: row.text("rule")?,
                host: row.text("host")?,
                container: row.get("container")?,
                image: row.get("image")?,
                user: row.get("username")?,
                process: row.get("process")?,
                fingerprint: Fingerprint {
                    version: row.int("fingerprint_version")?,
                    value: row.text("fingerprint")?,
                },
            },
        })
    }
}

/// A finding's id and its JSON.
struct Body(Uuid, Value);

impl Record for Body {
    fn read(row: &impl Columns) -> Result<Body> {
        Ok(Body(row.id("finding_id")?, row.json("ocsf")?))
    }
}

#[async_trait]
impl<B: Backend> Findings for SqlStore<B> {
    async fn store_findings(
        &self,
        findings: Vec<NewFinding>,
        received_at: Micros,
    ) -> Result<Vec<Delivered>> {
        write::check_size(&findings)?;
        let (ready, mut answers) = write::prepare(findings);
        if ready.is_empty() {
            return Ok(answers);
        }
        let new = self
            .0
            .write(move |link| {
                Box::pin(async move { write::store(link, ready, received_at).await })
            })
            .await?;
        for (place, id) in new {
            answers[place] = Delivered::New(id);
        }
        Ok(answers)
    }

    async fn findings(
        &self,
        filter: &FindingFilter,
        before: Option<FindingCursor>,
        size: PageSize,
    ) -> Result<Page<FindingRow, FindingCursor>> {
        if filter.projects.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let query = filter::page(filter, before, size)?;
        let statement = in_dialect("listing findings", B::Link::DIALECT, &query);
        let rows = self.0.read().await?.fetch::<FindingRow>(statement).await?;
        Ok(Page::of(rows, size, |row| FindingCursor {
            time: row.columns.time,
            id: row.id,
        }))
    }

    async fn findings_stored_after(
        &self,
        filter: &FindingFilter,
        after: Uuid,
        size: PageSize,
    ) -> Result<Page<FindingRow, Uuid>> {
        if filter.projects.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let query = filter::stored_after(filter, after, size)?;
        let statement = in_dialect("following findings", B::Link::DIALECT, &query);
        let rows = self.0.read().await?.fetch::<FindingRow>(statement).await?;
        Ok(Page::of(rows, size, |row| row.id))
    }

    async fn finding(&self, id: Uuid) -> Result<FindingRow> {
        let read = sql("reading a finding", "SELECT * FROM findings WHERE id = $1");
        let found = self.0.read().await?.first(read.bind(id)).await?;
        found.ok_or_else(|| StoreError::not_found("finding", id))
    }

    async fn finding_projects(&self, id: Uuid) -> Result<Vec<Uuid>> {
        let read = sql(
            "reading a finding's projects",
            "SELECT project_id FROM finding_projects WHERE finding_id = $1 ORDER BY project_id",
        );
        let rows = self
            .0
            .read()
            .await?
            .fetch::<One<Uuid>>(read.bind(id))
            .await?;
        Ok(rows.into_iter().map(|One(project)| project).collect())
    }

    async fn findings_ocsf(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, Value)>> {
        limits::count("ids", ids.len(), MAX_PAGE as usize)?;
        let mut query = Query::select();
        query
            .columns(["finding_id", "ocsf"])
            .from("finding_bodies")
            .and_where(Expr::col("finding_id").is_in(ids.iter().copied()));
        let statement = in_dialect("reading findings' JSON", B::Link::DIALECT, &query);
        let rows = self.0.read().await?.fetch::<Body>(statement).await?;
        Ok(rows.into_iter().map(|Body(id, ocsf)| (id, ocsf)).collect())
    }

    async fn rule_rates(&self, since: Micros) -> Result<Vec<RuleRate>> {
        rates::read(&mut self.0.read().await?, since).await
    }

    async fn findings_tally(&self) -> Result<Tally> {
        retention::tally(&mut self.0.read().await?).await
    }

    async fn delete_findings_before(&self, time: Micros, step: u32) -> Result<u64> {
        self.0
            .write(move |link| {
                Box::pin(async move { retention::delete_before(link, time, step).await })
            })
            .await
    }

    async fn trim_findings(&self, keep: Keep, step: u32) -> Result<u64> {
        self.0
            .write(move |link| Box::pin(async move { retention::trim(link, keep, step).await }))
            .await
    }
}
