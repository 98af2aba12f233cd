//! Exports: everything that a filter finds, as a file.
//!
//! ```text
//! store ─ a page ─► lines ─ chunks ─► body          two chunks wait at most
//! ```
//! A page is read when the one before is on its way: however much is exported, and
//! however slowly it is taken, a few pages are in memory. What goes wrong on the way
//! breaks the body off, so that a part is not taken for the whole.

mod csv;
pub(super) mod findings;
pub(super) mod issues;

use super::App;
use super::live::{ANYWAY, place, still_may};
use super::problem::{Code, Problem};
use super::who::Who;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use picket_store::Deed;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Chunks that wait for a slow reader.
const WAITING: usize = 2;
/// Bytes of a chunk, about.
const CHUNK: usize = 64 << 10;
/// How long a reader may take for a chunk: an export has one of the streams' places.
const SLOW: Duration = Duration::from_secs(60);
/// Bytes of a filter in the audit log.
const TOLD: usize = 2000;

/// What an export is made of.
trait Pages: Send + 'static {
    /// The next lines; none: that was all.
    fn next(&mut self, app: &App) -> impl Future<Output = Result<Option<Vec<u8>>, Problem>> + Send;
}

/// What is exported.
struct Export {
    /// `finding` or `issue`.
    kind: &'static str,
    /// The body's media type.
    media_type: &'static str,
    /// The file's name.
    file: &'static str,
    /// What was asked for.
    asked: Vec<(String, String)>,
}

/// Takes the `format` out of what was asked for. What belongs to pages has no place in
/// an export.
fn format(pairs: &mut Vec<(String, String)>) -> Result<String, Problem> {
    let paging = ["limit", "cursor", "include"];
    if let Some((name, _)) = pairs.iter().find(|(name, _)| paging.contains(&&**name)) {
        let why = format!("{name}: an export is everything that the filters find");
        return Err(Problem::new(Code::BadRequest, why));
    }
    let place = pairs.iter().position(|(name, _)| name == "format");
    let place = place.ok_or_else(|| Problem::new(Code::BadRequest, "format is missing"))?;
    Ok(pairs.remove(place).1)
}

fn unknown(known: &str) -> Problem {
    Problem::new(Code::BadRequest, format!("format: {known}"))
}

/// Writes it down, and begins.
async fn begin(app: App, who: Who, export: Export, pages: impl Pages) -> Result<Response, Problem> {
    let place = place(&app)?;
    let mut asked = serde_json::to_string(&export.asked).unwrap_or_default();
    asked.truncate(asked.floor_char_boundary(TOLD));
    let deed = Deed {
        action: format!("{}.export", export.kind),
        kind: "user".to_owned(),
        subject: who.user.id.to_string(),
        detail: serde_json::json!({"file": export.file, "filter": asked}),
    };
    app.store.record(deed, &who.cause("")).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(send(app, who, pages, sender, place));
    let headers = [
        (header::CONTENT_TYPE, export.media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", export.file),
        ),
    ];
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok((headers, body).into_response())
}

type Chunks = mpsc::Sender<io::Result<Bytes>>;

async fn send(app: App, who: Who, pages: impl Pages, sender: Chunks, _place: OwnedSemaphorePermit) {
    let mut stopping = app.stopping.clone();
    let ended = tokio::select! {
        ended = all(&app, &who, pages, &sender) => ended,
        () = crate::stopped(&mut stopping) => Err("the server stops".to_owned()),
    };
    let Err(why) = ended else { return };
    tracing::warn!(why, "an export broke off");
    // If nobody takes it any more, there is nobody to tell.
    let _ = sender.try_send(Err(io::Error::other("the export broke off")));
}

async fn all(app: &App, who: &Who, mut pages: impl Pages, sender: &Chunks) -> Result<(), String> {
    let mut looked = Instant::now();
    while let Some(lines) = pages.next(app).await.map_err(|why| format!("{why:?}"))? {
        if looked.elapsed() > ANYWAY {
            if !still_may(app, &who.hash, &who.rights).await {
                return Err("they may no longer".to_owned());
            }
            looked = Instant::now();
        }
        let mut lines = Bytes::from(lines);
        while !lines.is_empty() {
            let chunk = lines.split_to(CHUNK.min(lines.len()));
            let sent = tokio::time::timeout(SLOW, sender.send(Ok(chunk))).await;
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err("it is not taken any more".to_owned()),
                Err(_) => return Err("it is taken too slowly".to_owned()),
            }
        }
    }
    Ok(())
}
