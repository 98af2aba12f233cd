//! The queue in SQL. `due_at` of a job that was taken is the end of its lease: one
//! index finds both what is due and what was lost.

use super::{DeadJob, Job, Jobs, NewJob, back_off};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Micros, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Backend, Columns, Dialect, Link, One, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::limits::{self, MAX_JOB_ERROR, MAX_JOBS, clip};
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, OnConflict, Query};
use serde_json::json;

/// Rows of one INSERT.
const ROWS: usize = 100;
const COLUMNS: [&str; 7] = [
    "id",
    "queue",
    "key",
    "payload",
    "due_at",
    "max_attempts",
    "created_at",
];

impl Record for Job {
    fn read(row: &impl Columns) -> Result<Job> {
        Ok(Job {
            id: row.id("id")?,
            queue: row.text("queue")?,
            payload: row.json("payload")?,
            attempt: row.int("attempts")?,
            lease: row.id("lease")?,
        })
    }
}

impl Record for DeadJob {
    fn read(row: &impl Columns) -> Result<DeadJob> {
        Ok(DeadJob {
            id: row.id("id")?,
            queue: row.text("queue")?,
            payload: row.json("payload")?,
            attempts: row.int("attempts")?,
            last_error: row.get::<Option<String>>("last_error")?.unwrap_or_default(),
            created_at: row.int("created_at")?,
        })
    }
}

/// Where several replicas take at the same time, one passes over what another has
/// just taken. The choice stands in a WITH, so that it is made once.
macro_rules! take {
    ($for_update:literal) => {
        concat!(
            "WITH due AS (SELECT id FROM jobs WHERE queue = $1 AND NOT dead AND due_at <= $2 ",
            "ORDER BY due_at, id LIMIT $3 ",
            $for_update,
            ") UPDATE jobs SET attempts = attempts + 1, due_at = $4, lease = $5 \
             WHERE id IN (SELECT id FROM due) RETURNING *"
        )
    };
}

async fn take<L: Link>(
    link: &mut L,
    queue: String,
    limit: u32,
    until: Micros,
    now: Micros,
) -> Result<Vec<Job>> {
    // Those whose last lease ran out.
    let bury = sql(
        "giving up jobs",
        "UPDATE jobs SET dead = true, lease = NULL, \
         last_error = 'not finished: the lease of its last attempt ran out' \
         WHERE queue = $1 AND NOT dead AND due_at <= $2 AND attempts >= max_attempts",
    );
    link.execute(bury.bind(queue.as_str()).bind(now)).await?;
    let text = match L::DIALECT {
        Dialect::Sqlite => take!(""),
        Dialect::Postgres => take!("FOR UPDATE SKIP LOCKED"),
    };
    let take = sql("taking jobs", text)
        .bind(queue)
        .bind(now)
        .bind(i64::from(limit.clamp(1, MAX_JOBS)))
        .bind(until)
        .bind(new_id());
    let mut jobs = link.fetch::<Job>(take).await?;
    jobs.sort_by_key(|job| job.id);
    Ok(jobs)
}

fn lost(job: &Job) -> StoreError {
    StoreError::not_found("lease on job", job.id)
}

fn check(job: &NewJob) -> Result<()> {
    limits::name("queue", &job.queue)?;
    if let Some(key) = &job.key {
        limits::name("key", key)?;
    }
    limits::json("payload", &job.payload)
}

/// Adds jobs, within somebody's unit of work, in the order of their keys; gives the ids
/// of those whose key was free.
pub(crate) async fn add<L: Link>(
    link: &mut L,
    mut jobs: Vec<NewJob>,
    now: Micros,
) -> Result<Vec<Uuid>> {
    jobs.iter().try_for_each(check)?;
    jobs.sort_by(|one, other| (&one.queue, &one.key).cmp(&(&other.queue, &other.key)));
    let mut added = Vec::new();
    let mut jobs = jobs.into_iter().peekable();
    while jobs.peek().is_some() {
        let mut query = Query::insert();
        query
            .into_table("jobs")
            .columns(COLUMNS)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .returning_col("id");
        for job in jobs.by_ref().take(ROWS) {
            query
                .values([
                    Expr::val(new_id()),
                    Expr::val(job.queue),
                    Expr::val(job.key),
                    Expr::val(job.payload),
                    Expr::val(job.due_at),
                    Expr::val(i64::from(job.max_attempts.max(1))),
                    Expr::val(now),
                ])
                .map_err(|why| StoreError::damaged("a statement", why))?;
        }
        let insert = in_dialect("adding jobs", L::DIALECT, &query);
        let ids = link.fetch::<One<Uuid>>(insert).await?;
        added.extend(ids.into_iter().map(|One(id)| id));
    }
    if !added.is_empty() {
        link.announce(Change::Jobs).await?;
    }
    Ok(added)
}

#[async_trait]
impl<B: Backend> Jobs for SqlStore<B> {
    async fn add_job(&self, job: NewJob, now: Micros) -> Result<Option<Uuid>> {
        check(&job)?;
        self.0
            .write(move |link| {
                Box::pin(async move { Ok(add(link, vec![job], now).await?.into_iter().next()) })
            })
            .await
    }

    async fn take_jobs(
        &self,
        queue: &str,
        limit: u32,
        lease: Micros,
        now: Micros,
    ) -> Result<Vec<Job>> {
        let queue = queue.to_owned();
        let until = now.saturating_add(lease);
        self.0
            .write(move |link| Box::pin(async move { take(link, queue, limit, until, now).await }))
            .await
    }

    async fn renew_job(&self, job: &Job, lease: Micros, now: Micros) -> Result<()> {
        let job = job.clone();
        let until = now.saturating_add(lease);
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let renew = sql(
                        "holding a job",
                        "UPDATE jobs SET due_at = $1 WHERE id = $2 AND lease = $3",
                    );
                    match link
                        .execute(renew.bind(until).bind(job.id).bind(job.lease))
                        .await?
                    {
                        0 => Err(lost(&job)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    async fn finish_job(&self, job: &Job) -> Result<()> {
        let job = job.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let delete = sql(
                        "finishing a job",
                        "DELETE FROM jobs WHERE id = $1 AND lease = $2",
                    );
                    match link.execute(delete.bind(job.id).bind(job.lease)).await? {
                        0 => Err(lost(&job)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    async fn fail_job(&self, job: &Job, error: &str, now: Micros) -> Result<()> {
        let job = job.clone();
        let error = clip(error, MAX_JOB_ERROR);
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let fail = sql(
                        "putting a job back",
                        "UPDATE jobs SET lease = NULL, due_at = $1, last_error = $2, \
                         dead = attempts >= max_attempts WHERE id = $3 AND lease = $4",
                    );
                    let again = now.saturating_add(back_off(job.id, job.attempt));
                    let fail = fail.bind(again).bind(error).bind(job.id).bind(job.lease);
                    match link.execute(fail).await? {
                        0 => Err(lost(&job)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    async fn next_job_due(&self, queue: &str) -> Result<Option<Micros>> {
        let read = sql(
            "looking for the next job",
            "SELECT due_at FROM jobs WHERE queue = $1 AND NOT dead ORDER BY due_at LIMIT 1",
        );
        let found = self
            .0
            .read()
            .await?
            .first::<One<Micros>>(read.bind(queue))
            .await?;
        Ok(found.map(|One(due_at)| due_at))
    }

    async fn dead_jobs(&self, before: Option<Uuid>, size: PageSize) -> Result<Page<DeadJob, Uuid>> {
        let list = sql(
            "listing jobs that were given up",
            "SELECT * FROM jobs WHERE dead AND id < $1 ORDER BY id DESC LIMIT $2",
        );
        let list = list.bind(before.unwrap_or(Uuid::max())).bind(size.probe());
        let rows = self.0.read().await?.fetch::<DeadJob>(list).await?;
        Ok(Page::of(rows, size, |job| job.id))
    }

    async fn revive_job(&self, id: Uuid, cause: &Cause) -> Result<()> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    // Its key may have been given to another meanwhile.
                    let revive = sql(
                        "trying a job again",
                        "UPDATE jobs SET dead = false, attempts = 0, due_at = $1, key = NULL \
                         WHERE id = $2 AND dead",
                    );
                    if link.execute(revive.bind(cause.at).bind(id)).await? == 0 {
                        return Err(StoreError::not_found("job that was given up", id));
                    }
                    link.announce(Change::Jobs).await?;
                    let deed = Deed {
                        action: "job.revive".to_owned(),
                        kind: "job".to_owned(),
                        subject: id.to_string(),
                        detail: json!({}),
                    };
                    audit::append(link, deed, &cause).await
                })
            })
            .await
    }
}
