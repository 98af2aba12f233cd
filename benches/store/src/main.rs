//! Findings stored and digested a second, and the time of list queries, on SQLite and on a
//! PostgreSQL of its own, both durable, on the disk that holds the scratch folder.
//!
//! ```console
//! $ picket-bench-store [FINDINGS [FOLDER]]
//! $ picket-bench-store lists [FINDINGS [FOLDER]]  # the list queries alone, of very many
//! $ picket-bench-store graph [EDGES [FOLDER]]   # the security graph instead
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table, and how far it is"
)]

mod digest;
mod graph;
mod lists;
mod sample;

use anyhow::{Context, Result, anyhow};
use picket_store::testing::PostgresServer;
use picket_store::{Keep, Location, NewFinding, Store, open};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Findings without an argument.
const FINDINGS: usize = 200_000;
/// Findings in a delivery, and deliveries under way at once.
const LOADS: [(usize, usize); 3] = [(1, 32), (100, 8), (1000, 8)];
/// Findings that retention deletes, and in one step.
const DELETED: u64 = 20_000;
const STEP: u32 = 1000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|word| word == "graph").is_some() {
        return of_graph(arguments).await;
    }
    if arguments.next_if(|word| word == "lists").is_some() {
        return of_lists(arguments).await;
    }
    let findings = match arguments.next() {
        Some(number) => number.parse().context("FINDINGS is a number")?,
        None => FINDINGS,
    };
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "{findings} findings, {} bytes of JSON each\n",
        sample::finding(0).ocsf.to_string().len()
    );

    let file = tempfile::tempdir_in(&folder)?;
    let location = Location::Sqlite(file.path().join("picket.db"));
    measure("SQLite", &location, findings).await?;
    let file = tempfile::tempdir_in(&folder)?;
    match PostgresServer::start_in(file, true) {
        Ok(server) => {
            let location = server.database().map_err(|why| anyhow!(why))?;
            measure("PostgreSQL", &location, findings).await?;
        }
        Err(why) => println!("PostgreSQL: skipped: {why}"),
    }
    Ok(())
}

/// Findings of the lists without an argument.
const LISTED: usize = 10_000_000;
/// Stored before what is pending is thrown away, so that it does not take the disk.
const FILL: usize = 250_000;

async fn of_lists(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let findings = match arguments.next() {
        Some(number) => number.parse().context("FINDINGS is a number")?,
        None => LISTED,
    };
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    {
        let file = tempfile::tempdir_in(&folder)?;
        let store = open(&Location::Sqlite(file.path().join("picket.db"))).await?;
        listed("SQLite", &store, findings).await?;
        store.close().await;
    }
    let file = tempfile::tempdir_in(&folder)?;
    match PostgresServer::start_in(file, true) {
        Ok(server) => {
            let store = open(&server.database().map_err(|why| anyhow!(why))?).await?;
            listed("PostgreSQL", &store, findings).await?;
            store.close().await;
        }
        Err(why) => println!("PostgreSQL: skipped: {why}"),
    }
    Ok(())
}

async fn listed(name: &str, store: &Arc<dyn Store>, findings: usize) -> Result<()> {
    let begun = Instant::now();
    for start in (0..findings).step_by(FILL) {
        let end = (start + FILL).min(findings);
        load(store, start..end, 1000, 8, sample::slim).await?;
        digest::discard(store).await?;
        eprintln!("{name}: {end} of {findings}");
    }
    let rate = findings as f64 / begun.elapsed().as_secs_f64();
    println!("### {name}: {findings} findings, stored at {rate:.0} a second");
    lists::measure(&**store, findings).await
}

/// Edges without an argument.
const EDGES: u64 = 1_000_000;

async fn of_graph(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let edges = match arguments.next() {
        Some(number) => number.parse().context("EDGES is a number")?,
        None => EDGES,
    };
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let file = tempfile::tempdir_in(&folder)?;
    let store = open(&Location::Sqlite(file.path().join("picket.db"))).await?;
    graph::measure("SQLite", &*store, edges).await?;
    store.close().await;
    let file = tempfile::tempdir_in(&folder)?;
    match PostgresServer::start_in(file, true) {
        Ok(server) => {
            let store = open(&server.database().map_err(|why| anyhow!(why))?).await?;
            graph::measure("PostgreSQL", &*store, edges).await?;
            store.close().await;
        }
        Err(why) => println!("PostgreSQL: skipped: {why}"),
    }
    Ok(())
}

async fn measure(name: &str, location: &Location, findings: usize) -> Result<()> {
    let store = open(location).await?;
    println!(
        "### {name}\n\n| findings a delivery | deliveries at once | findings/s |\n|---|---|---|"
    );
    let mut next = 0;
    for (batch, at_once) in LOADS {
        // One finding a delivery is slow: fewer of them, and the rest in large ones.
        let share = if batch == 1 {
            findings / 100
        } else {
            findings / 4
        };
        let share = if batch == 1000 {
            findings - next
        } else {
            share
        };
        let numbers = next..next + share;
        let rate = load(&store, numbers, batch, at_once, sample::finding).await?;
        println!("| {batch} | {at_once} | {rate:.0} |");
        next += share;
    }
    digest::measure(&store, next).await?;
    lists::measure(&*store, findings).await?;

    let keep = Keep {
        findings: Some(findings as i64 - DELETED as i64),
        bytes: None,
    };
    let begun = Instant::now();
    let mut deleted = 0;
    loop {
        let step = store.trim_findings(keep, STEP).await?;
        deleted += step;
        if step < u64::from(STEP) {
            break;
        }
    }
    let rate = deleted as f64 / begun.elapsed().as_secs_f64();
    println!("\nRetention deletes {rate:.0} findings/s.\n");
    store.close().await;
    Ok(())
}

/// Stores these findings; how many a second.
async fn load(
    store: &Arc<dyn Store>,
    numbers: std::ops::Range<usize>,
    batch: usize,
    at_once: usize,
    finding: impl Fn(usize) -> NewFinding + Copy + Send + 'static,
) -> Result<f64> {
    let count = numbers.len();
    let begun = Instant::now();
    let tasks: Vec<_> = (0..at_once)
        .map(|task| {
            let (store, numbers) = (Arc::clone(store), numbers.clone());
            tokio::spawn(async move {
                let starts = numbers.clone().step_by(batch).skip(task).step_by(at_once);
                for start in starts {
                    let end = (start + batch).min(numbers.end);
                    let delivery = (start..end).map(finding).collect();
                    store.store_findings(delivery, sample::NOW).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
