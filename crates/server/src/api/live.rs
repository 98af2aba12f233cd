//! Findings as they are stored: server-sent events.
//!
//! The store says that there are new ones, never which. A stream reads on from the id
//! of the last one it has sent; ids are made before their transaction commits, so it
//! reads a few seconds that it has seen again, and sends what it has not sent.

use super::App;
use super::extract::Pairs;
use super::findings::{FindingView, FindingsQuery, question, views};
use super::problem::{Code, Problem};
use super::search::{Search, sifted};
use super::values::{most, now};
use super::who::Who;
use crate::auth::{Permission, Rights};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use picket_store::{Change, FindingFilter, SecretHash, Uuid};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// Events that may wait for a slow reader.
const WAITING: usize = 256;
/// Milliseconds that are read again.
const OVERLAP: u64 = 10_000;
/// How long notices are collected before the store is asked.
const COLLECT: Duration = Duration::from_millis(100);
/// How often the store is asked if it says nothing, and the rights are looked at again.
pub(super) const ANYWAY: Duration = Duration::from_secs(30);
/// A line now and then, so that proxies do not close the connection.
const ALIVE: Duration = Duration::from_secs(15);

/// Follow findings as they are stored
///
/// Server-sent events of the type `finding`, each with the finding as `data` and its id
/// as `id`. With `Last-Event-ID` it goes on from there; some that were sent shortly
/// before may come again. It takes the filters of the list; `limit` and `cursor` have no
/// meaning. It ends when the token does, or the server.
#[utoipa::path(get, path = "/findings/stream", tag = "findings", operation_id = "stream_findings", params(FindingsQuery),
    responses((status = 200, content_type = "text/event-stream", body = FindingView), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn stream(
    State(app): State<App>,
    who: Who,
    headers: HeaderMap,
    Pairs(pairs): Pairs,
) -> Result<Response, Problem> {
    let scope = who.needs(Permission::Read)?;
    let asked = question(&app, &scope, pairs).await?;
    let place = place(&app)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let start =
        match last {
            Some(id) => back(id.parse().map_err(|_| {
                Problem::new(Code::BadRequest, "Last-Event-ID: it is no finding's id")
            })?),
            None => picket_store::new_id(),
        };
    let (sender, receiver) = mpsc::channel(WAITING);
    let follower = Follower {
        changes: app.store.changes(),
        stopping: app.stopping.clone(),
        filter: asked.filter,
        with_ocsf: asked.with_ocsf,
        search: asked.search,
        start,
        newest: start,
        sent: BTreeSet::new(),
        sender,
        token: who.hash,
        rights: who.rights,
        _place: place,
        app,
    };
    tokio::spawn(follower.run());
    Ok(sse(receiver))
}

/// A place among the streams, if there is one.
pub(super) fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.streams.clone().try_acquire_owned().map_err(|_| {
        let why = "there are too many streams: try again later";
        Problem::new(Code::Unavailable, why).retry_after(ANYWAY)
    })
}

/// Events as they come, with a line now and then.
pub(super) fn sse(events: mpsc::Receiver<Result<Event, Infallible>>) -> Response {
    Sse::new(ReceiverStream::new(events))
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response()
}

/// Whether the token is good, and its owner's rights are what they were.
pub(super) async fn still_may(app: &App, token: &SecretHash, rights: &Rights) -> bool {
    let Ok((user, _)) = app.store.user_of_token(token, now()).await else {
        return false;
    };
    let grants = app.store.grants(user.id).await;
    grants.is_ok_and(|grants| Rights::of(&grants) == *rights)
}

struct Follower {
    app: App,
    changes: picket_store::Changes,
    stopping: watch::Receiver<bool>,
    filter: FindingFilter,
    with_ocsf: bool,
    search: Option<Search>,
    start: Uuid,
    newest: Uuid,
    sent: BTreeSet<Uuid>,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    token: SecretHash,
    rights: Rights,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    async fn run(mut self) {
        let metrics = self.app.metrics.clone();
        metrics.streams.fetch_add(1, Ordering::Relaxed);
        let ended = self.follow().await;
        metrics.streams.fetch_sub(1, Ordering::Relaxed);
        if let Err(why) = ended {
            tracing::warn!(?why, "a stream of findings ended");
        }
    }

    async fn follow(&mut self) -> Result<(), Problem> {
        let mut look = true;
        loop {
            if look && !self.send_new().await? {
                return Ok(());
            }
            let change = tokio::select! {
                () = crate::stopped(&mut self.stopping) => return Ok(()),
                () = self.sender.closed() => return Ok(()),
                change = tokio::time::timeout(ANYWAY, self.changes.next()) => change,
            };
            look = match change {
                Ok(None) => return Ok(()),
                Ok(Some(Change::Findings)) => true,
                Ok(Some(Change::Access | Change::Unknown)) | Err(_) => {
                    if !still_may(&self.app, &self.token, &self.rights).await {
                        return Ok(());
                    }
                    true
                }
                Ok(Some(_)) => false,
            };
            if look {
                tokio::time::sleep(COLLECT).await;
            }
        }
    }

    /// Sends what is new; false: nobody listens any more.
    async fn send_new(&mut self) -> Result<bool, Problem> {
        let mut after = self.start.max(back(self.newest));
        loop {
            let page = self
                .app
                .store
                .findings_stored_after(&self.filter, after, most()?)
                .await?;
            let mut rows = page.items;
            rows.retain(|row| !self.sent.contains(&row.id));
            let looked_at: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            let rows = sifted(&mut self.search, &self.app, rows).await?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            let views = views(&self.app, rows, self.with_ocsf).await?;
            for (id, view) in ids.into_iter().zip(views) {
                if self.sender.send(Ok(event(id, &view)?)).await.is_err() {
                    return Ok(false);
                }
            }
            // What the search leaves out need not be judged again either.
            self.newest = looked_at
                .iter()
                .fold(self.newest, |newest, id| newest.max(*id));
            self.sent.extend(looked_at);
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let again = back(self.newest);
        self.sent = self.sent.split_off(&again);
        Ok(true)
    }
}

fn event(id: Uuid, view: &FindingView) -> Result<Event, Problem> {
    Event::default()
        .id(id.to_string())
        .event("finding")
        .json_data(view)
        .map_err(Problem::internal)
}

/// The smallest id of the time that is read again: a UUIDv7 begins with milliseconds.
fn back(id: Uuid) -> Uuid {
    let milliseconds = (id.as_u128() >> 80) as u64;
    Uuid::from_u128(u128::from(milliseconds.saturating_sub(OVERLAP)) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_is_a_few_seconds_before() {
        let id = picket_store::new_id();
        let earlier = back(id);
        assert!(earlier < id);
        assert_eq!(
            (id.as_u128() >> 80) - (earlier.as_u128() >> 80),
            OVERLAP.into()
        );
        assert_eq!(back(Uuid::from_u128(5)), Uuid::nil());
    }
}
