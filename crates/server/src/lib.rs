//! The control plane.
//!
//! ```text
//! people, scripts ─ HTTP JSON ─► api ─┐               ┌─ fleet ◄─ gRPC, mutual TLS ─ sensors
//!                                     ├─► Store ◄─────┤
//!                 who may do what: auth               └─ bundles signed, rolled out, findings taken in
//! ```
//! `api` and `fleet` know the store and not each other: what one writes, the
//! other hears of by the store's change notice.

pub mod auth;
pub mod backup;
pub mod config;
pub mod digest;
mod exceptions;
mod files;
pub mod http;
pub mod intake;
mod outputs;
mod playbooks;
pub mod projects;
mod retention;
mod start;
mod stored;
pub mod telemetry;

pub mod api;
pub mod fleet;

pub use start::{Server, StartError, start};

/// Ends once the server is told to stop.
pub(crate) async fn stopped(stopping: &mut tokio::sync::watch::Receiver<bool>) {
    // Whoever could say so is gone: the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}
