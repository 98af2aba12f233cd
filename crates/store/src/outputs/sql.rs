//! The queues of outputs in SQL.

use super::{ForOutput, Outputs, QueuedFinding};
use crate::basics::{Micros, Uuid};
use crate::db::{Backend, Columns, Link, Record, in_dialect, sql};
use crate::error::Result;
use crate::findings::insert_rows;
use crate::limits::{self, MAX_PAGE};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, ExprTrait, Query};

impl Record for QueuedFinding {
    fn read(row: &impl Columns) -> Result<QueuedFinding> {
        let there: Option<Uuid> = row.get("there")?;
        Ok(QueuedFinding {
            id: row.id("finding_id")?,
            ocsf: match there {
                None => None,
                Some(_) => Some(row.json("ocsf")?),
            },
        })
    }
}

struct Waiting(String, i64);

impl Record for Waiting {
    fn read(row: &impl Columns) -> Result<Waiting> {
        Ok(Waiting(row.text("output")?, row.int("waiting")?))
    }
}

/// Queues findings, within somebody's unit of work.
pub(crate) async fn queue<L: Link>(link: &mut L, mut findings: Vec<ForOutput>) -> Result<()> {
    findings.sort_by(|one, other| (&one.output, one.finding).cmp(&(&other.output, other.finding)));
    findings.dedup();
    let rows = findings
        .into_iter()
        .map(|one| [one.output.into(), one.finding.into()])
        .collect();
    insert_rows(link, "output_queue", ["output", "finding_id"], rows).await
}

#[async_trait]
impl<B: Backend> Outputs for SqlStore<B> {
    async fn hold_output(
        &self,
        output: &str,
        holder: Uuid,
        until: Micros,
        now: Micros,
    ) -> Result<bool> {
        limits::name("output", output)?;
        let take = sql(
            "taking an output",
            "INSERT INTO output_holders (output, holder, until) VALUES ($1, $2, $3) \
             ON CONFLICT (output) DO UPDATE SET holder = excluded.holder, until = excluded.until \
             WHERE output_holders.holder = excluded.holder OR output_holders.until <= $4",
        );
        let take = take.bind(output).bind(holder).bind(until).bind(now);
        let taken = self
            .0
            .write(move |link| Box::pin(async move { link.execute(take).await }));
        Ok(taken.await? == 1)
    }

    async fn release_output(&self, output: &str, holder: Uuid) -> Result<()> {
        let release = sql(
            "releasing an output",
            "DELETE FROM output_holders WHERE output = $1 AND holder = $2",
        );
        let release = release.bind(output).bind(holder);
        self.0
            .write(move |link| Box::pin(async move { link.execute(release).await.map(drop) }))
            .await
    }

    async fn queued_findings(&self, output: &str, limit: u32) -> Result<Vec<QueuedFinding>> {
        let read = sql(
            "reading an output's queue",
            "SELECT q.finding_id, b.finding_id AS there, b.ocsf \
             FROM (SELECT finding_id FROM output_queue WHERE output = $1 \
             ORDER BY finding_id LIMIT $2) q \
             LEFT JOIN finding_bodies b ON b.finding_id = q.finding_id ORDER BY q.finding_id",
        );
        let limit = i64::from(limit.clamp(1, MAX_PAGE));
        let mut link = self.0.read().await?;
        link.fetch(read.bind(output).bind(limit)).await
    }

    async fn told(&self, output: &str, findings: &[Uuid]) -> Result<()> {
        limits::count("findings", findings.len(), MAX_PAGE as usize)?;
        let mut query = Query::delete();
        // By their ids: one that came before these may have been queued meanwhile.
        query
            .from_table("output_queue")
            .and_where(Expr::col("output").eq(output))
            .and_where(Expr::col("finding_id").is_in(findings.iter().copied()));
        let delete = in_dialect("emptying an output's queue", B::Link::DIALECT, &query);
        self.0
            .write(move |link| Box::pin(async move { link.execute(delete).await.map(drop) }))
            .await
    }

    async fn output_backlog(&self) -> Result<Vec<(String, i64)>> {
        let count = sql(
            "counting what waits for outputs",
            "SELECT output, COUNT(*) AS waiting FROM output_queue GROUP BY output ORDER BY output",
        );
        let found = self.0.read().await?.fetch::<Waiting>(count).await?;
        Ok(found
            .into_iter()
            .map(|Waiting(output, count)| (output, count))
            .collect())
    }

    async fn forget_other_outputs(&self, keep: &[String]) -> Result<u64> {
        let mut query = Query::delete();
        query.from_table("output_queue");
        if !keep.is_empty() {
            query.and_where(Expr::col("output").is_not_in(keep.iter().map(String::as_str)));
        }
        let delete = in_dialect("emptying queues of outputs", B::Link::DIALECT, &query);
        self.0
            .write(move |link| Box::pin(async move { link.execute(delete).await }))
            .await
    }
}
