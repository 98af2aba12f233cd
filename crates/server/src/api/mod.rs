//! The HTTP API: `/api/v1`, JSON, its description generated from the handlers.
//!
//! ```text
//! request ─► guard (rate, time-out, headers, metrics) ─► Who ─► handler ─► Store
//!                                                                  │ a change of rules:
//!                                                                  └─► definitions::library: checked as a whole
//! ```
//! Every error is a [`problem::Problem`] (RFC 9457).

mod app;
mod apply;
mod audit;
mod bundles;
mod definitions;
mod evidence;
mod exceptions;
mod export;
mod extract;
mod filters;
mod findings;
mod graph;
mod guard;
mod host_actions;
mod issue_notes;
mod issue_stream;
mod issues;
mod join_tokens;
mod live;
mod me;
mod metrics;
mod oidc;
mod ops;
mod playbooks;
mod problem;
mod projects;
mod rollouts;
mod router;
mod search;
mod seed;
mod sensors;
mod session;
mod tokens;
mod users;
mod values;
mod who;
mod workbench;

pub use app::{App, AppParts};
pub use metrics::Metrics;
pub use router::{openapi, ops_router, router};
pub use seed::{Seeded, seed};
pub(crate) use values::now;
