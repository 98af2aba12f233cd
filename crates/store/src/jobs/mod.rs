//! A queue of work that any replica may take.
//!
//! A job is taken for a time (its lease). Whoever finishes it says so; whoever
//! dies lets the lease run out, and the job is taken again: work must bear being
//! done twice, though two never hold it at once.

mod sql;

pub(crate) use sql::add;

use crate::basics::{Cause, Micros, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use serde_json::Value;

/// The wait after the first failure; twice as long after each further one.
pub const BACK_OFF: Micros = 5_000_000;
/// The longest wait.
pub const MAX_BACK_OFF: Micros = 3_600_000_000;

/// A job to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Which queue it stands in.
    pub queue: String,
    /// Of two jobs with the same key in a queue the second is not added while the
    /// first is not done.
    pub key: Option<String>,
    /// What to do.
    pub payload: Value,
    /// Not before this time.
    pub due_at: Micros,
    /// How often it is tried before it is given up, at least once.
    pub max_attempts: u32,
}

/// A job that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// Which queue it stood in.
    pub queue: String,
    /// What to do.
    pub payload: Value,
    /// Which attempt this is, from 1.
    pub attempt: i64,
    /// Shows that it was taken by the one who says so.
    pub lease: Uuid,
}

/// A job that was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadJob {
    /// Its id.
    pub id: Uuid,
    /// Which queue it stood in.
    pub queue: String,
    /// What was to be done.
    pub payload: Value,
    /// How often it was tried.
    pub attempts: i64,
    /// How the last try ended.
    pub last_error: String,
    /// When it was added.
    pub created_at: Micros,
}

/// The queue.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Adds a job; none if there is one with its key.
    async fn add_job(&self, job: NewJob, now: Micros) -> Result<Option<Uuid>>;

    /// Takes up to so many jobs that are due, the longest due first. A job is given
    /// to one taker at a time.
    async fn take_jobs(
        &self,
        queue: &str,
        limit: u32,
        lease: Micros,
        now: Micros,
    ) -> Result<Vec<Job>>;

    /// Holds a job for longer; an error if it was lost meanwhile.
    async fn renew_job(&self, job: &Job, lease: Micros, now: Micros) -> Result<()>;

    /// The job is done; an error if it was lost meanwhile, and another may do it too.
    async fn finish_job(&self, job: &Job) -> Result<()>;

    /// The job failed: it comes again later, or is given up.
    async fn fail_job(&self, job: &Job, error: &str, now: Micros) -> Result<()>;

    /// When the next job of a queue is due, a lease that runs out too.
    async fn next_job_due(&self, queue: &str) -> Result<Option<Micros>>;

    /// Jobs that were given up, newest first.
    async fn dead_jobs(&self, before: Option<Uuid>, size: PageSize) -> Result<Page<DeadJob, Uuid>>;

    /// Tries a job again that was given up.
    async fn revive_job(&self, id: Uuid, cause: &Cause) -> Result<()>;
}

/// How long to wait after this attempt, with up to a quarter more, by the job's id:
/// jobs that failed together do not come back together.
pub(crate) fn back_off(id: Uuid, attempt: i64) -> Micros {
    let doublings = (attempt - 1).clamp(0, 20) as u32;
    let wait = BACK_OFF.saturating_mul(1 << doublings).min(MAX_BACK_OFF);
    let share = i64::from(id.as_bytes()[15]);
    wait + wait / 4 * share / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_end_and_differ_between_jobs() {
        let (none, most) = (Uuid::nil(), Uuid::max());
        assert_eq!(back_off(none, 1), BACK_OFF);
        assert_eq!(back_off(none, 3), 4 * BACK_OFF);
        assert_eq!(back_off(none, i64::MAX), MAX_BACK_OFF);
        assert!(back_off(most, 1) > BACK_OFF && back_off(most, 1) < BACK_OFF * 5 / 4);
    }
}
