//! How fast findings become issues and whatever else they lead to: alone, and while
//! others are stored.

use anyhow::Result;
use picket_store::{Digested, Digester, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Findings digested at once, as the server does it.
const BATCH: u32 = picket_server::digest::BATCH;
/// Findings stored while others are digested, and how.
const MORE: usize = 50_000;
const LOAD: (usize, usize) = (1000, 8);

/// Digests all that is pending, and then what is stored meanwhile.
pub async fn measure(store: &Arc<dyn Store>, next: usize) -> Result<()> {
    let begun = Instant::now();
    let (alone, issues) = drain(store, || false).await?;
    let rate = f64::from(alone) / begun.elapsed().as_secs_f64();
    println!("\n{alone} findings are digested at {rate:.0} findings/s, into {issues} issues.");

    // A rule that goes mad: one issue.
    let flood = |number| {
        let one = super::sample::finding(0);
        let mut finding = super::sample::finding(number);
        let time = finding.columns.time;
        finding.columns = one.columns;
        finding.columns.time = time;
        finding.facts = one.facts;
        finding
    };
    super::load(store, next + MORE..next + 2 * MORE, LOAD.0, LOAD.1, flood).await?;
    let begun = Instant::now();
    let (alone, issues) = drain(store, || false).await?;
    let rate = f64::from(alone) / begun.elapsed().as_secs_f64();
    println!(
        "A flood of {alone} findings is digested at {rate:.0} findings/s, into {issues} issue."
    );

    let storing = Arc::new(AtomicBool::new(true));
    let begun = Instant::now();
    let digesting = {
        let (store, storing) = (Arc::clone(store), Arc::clone(&storing));
        tokio::spawn(async move { drain(&store, || storing.load(Ordering::Relaxed)).await })
    };
    let stored = super::load(
        store,
        next..next + MORE,
        LOAD.0,
        LOAD.1,
        super::sample::finding,
    )
    .await?;
    storing.store(false, Ordering::Relaxed);
    let (digested, _) = digesting.await??;
    let rate = f64::from(digested) / begun.elapsed().as_secs_f64();
    println!(
        "Both at once: {stored:.0} findings/s stored, and all digested at {rate:.0} findings/s."
    );
    Ok(())
}

/// Until none is left, and none is to come.
async fn drain(store: &Arc<dyn Store>, more: impl Fn() -> bool) -> Result<(u32, u32)> {
    let digester: Arc<dyn Digester> = picket_server::digest::reader();
    let (mut findings, mut issues) = (0, 0);
    loop {
        let more = more();
        let done: Digested = store
            .digest(Arc::clone(&digester), BATCH, super::sample::NOW)
            .await?;
        anyhow::ensure!(done.skipped == 0, "findings were skipped");
        findings += done.findings;
        issues += done.opened;
        if done.findings == 0 && !more {
            return Ok((findings, issues));
        }
        if done.findings == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
