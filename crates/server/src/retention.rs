//! Deletes what is old, a bounded number at a time, for as long as the server runs.

use crate::config::Retention;
use picket_store::{GraphPlace, Micros, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);
/// How often the graph is walked through for what is old.
const SWEEP: Duration = Duration::from_secs(12 * 3600);
/// Rows deleted in one transaction; of the graph, rows looked at.
const STEP: u32 = 1000;
/// Transactions in a row, at most: others want to write too.
const STEPS: usize = 100;

/// What stays how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) findings: Retention,
    /// Closed issues.
    pub(crate) issues: Duration,
    /// What the graph has not seen again.
    pub(crate) graph: Duration,
}

/// Runs until the server stops.
pub(crate) async fn run(store: Arc<dyn Store>, keep: Keep, mut stopping: watch::Receiver<bool>) {
    let mut sweep = Sweep::default();
    loop {
        let store = &*store;
        told("findings", findings(store, keep.findings).await);
        let issues = ago(keep.issues);
        told(
            "closed issues",
            steps(|| store.delete_closed_issues(issues, STEP)).await,
        );
        told("rows of the graph", sweep.go_on(store, keep.graph).await);
        // Of the runs of playbooks, as long as of issues.
        told(
            "runs of playbooks",
            steps(|| store.delete_runs_before(issues, STEP)).await,
        );
        told(
            "host actions",
            steps(|| store.delete_actions_before(issues, STEP)).await,
        );
        tokio::select! {
            () = crate::stopped(&mut stopping) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn told(what: &str, deleted: picket_store::Result<u64>) {
    match deleted {
        Ok(0) => {}
        Ok(gone) => tracing::info!(gone, "old {what} were deleted"),
        Err(why) => tracing::warn!(%why, "old {what} could not be deleted"),
    }
}

/// The time before which things are older than this.
fn ago(age: Duration) -> Micros {
    let age = Micros::try_from(age.as_micros()).unwrap_or(Micros::MAX);
    crate::api::now().saturating_sub(age)
}

/// Until a step finds fewer than it might delete; how many it were.
async fn steps<F>(mut step: impl FnMut() -> F) -> picket_store::Result<u64>
where
    F: Future<Output = picket_store::Result<u64>>,
{
    let mut gone = 0;
    for _ in 0..STEPS {
        let deleted = step().await?;
        gone += deleted;
        if deleted < STEP.into() {
            break;
        }
    }
    Ok(gone)
}

/// A walk through the graph for what is old.
#[derive(Default)]
struct Sweep {
    /// How far it has come; none: all of it was walked through,
    from: Option<GraphPlace>,
    /// and when that was.
    done: Option<Instant>,
}

impl Sweep {
    /// Goes on for a while; how many rows were deleted.
    async fn go_on(&mut self, store: &dyn Store, age: Duration) -> picket_store::Result<u64> {
        if self.done.is_some_and(|done| done.elapsed() < SWEEP) {
            return Ok(0);
        }
        self.done = None;
        let before = ago(age);
        let mut gone = 0;
        for _ in 0..STEPS {
            let swept = store.sweep_graph(before, self.from, STEP).await?;
            self.from = swept.next;
            gone += swept.deleted;
            if self.from.is_none() {
                self.done = Some(Instant::now());
                break;
            }
        }
        Ok(gone)
    }
}

async fn findings(store: &dyn Store, keep: Retention) -> picket_store::Result<u64> {
    let before = ago(keep.age);
    let by_age = steps(|| store.delete_findings_before(before, STEP)).await?;
    let by_size = steps(|| store.trim_findings(keep.keep, STEP)).await?;
    Ok(by_age + by_size)
}
