//! Runs in SQL.

use super::{Begun, NewRun, Playbooks, Run, RunFilter, RunState, RunStep};
use crate::basics::{Micros, Uuid, new_id};
use crate::db::{Backend, Columns, Link, One, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, ExprTrait, Order, Query};

const HOUR: Micros = 3_600_000_000;

impl Record for Run {
    fn read(row: &impl Columns) -> Result<Run> {
        Ok(Run {
            id: row.id("id")?,
            playbook: row.id("playbook_id")?,
            version: row.int("version")?,
            name: row.text("name")?,
            event: row.text("event")?,
            issue: row.get("issue_id")?,
            finding: row.get("finding_id")?,
            dry: row.get("dry")?,
            state: row.word("state", RunState::of_name)?,
            count: row.int("count")?,
            created_at: row.int("created_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

impl Record for RunStep {
    fn read(row: &impl Columns) -> Result<RunStep> {
        Ok(RunStep {
            number: row.int("number")?,
            action: row.text("action")?,
            state: row.word("state", RunState::of_name)?,
            attempts: row.int("attempts")?,
            detail: row.text("detail")?,
            approved_by: row.get("approved_by")?,
            approved_at: row.get("approved_at")?,
            changed_at: row.int("changed_at")?,
        })
    }
}

const RUN: &str = "SELECT id, playbook_id, version, name, event, issue_id, finding_id, dry, state, \
    count, created_at, ended_at FROM playbook_runs WHERE id = $1";

async fn read(link: &mut impl Link, id: Uuid) -> Result<Run> {
    let found = link.first(sql("reading a run", RUN).bind(id)).await?;
    found.ok_or_else(|| StoreError::not_found("playbook run", id))
}

async fn begin(link: &mut impl Link, run: NewRun, now: Micros) -> Result<Begun> {
    let known = sql(
        "looking for a run",
        "SELECT COUNT(*) FROM playbook_runs WHERE id = $1",
    );
    let known = link.first::<One<i64>>(known.bind(run.id)).await?;
    if known.is_some_and(|One(count)| count > 0) {
        return Ok(Begun::There);
    }
    // Two replicas may begin the last one of an hour at once: that is one too many, and
    // no harm.
    let count = sql(
        "counting runs",
        "SELECT COUNT(*) FROM playbook_runs WHERE playbook_id = $1 AND created_at > $2 \
         AND hour IS NULL",
    );
    let begun = link
        .first::<One<i64>>(count.bind(run.playbook).bind(now - HOUR))
        .await?;
    let full = begun.is_some_and(|One(count)| count >= i64::from(run.per_hour));
    let insert = sql(
        "beginning a run",
        "INSERT INTO playbook_runs (id, playbook_id, version, name, event, issue_id, finding_id, \
         dry, state, count, hour, created_at, ended_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12) \
         ON CONFLICT (playbook_id, hour) WHERE hour IS NOT NULL \
         DO UPDATE SET count = playbook_runs.count + 1, ended_at = excluded.ended_at",
    );
    let state = match full {
        true => RunState::Suppressed,
        false => RunState::Queued,
    };
    link.execute(
        insert
            .bind(if full { new_id() } else { run.id })
            .bind(run.playbook)
            .bind(run.version)
            .bind(run.name.as_str())
            .bind(run.event.as_str())
            .bind(run.issue)
            .bind(run.finding)
            .bind(run.dry)
            .bind(state.name())
            .bind(full.then(|| now.div_euclid(HOUR)))
            .bind(now)
            .bind(full.then_some(now)),
    )
    .await?;
    if full {
        return Ok(Begun::Suppressed);
    }
    for (number, action) in (0_i64..).zip(&run.steps) {
        let insert = sql(
            "beginning a run",
            "INSERT INTO playbook_steps (run_id, number, action, state, attempts, detail, changed_at) \
             VALUES ($1, $2, $3, 'queued', 0, '', $4)",
        );
        let bound = insert.bind(run.id).bind(number).bind(action.as_str());
        link.execute(bound.bind(now)).await?;
    }
    Ok(Begun::There)
}

async fn set_run(link: &mut impl Link, run: Uuid, state: RunState, now: Micros) -> Result<bool> {
    let update = sql(
        "moving a run on",
        "UPDATE playbook_runs SET state = $1, ended_at = $2 \
         WHERE id = $3 AND state IN ('queued', 'waiting_approval')",
    );
    let ended = state.is_over().then_some(now);
    let changed = link
        .execute(update.bind(state.name()).bind(ended).bind(run))
        .await?;
    Ok(changed > 0)
}

async fn step_done(
    link: &mut impl Link,
    run: Uuid,
    step: RunStep,
    state: RunState,
    now: Micros,
) -> Result<bool> {
    if !set_run(link, run, state, now).await? {
        return Ok(false);
    }
    let update = sql(
        "writing a step",
        "UPDATE playbook_steps SET state = $1, attempts = $2, detail = $3, changed_at = $4 \
         WHERE run_id = $5 AND number = $6",
    );
    link.execute(
        update
            .bind(step.state.name())
            .bind(step.attempts)
            .bind(limits::clip(&step.detail, limits::MAX_STEP_DETAIL))
            .bind(now)
            .bind(run)
            .bind(step.number),
    )
    .await?;
    if state.is_over() {
        skip_rest(link, run, now).await?;
    }
    Ok(true)
}

async fn skip_rest(link: &mut impl Link, run: Uuid, now: Micros) -> Result<()> {
    let skip = sql(
        "skipping steps",
        "UPDATE playbook_steps SET state = 'skipped', changed_at = $1 \
         WHERE run_id = $2 AND state IN ('queued', 'waiting_approval')",
    );
    link.execute(skip.bind(now).bind(run)).await.map(|_| ())
}

#[async_trait]
impl<B: Backend> Playbooks for SqlStore<B> {
    async fn begin_run(&self, run: NewRun, now: Micros) -> Result<Begun> {
        limits::name("name", &run.name)?;
        limits::count("steps", run.steps.len(), limits::MAX_STEPS)?;
        self.0
            .write(move |link| Box::pin(async move { begin(link, run, now).await }))
            .await
    }

    async fn run(&self, id: Uuid) -> Result<Run> {
        read(&mut self.0.read().await?, id).await
    }

    async fn run_steps(&self, id: Uuid) -> Result<Vec<RunStep>> {
        let steps = sql(
            "reading a run's steps",
            "SELECT number, action, state, attempts, detail, approved_by, approved_at, changed_at \
             FROM playbook_steps WHERE run_id = $1 ORDER BY number",
        );
        self.0.read().await?.fetch(steps.bind(id)).await
    }

    async fn runs(
        &self,
        filter: &RunFilter,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<Run, Uuid>> {
        let mut query = Query::select();
        query
            .columns([
                "id",
                "playbook_id",
                "version",
                "name",
                "event",
                "issue_id",
                "finding_id",
                "dry",
                "state",
                "count",
                "created_at",
                "ended_at",
            ])
            .from("playbook_runs")
            .order_by("id", Order::Desc)
            .limit(size.probe() as u64);
        if let Some(before) = before {
            query.and_where(Expr::col("id").lt(before));
        }
        if let Some(playbook) = filter.playbook {
            query.and_where(Expr::col("playbook_id").eq(playbook));
        }
        if let Some(state) = filter.state {
            query.and_where(Expr::col("state").eq(state.name()));
        }
        if let Some(issue) = filter.issue {
            query.and_where(Expr::col("issue_id").eq(issue));
        }
        let query = in_dialect("listing runs", B::Link::DIALECT, &query);
        let found = self.0.read().await?.fetch::<Run>(query).await?;
        Ok(Page::of(found, size, |run| run.id))
    }

    async fn step_done(
        &self,
        run: Uuid,
        step: RunStep,
        state: RunState,
        now: Micros,
    ) -> Result<bool> {
        self.0
            .write(move |link| {
                Box::pin(async move { step_done(link, run, step, state, now).await })
            })
            .await
    }

    async fn approve_step(&self, run: Uuid, number: i64, by: &str, now: Micros) -> Result<()> {
        let by = by.to_owned();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let approve = sql(
                        "approving a step",
                        "UPDATE playbook_steps SET state = 'queued', approved_by = $1, \
                         approved_at = $2, changed_at = $2 \
                         WHERE run_id = $3 AND number = $4 AND state = 'waiting_approval'",
                    );
                    let bound = approve.bind(by).bind(now).bind(run).bind(number);
                    if link.execute(bound).await? == 0 {
                        return Err(StoreError::not_found("step that waits in run", run));
                    }
                    set_run(link, run, RunState::Queued, now).await.map(|_| ())
                })
            })
            .await
    }

    async fn end_run(&self, run: Uuid, state: RunState, why: &str, now: Micros) -> Result<bool> {
        let why = limits::clip(why, limits::MAX_STEP_DETAIL);
        self.0
            .write(move |link| {
                Box::pin(async move {
                    if !set_run(link, run, state, now).await? {
                        return Ok(false);
                    }
                    let tell = sql(
                        "ending a run",
                        "UPDATE playbook_steps SET detail = $1 \
                         WHERE run_id = $2 AND state = 'waiting_approval'",
                    );
                    link.execute(tell.bind(why).bind(run)).await?;
                    skip_rest(link, run, now).await?;
                    Ok(true)
                })
            })
            .await
    }

    async fn delete_runs_before(&self, time: Micros, step: u32) -> Result<u64> {
        let step = i64::from(step.clamp(1, limits::MAX_RETENTION_STEP));
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let delete = sql(
                        "deleting old runs",
                        "DELETE FROM playbook_runs WHERE id IN \
                         (SELECT id FROM playbook_runs WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)",
                    );
                    link.execute(delete.bind(time).bind(step)).await
                })
            })
            .await
    }
}
