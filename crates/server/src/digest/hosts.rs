//! The task that tells the graph of hosts that have no finding yet, and of projects.

use super::graph;
use crate::intake::ProjectBook;
use picket_store::{Change, Changes, GraphWrites, PageSize, SensorFilter, Store, limits};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long changes are collected: a fleet enrols in a moment.
const COLLECT: Duration = Duration::from_secs(5);
/// How often it is told anyway, so that retention leaves what is still so.
const ANYWAY: Duration = Duration::from_secs(6 * 3600);

/// Runs until the server stops.
pub(crate) async fn run(store: Arc<dyn Store>, mut stopping: watch::Receiver<bool>) {
    let mut changes = store.changes();
    loop {
        if let Err(why) = tell(&*store).await {
            tracing::warn!(%why, "the graph could not be told of the hosts");
        }
        tokio::select! {
            () = crate::stopped(&mut stopping) => return,
            () = notice(&mut changes) => {}
        }
    }
}

/// Waits until there may be something to tell.
async fn notice(changes: &mut Changes) {
    let told = async {
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
    };
    // What it is that ended the wait is all the same.
    let _ = tokio::time::timeout(ANYWAY, told).await;
}

/// Tells of every sensor that was not revoked, a page at a time.
pub(crate) async fn tell(store: &dyn Store) -> picket_store::Result<()> {
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
        let mut writes = GraphWrites::default();
        for sensor in &page.items {
            let of_sensor = projects.of_sensor(&sensor.host, &sensor.labels);
            graph::host(&mut writes, now, &sensor.host, &of_sensor);
        }
        store.add_to_graph(writes).await?;
        before = page.next;
        if before.is_none() {
            return Ok(());
        }
    }
}
