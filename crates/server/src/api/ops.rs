//! For machines that look after the server.

use super::App;
use super::metrics::family;
use super::problem::{Code, Problem};
use super::values::now;
use super::who::Who;
use crate::auth::Permission;
use crate::fleet::{Census, Fleet};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use picket_model::severity::Severity;
use picket_store::OpenIssues;
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
    let mut text = of_process();
    let asked = tokio::time::timeout(PATIENCE, app.store.ping()).await;
    let name = "picket_store_up";
    family(&mut text, name, "gauge", "Whether the database answers");
    let _ = writeln!(text, "{name} {}", u8::from(matches!(asked, Ok(Ok(())))));
    text.push_str(&of_issues(&app).await);
    text.push_str(&app.metrics.render());
    if let Some(fleet) = app.fleet.upgrade() {
        text.push_str(&of_fleet(&fleet));
    }
    (kind, text).into_response()
}

/// Those that wait for people, by severity; nothing where the store does not say so.
async fn of_issues(app: &App) -> String {
    let mut out = String::new();
    let asked = tokio::time::timeout(PATIENCE, app.store.open_issues(now())).await;
    let Ok(Ok(counts)) = asked else { return out };
    type Count = fn(&OpenIssues) -> i64;
    let gauges: [(&str, &str, Count); 2] = [
        ("picket_issues_open", "Issues that are not closed", |of| {
            of.open
        }),
        (
            "picket_issues_overdue",
            "Issues that should have been closed",
            |of| of.overdue,
        ),
    ];
    for (name, help, value) in gauges {
        family(&mut out, name, "gauge", help);
        for severity in Severity::ALL {
            let found = counts.iter().find(|of| of.severity == severity);
            let value = found.map_or(0, value);
            let _ = writeln!(out, "{name}{{severity=\"{}\"}} {value}", severity.name());
        }
    }
    out
}

fn of_process() -> String {
    let mut out = String::new();
    let name = "picket_build_info";
    family(&mut out, name, "gauge", "The version that runs");
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, "{name}{{version=\"{version}\"}} 1");
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    // In KiB, whatever a page is.
    let status = read("/proc/self/status");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .unwrap_or(0);
    let name = "process_resident_memory_bytes";
    family(&mut out, name, "gauge", "Memory of this process");
    let _ = writeln!(out, "{name} {}", resident * 1024);
    let name = "process_open_fds";
    family(&mut out, name, "gauge", "Open file descriptors");
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let _ = writeln!(out, "{name} {open}");
    out
}

fn of_census(out: &mut String, census: &Census) {
    let gauges = [
        (
            "picket_sensors",
            "Sensors that are not revoked",
            census.sensors,
        ),
        (
            "picket_sensors_silent",
            "Sensors that were not heard of for two minutes",
            census.silent,
        ),
        (
            "picket_sensors_disarmed",
            "Sensors on which every block was lifted by hand",
            census.disarmed,
        ),
        (
            "picket_sensors_bundle_expired",
            "Sensors whose bundle should have been replaced",
            census.expired,
        ),
        (
            "picket_sensors_bundle_failing",
            "Sensors that could not apply what they were given",
            census.failing,
        ),
        (
            "picket_sensors_over_budget",
            "Sensors on which a rule costs more than a rule may",
            census.over_budget,
        ),
        (
            "picket_sensors_dropping",
            "Sensors that dropped findings for want of room",
            census.dropping,
        ),
        ("picket_sensors_revoked", "Revoked sensors", census.revoked),
        (
            "picket_rollouts_under_way",
            "Roll-outs that are under way",
            census.rolling,
        ),
        (
            "picket_rollouts_halted",
            "Roll-outs that halted and wait for somebody",
            census.halted,
        ),
    ];
    for (name, help, value) in gauges {
        family(out, name, "gauge", help);
        let _ = writeln!(out, "{name} {value}");
    }
    let name = "picket_fleet_looked_timestamp_seconds";
    family(
        out,
        name,
        "gauge",
        "When sensors and roll-outs were last looked at",
    );
    let _ = writeln!(out, "{name} {}", census.at / 1_000_000);
}

fn of_fleet(fleet: &Fleet) -> String {
    let mut out = String::new();
    let name = "picket_sensors_connected";
    family(&mut out, name, "gauge", "Sensors whose stream is open here");
    let _ = writeln!(out, "{name} {}", fleet.connected());
    of_census(&mut out, &fleet.census());
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
