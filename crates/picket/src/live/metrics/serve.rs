//! The HTTP side, on a thread of its own.

use super::source::{Source, Standing};
use super::text;
use anyhow::{Context, Result};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use picket_server::http::{Encryption, Listener};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;

/// Clients at once; others wait.
const CONNECTIONS: usize = 16;

/// Serves until it is dropped or stopped.
pub struct Endpoint {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Binds the address, and serves what the source tells.
    pub fn start(address: SocketAddr, source: Arc<Source>) -> Result<Endpoint> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(2)
            .build()
            .context("cannot serve metrics")?;
        let bound = Listener::bind(address, Encryption::Off, CONNECTIONS);
        let listener = runtime
            .block_on(bound)
            .with_context(|| format!("cannot serve metrics on {address}"))?;
        let address = listener.address()?;
        let (stop, stopping) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("picket-metrics".into())
            .spawn(move || {
                runtime.block_on(listener.serve(routes(source), stopping));
                runtime.shutdown_background();
            })?;
        Ok(Endpoint {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The thread is gone only if it panicked.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn routes(source: Arc<Source>) -> Router {
    let (ready, health, metrics) = (source.clone(), source.clone(), source);
    Router::new()
        .route("/healthz", get(move || answer(health, healthz)))
        .route("/readyz", get(move || answer(ready, readyz)))
        .route("/metrics", get(move || answer(metrics, page)))
}

/// The event thread is waited for where waiting stops nobody else.
async fn answer(source: Arc<Source>, make: fn(&Source) -> Response) -> Response {
    let made = tokio::task::spawn_blocking(move || make(&source)).await;
    made.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

const STUCK: &str = "the event thread does not answer\n";

/// A sensor that is still arming its hooks is well.
fn healthz(source: &Source) -> Response {
    match source.standing() {
        Standing::Starting | Standing::Armed(_) => "ok\n".into_response(),
        Standing::Stuck => (StatusCode::SERVICE_UNAVAILABLE, STUCK).into_response(),
    }
}

/// Ready does not ask for the server: rules are in force without it.
fn readyz(source: &Source) -> Response {
    match source.standing() {
        Standing::Armed(_) => "ready\n".into_response(),
        Standing::Starting => {
            let why = "the hooks are not armed yet\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
        Standing::Stuck => (StatusCode::SERVICE_UNAVAILABLE, STUCK).into_response(),
    }
}

fn page(source: &Source) -> Response {
    let standing = source.standing();
    let snapshot = match &standing {
        Standing::Armed(snapshot) => Some(&**snapshot),
        Standing::Starting | Standing::Stuck => None,
    };
    let page = text::page(snapshot, source.line().as_ref());
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, page).into_response()
}
