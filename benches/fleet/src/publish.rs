//! From a rule's publication to the sensors.

use crate::figures::Spread;
use crate::fleet::Event;
use crate::server::Server;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);

/// How long it took.
pub struct Published {
    /// Until a sensor had verified it: of each.
    pub applied: Vec<Duration>,
    /// Until the server knew it of all of them.
    pub known: Duration,
}

/// Publishes the rule; the events of findings meanwhile go to `stored`.
pub async fn publish(
    server: &mut Server,
    events: &mut UnboundedReceiver<Event>,
    name: &str,
    sensors: usize,
    mut stored: impl FnMut(usize, Instant),
) -> Result<Published> {
    let last = version(server).await?;
    let begun = Instant::now();
    server.order(&format!("publish {name}")).await?;
    let mut applied = Vec::with_capacity(sensors);
    while applied.len() < sensors {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let Ok(event) = tokio::time::timeout(left, events.recv()).await else {
            bail!("{} of {sensors} sensors have applied {name}", applied.len());
        };
        match event.context("no sensor is left")? {
            Event::Applied(version, at) if version > last => applied.push(at - begun),
            Event::Stored(count, at) => stored(count, at),
            _ => {}
        }
    }
    while !(server.order("rollout").await?.starts_with("done") && version(server).await? > last) {
        if begun.elapsed() > PATIENCE {
            bail!(
                "the roll-out stands at {:?}",
                server.order("rollout").await?
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(Published {
        applied,
        known: begun.elapsed(),
    })
}

/// Of the last roll-out.
pub async fn version(server: &mut Server) -> Result<u64> {
    let said = server.order("rollout").await?;
    let version = said.rsplit_once(' ').map_or("0", |(_, version)| version);
    version.parse().context("an odd version")
}

/// Waits until every sensor goes by the rules that stand.
pub async fn settle(server: &mut Server) -> Result<()> {
    let begun = Instant::now();
    while !server.order("rollout").await?.starts_with("done") {
        if begun.elapsed() > PATIENCE {
            bail!(
                "the first roll-out stands at {:?}",
                server.order("rollout").await?
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// All of several publications.
pub fn spread(all: &[Published]) -> Spread {
    let applied = all.iter().flat_map(|one| one.applied.iter().copied());
    Spread::of(applied.collect())
}

/// Until the server knew.
pub fn known(all: &[Published]) -> Spread {
    Spread::of(all.iter().map(|one| one.known).collect())
}
