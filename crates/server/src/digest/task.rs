//! The task that digests, for as long as the server runs.

use super::Reader;
use crate::api::Metrics;
use picket_store::{Change, Changes, Digester, Micros, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Findings digested in one transaction. It holds up who else writes, so it is small
/// enough to be quick, and large enough that its cost is not that of its commit.
pub const BATCH: u32 = 1000;
/// Of so many batches, one counts what is left.
const COUNTED: u64 = 100;
/// How long notices are collected before it is looked. A flood is then digested in
/// full batches.
const COLLECT: Duration = Duration::from_millis(50);
/// How often it is looked if nobody says anything: a notice of findings may be lost.
const ANYWAY: Duration = Duration::from_secs(5);
/// How long it is waited after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Runs until the server stops.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    reader: Arc<Reader>,
    metrics: Arc<Metrics>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut changes = store.changes();
    loop {
        let wait = match all(&*store, &reader, &metrics, &stopping).await {
            Ok(()) => ANYWAY,
            Err(why) => {
                tracing::warn!(%why, "findings could not be digested");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = crate::stopped(&mut stopping) => return,
            () = notice(&mut changes, wait) => {}
        }
    }
}

/// Waits until there may be something to do.
async fn notice(changes: &mut Changes, anyway: Duration) {
    let told = async {
        while let Some(change) = changes.next().await {
            if matches!(change, Change::Findings | Change::Unknown) {
                return tokio::time::sleep(COLLECT).await;
            }
        }
        // The store is closed: the server stops.
        std::future::pending().await
    };
    // What it is that ended the wait is all the same.
    let _ = tokio::time::timeout(anyway, told).await;
}

/// Digests until nothing is left, or the server stops.
async fn all(
    store: &dyn Store,
    reader: &Arc<Reader>,
    metrics: &Metrics,
    stopping: &watch::Receiver<bool>,
) -> picket_store::Result<()> {
    for batch in 0_u64.. {
        if *stopping.borrow() {
            break;
        }
        // Counting reads them all: not each time.
        if batch.is_multiple_of(COUNTED) {
            metrics.pending(store.findings_pending().await?);
        }
        let digester: Arc<dyn Digester> = reader.clone();
        let now = crate::api::now();
        let done = store.digest(digester, BATCH, now).await?;
        metrics.digested(&done, age(done.oldest, now));
        if done.skipped > 0 {
            tracing::warn!(
                findings = done.skipped,
                "findings lead to nothing: their facts cannot be read or stored"
            );
        }
        if done.findings < BATCH {
            metrics.pending(0);
            break;
        }
    }
    Ok(())
}

fn age(since: Option<Micros>, now: Micros) -> Duration {
    let micros = since.map_or(0, |since| now.saturating_sub(since));
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
