//! The control plane.
//!
//! ```text
//! people, scripts ─ HTTP JSON ─► api ─┐               ┌─ fleet ◄─ gRPC, mutual TLS ─ sensors
//!                                     ├─► Store ◄─────┤
//!                 who may do what: auth               └─ bundles signed, rolled out, findings taken in
//! ```
//! `api` and `fleet` know the store and not each other: what one writes, the
//! other hears of by the store's change notice.

pub mod api;
pub mod auth;
pub mod fleet;
pub mod intake;
pub mod projects;
