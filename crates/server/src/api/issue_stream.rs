//! That issues have changed: server-sent events.
//!
//! A stream says that there is something to read, not what: an issue is a few rows that
//! change all the time, and a list is read again in one request, with its filters.

use super::App;
use super::live::{ANYWAY, place, sse, still_may};
use super::problem::Problem;
use super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use picket_store::Change;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// How long notices are collected: in a flood, so often a list is read again.
const COLLECT: Duration = Duration::from_secs(1);

/// Follow that issues have changed
///
/// Server-sent events of the type `issues`, without data worth reading: some issues were
/// opened, counted on or changed, perhaps none that you may see. At most one a second;
/// read the list again. It ends when the token does, or the server.
#[utoipa::path(get, path = "/issues/stream", tag = "issues", operation_id = "stream_issues",
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn stream(State(app): State<App>, who: Who) -> Result<Response, Problem> {
    who.needs(Permission::Read)?;
    let place = place(&app)?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(follow(app, who, sender, place));
    Ok(sse(receiver))
}

async fn follow(
    app: App,
    who: Who,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    _place: OwnedSemaphorePermit,
) {
    let metrics = app.metrics.clone();
    metrics.streams.fetch_add(1, Ordering::Relaxed);
    tell(&app, &who, &sender).await;
    metrics.streams.fetch_sub(1, Ordering::Relaxed);
}

async fn tell(app: &App, who: &Who, sender: &mpsc::Sender<Result<Event, Infallible>>) {
    let mut changes = app.store.changes();
    let mut stopping = app.stopping.clone();
    loop {
        let change = tokio::select! {
            () = crate::stopped(&mut stopping) => return,
            () = sender.closed() => return,
            change = tokio::time::timeout(ANYWAY, changes.next()) => change,
        };
        let changed = match change {
            Ok(None) => return,
            Ok(Some(Change::Issues | Change::Unknown)) => true,
            Ok(Some(Change::Access)) | Err(_) => {
                if !still_may(app, &who.hash, &who.rights).await {
                    return;
                }
                false
            }
            Ok(Some(_)) => false,
        };
        if !changed {
            continue;
        }
        let event = Event::default().event("issues").data("changed");
        if sender.send(Ok(event)).await.is_err() {
            return;
        }
        tokio::time::sleep(COLLECT).await;
    }
}
