//! Deletes old findings and issues, and what is old in the graph, a bounded number at a time,
//! for as long as the server runs.

use crate::config::Retention;
use picket_store::{GraphPlace, Micros, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);
/// How often the graph is walked through for what is old.
const SWEEP: Duration = Duration::from_secs(12 * 3600);
/// Findings, or issues, deleted in one transaction; of the graph, rows looked at.
const STEP: u32 = 1000;
/// Transactions in a row, at most: others want to write too.
const STEPS: usize = 100;

/// Runs until the server stops.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    keep: Retention,
    keep_issues: Duration,
    graph: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let mut sweep = Sweep::default();
    loop {
        if let Err(why) = once(&*store, keep).await {
            tracing::warn!(%why, "old findings could not be deleted");
        }
        if let Err(why) = sweep.go_on(&*store, graph).await {
            tracing::warn!(%why, "what is old in the graph could not be deleted");
        }
        if let Err(why) = closed_issues(&*store, keep_issues).await {
            tracing::warn!(%why, "old issues could not be deleted");
        }
        tokio::select! {
            () = crate::stopped(&mut stopping) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn ago(age: Duration) -> Micros {
    let age = Micros::try_from(age.as_micros()).unwrap_or(Micros::MAX);
    crate::api::now().saturating_sub(age)
}

/// A walk through the graph for what is old.
#[derive(Default)]
struct Sweep {
    /// How far it has come; none: all of it was walked through,
    from: Option<GraphPlace>,
    /// and when that was.
    done: Option<Instant>,
    /// Rows that it has deleted.
    gone: u64,
}

impl Sweep {
    /// Goes on for a while.
    async fn go_on(&mut self, store: &dyn Store, age: Duration) -> picket_store::Result<()> {
        if self.done.is_some_and(|done| done.elapsed() < SWEEP) {
            return Ok(());
        }
        self.done = None;
        let before = ago(age);
        for _ in 0..STEPS {
            let swept = store.sweep_graph(before, self.from, STEP).await?;
            self.from = swept.next;
            self.gone += swept.deleted;
            if self.from.is_none() {
                self.done = Some(Instant::now());
                if self.gone > 0 {
                    tracing::info!(rows = self.gone, "what is old in the graph was deleted");
                }
                self.gone = 0;
                break;
            }
        }
        Ok(())
    }
}

async fn closed_issues(store: &dyn Store, keep: Duration) -> picket_store::Result<()> {
    let before = ago(keep);
    for _ in 0..STEPS {
        if store.delete_closed_issues(before, STEP).await? < STEP.into() {
            break;
        }
    }
    Ok(())
}

async fn once(store: &dyn Store, keep: Retention) -> picket_store::Result<()> {
    let before = ago(keep.age);
    let mut gone = 0;
    for _ in 0..STEPS {
        let by_age = store.delete_findings_before(before, STEP).await?;
        let by_size = store.trim_findings(keep.keep, STEP).await?;
        gone += by_age + by_size;
        if by_age < STEP.into() && by_size < STEP.into() {
            break;
        }
    }
    if gone > 0 {
        tracing::info!(findings = gone, "old findings were deleted");
    }
    Ok(())
}
