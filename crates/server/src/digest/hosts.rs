//! The task that tells the graph of hosts that have no finding yet, and of projects.

use super::graph;
use crate::intake::ProjectBook;
use picket_store::{Change, Changes, GraphWrites, PageSize, SensorFilter, Store, Uuid, limits};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long changes are collected: a fleet enrols in a moment, and tells how its rules
/// stand at each roll-out.
const COLLECT: Duration = Duration::from_secs(10);
/// How often it is told anyway, so that retention leaves what is still so.
const ANYWAY: Duration = Duration::from_secs(6 * 3600);

/// Runs until the server stops.
pub(crate) async fn run(store: Arc<dyn Store>, mut stopping: watch::Receiver<bool>) {
    let mut changes = store.changes();
    let mut told = Told::new();
    let mut all_at = Instant::now() + ANYWAY;
    loop {
        if let Err(why) = tell(&*store, &mut told).await {
            tracing::warn!(%why, "the graph could not be told of the hosts");
        }
        tokio::select! {
            () = crate::stopped(&mut stopping) => return,
            () = notice(&mut changes) => {}
            () = tokio::time::sleep_until(all_at) => {
                told.clear();
                all_at = Instant::now() + ANYWAY;
            }
        }
    }
}

/// What was told of each sensor: its projects, with their names.
type Told = HashMap<Uuid, Vec<(Uuid, String)>>;

/// Waits until there may be something to tell.
async fn notice(changes: &mut Changes) {
    while let Some(change) = changes.next().await {
        if matches!(
            change,
            Change::Sensors | Change::Definitions | Change::Unknown
        ) {
            return tokio::time::sleep(COLLECT).await;
        }
    }
    // The store is closed: the server stops.
    std::future::pending().await
}

/// Tells of every sensor that was not revoked and not told of yet, a page at a time.
async fn tell(store: &dyn Store, told: &mut Told) -> picket_store::Result<()> {
    let projects = ProjectBook::read(store).await?;
    let filter = SensorFilter {
        revoked: Some(false),
        ..SensorFilter::default()
    };
    let size = PageSize::new(limits::MAX_PAGE)?;
    let now = crate::api::now();
    let mut before = None;
    loop {
        let page = store.sensors(&filter, before, size).await?;
        let (mut writes, mut new) = (GraphWrites::default(), Vec::new());
        for sensor in &page.items {
            let of_sensor = projects.of_sensor(&sensor.host, &sensor.labels);
            let named = of_sensor.iter().map(|(id, name)| (*id, (*name).to_owned()));
            let named: Vec<_> = named.collect();
            if told.get(&sensor.id) != Some(&named) {
                graph::host(&mut writes, now, &sensor.host, &of_sensor);
                new.push((sensor.id, named));
            }
        }
        if !writes.is_empty() {
            store.add_to_graph(writes).await?;
        }
        told.extend(new);
        before = page.next;
        if before.is_none() {
            return Ok(());
        }
    }
}
