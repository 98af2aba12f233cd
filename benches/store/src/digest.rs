//! How fast findings become issues and whatever else they lead to: alone, and while
//! others are stored.

use anyhow::Result;
use picket_store::{
    Digested, Digester, FindingWrites, IssueChange, IssueWrites, PendingFinding, Store,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Findings digested at once, as the server does it.
const BATCH: u32 = picket_server::digest::BATCH;
/// Findings stored while others are digested, and how.
const MORE: usize = 50_000;
const LOAD: (usize, usize) = (1000, 8);
/// Of findings of which hardly two are alike.
const UNLIKE: usize = 20_000;

/// Digests all that is pending, and then what is stored meanwhile.
pub async fn measure(store: &Arc<dyn Store>, next: usize) -> Result<()> {
    let begun = Instant::now();
    let (alone, issues) = drain(store, || false).await?;
    let rate = f64::from(alone) / begun.elapsed().as_secs_f64();
    println!("\n{alone} findings are digested at {rate:.0} findings/s, into {issues} issues.");

    super::load(
        store,
        next + 2 * MORE..next + 2 * MORE + UNLIKE,
        LOAD.0,
        LOAD.1,
        super::sample::unlike,
    )
    .await?;
    let begun = Instant::now();
    let (alone, issues) = drain(store, || false).await?;
    let rate = f64::from(alone) / begun.elapsed().as_secs_f64();
    println!(
        "{alone} that are like hardly any other are digested at {rate:.0} findings/s, into \
         {issues} issues."
    );

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

    let start = next + 2 * MORE + UNLIKE;
    let numbers = start..start + UNLIKE;
    let stored = super::load(store, numbers, LOAD.0, LOAD.1, super::sample::unlike).await?;
    let grouper = picket_server::digest::grouper();
    let begun = Instant::now();
    let (alone, issues) = drain_with(store, grouper, || false).await?;
    let rate = f64::from(alone) / begun.elapsed().as_secs_f64();
    println!(
        "{alone} that are like hardly any other are stored at {stored:.0} findings/s, and grouped, and \
         nothing else, at {rate:.0} findings/s, into {issues} issues."
    );
    Ok(())
}

/// Until none is left, and none is to come.
async fn drain(store: &Arc<dyn Store>, more: impl Fn() -> bool) -> Result<(u32, u32)> {
    drain_with(store, picket_server::digest::reader(), more).await
}

async fn drain_with(
    store: &Arc<dyn Store>,
    digester: Arc<dyn Digester>,
    more: impl Fn() -> bool,
) -> Result<(u32, u32)> {
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

/// Throws away what is pending.
pub async fn discard(store: &Arc<dyn Store>) -> Result<()> {
    let nothing: Arc<dyn Digester> = Arc::new(Nothing);
    while store
        .digest(Arc::clone(&nothing), BATCH, super::sample::NOW)
        .await?
        .findings
        > 0
    {}
    Ok(())
}

/// Findings lead to nothing.
struct Nothing;

impl Digester for Nothing {
    fn findings(&self, _: &[PendingFinding]) -> FindingWrites {
        FindingWrites::default()
    }

    fn issues(&self, _: &[IssueChange]) -> IssueWrites {
        IssueWrites::default()
    }
}
