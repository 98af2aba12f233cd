//! For machines that look after the server.

use super::App;
use super::metrics::family;
use super::problem::{Code, Problem};
use super::who::Who;
use crate::auth::Permission;
use crate::fleet::Fleet;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the database may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tell that the process runs
#[utoipa::path(get, path = "/healthz", tag = "operations", operation_id = "healthz", security(()),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Tell whether requests can be served: the database answers, and the server is not stopping
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "readyz", security(()),
    responses((status = 200, content_type = "text/plain", body = String), (status = 503, body = Problem)))]
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    if *app.stopping.borrow() {
        return Err(Problem::new(Code::Unavailable, "the server is stopping"));
    }
    match tokio::time::timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(why)) => {
            tracing::warn!(%why, "the store does not answer");
            Err(Problem::new(Code::Unavailable, "the store does not answer"))
        }
        Err(_) => Err(Problem::new(
            Code::Unavailable,
            "the store did not answer in time",
        )),
    }
}

/// Show counters, as Prometheus reads them
///
/// On the listener for operations, if there is one, without a token.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, content_type = "text/plain", body = String), (status = 403, body = Problem)))]
pub(super) async fn metrics(State(app): State<App>, who: Who) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Read)?;
    Ok(open_metrics(State(app)).await)
}

/// The same without a log-in: for the listener of its own.
pub(super) async fn open_metrics(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    let mut text = app.metrics.render();
    if let Some(fleet) = app.fleet.upgrade() {
        text.push_str(&of_fleet(&fleet));
    }
    (kind, text).into_response()
}

fn of_fleet(fleet: &Fleet) -> String {
    let mut out = String::new();
    let name = "picket_sensors_connected";
    family(&mut out, name, "gauge", "Sensors whose stream is open here");
    let _ = writeln!(out, "{name} {}", fleet.connected());
    let counters = fleet.counters();
    let counters = [
        (
            "picket_findings_stored_total",
            "Findings stored",
            &counters.findings,
        ),
        (
            "picket_findings_known_total",
            "Findings delivered again",
            &counters.findings_known,
        ),
        (
            "picket_findings_refused_total",
            "Findings that cannot be stored",
            &counters.findings_refused,
        ),
        (
            "picket_sensors_enrolled_total",
            "Sensors let in",
            &counters.enrolled,
        ),
        (
            "picket_enrolments_refused_total",
            "Sensors not let in",
            &counters.enrolments_refused,
        ),
        (
            "picket_handshakes_failed_total",
            "Sensors' handshakes that failed",
            &counters.handshakes_failed,
        ),
        (
            "picket_calls_put_off_total",
            "Sensors' calls put off for want of room",
            &counters.put_off,
        ),
        (
            "picket_bundles_offered_total",
            "Bundles offered to sensors",
            &counters.offers,
        ),
    ];
    for (name, help, count) in counters {
        family(&mut out, name, "counter", help);
        let _ = writeln!(out, "{name} {}", count.load(Ordering::Relaxed));
    }
    out
}
