//! What is counted, as Prometheus reads it.

use picket_store::Digested;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the request durations' buckets, seconds.
const BOUNDS: [f64; 8] = [0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Debug, Default, Clone)]
struct Durations {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

/// What an output did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OutputCounts {
    /// Findings that it was told.
    pub(crate) told: u64,
    /// Findings that it refused for good.
    pub(crate) refused: u64,
    /// Findings that were deleted before it was told.
    pub(crate) lost: u64,
    /// Deliveries that failed and come again.
    pub(crate) failures: u64,
    /// Findings that wait for it.
    pub(crate) waiting: u64,
}

/// Their families: name, kind, help, value.
type OutputFamily = (
    &'static str,
    &'static str,
    &'static str,
    fn(&OutputCounts) -> u64,
);
const OUTPUT_FAMILIES: [OutputFamily; 5] = [
    (
        "picket_output_findings_told_total",
        "counter",
        "Findings that an output was told here",
        |counts| counts.told,
    ),
    (
        "picket_output_findings_refused_total",
        "counter",
        "Findings that an output refused for good",
        |counts| counts.refused,
    ),
    (
        "picket_output_findings_lost_total",
        "counter",
        "Findings that were deleted before an output was told",
        |counts| counts.lost,
    ),
    (
        "picket_output_failures_total",
        "counter",
        "Deliveries to an output that failed here and come again",
        |counts| counts.failures,
    ),
    (
        "picket_output_waiting",
        "gauge",
        "Findings that wait for an output",
        |counts| counts.waiting,
    ),
];

/// Counters and gauges. A gauge of another part of the server is set by its name.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By method, route and status. Routes are those of the router: their number is
    /// bounded, whatever paths are asked for.
    requests: Mutex<BTreeMap<(String, String, u16), u64>>,
    durations: Mutex<BTreeMap<(String, String), Durations>>,
    gauges: Mutex<BTreeMap<&'static str, (&'static str, f64)>>,
    pub(super) log_ins_failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) streams: AtomicI64,
    digested: AtomicU64,
    digest_skipped: AtomicU64,
    issues_opened: AtomicU64,
    issues_reopened: AtomicU64,
    steps_done: AtomicU64,
    steps_failed: AtomicU64,
    runs_suppressed: AtomicU64,
    outputs: Mutex<BTreeMap<String, OutputCounts>>,
}

impl Metrics {
    /// Sets a gauge; its name begins with `picket_`.
    pub fn set(&self, name: &'static str, help: &'static str, value: f64) {
        locked(&self.gauges).insert(name, (help, value));
    }

    /// What one digest did, and how long its oldest finding had waited.
    pub(crate) fn digested(&self, done: &Digested, waited: Duration) {
        for (counter, count) in [
            (&self.digested, done.findings),
            (&self.digest_skipped, done.skipped),
            (&self.issues_opened, done.opened),
            (&self.issues_reopened, done.reopened),
        ] {
            counter.fetch_add(count.into(), Ordering::Relaxed);
        }
        self.set(
            "picket_digest_lag_seconds",
            "How long the longest waiting finding of the last digest had waited",
            waited.as_secs_f64(),
        );
    }

    /// A playbook's step was tried.
    pub(crate) fn playbook_step(&self, done: bool) {
        let counter = if done {
            &self.steps_done
        } else {
            &self.steps_failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A playbook was to run too often.
    pub(crate) fn playbook_suppressed(&self) {
        self.runs_suppressed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts for an output.
    pub(crate) fn output(&self, name: &str, count: impl FnOnce(&mut OutputCounts)) {
        count(locked(&self.outputs).entry(name.to_owned()).or_default());
    }

    /// How many findings wait for outputs, by their names.
    pub(crate) fn outputs_waiting(&self, backlog: &[(String, i64)]) {
        let mut outputs = locked(&self.outputs);
        for (name, counts) in outputs.iter_mut() {
            let found = backlog.iter().find(|(output, _)| output == name);
            counts.waiting = found.map_or(0, |(_, waiting)| u64::try_from(*waiting).unwrap_or(0));
        }
    }

    /// How many findings wait to be digested.
    pub(crate) fn pending(&self, findings: i64) {
        self.set(
            "picket_digest_pending",
            "Findings that wait to be digested",
            findings as f64,
        );
    }

    pub(super) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let key = (method.to_owned(), route.to_owned(), status);
        *locked(&self.requests).entry(key).or_default() += 1;
        let mut durations = locked(&self.durations);
        let durations = durations
            .entry((method.to_owned(), route.to_owned()))
            .or_default();
        let seconds = took.as_secs_f64();
        for (bucket, bound) in durations.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        durations.count += 1;
        durations.seconds += seconds;
    }

    /// In Prometheus' text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        family(
            &mut out,
            "picket_http_requests_total",
            "counter",
            "Requests answered",
        );
        for ((method, route, status), count) in locked(&self.requests).iter() {
            let _ = writeln!(
                out,
                "picket_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
            );
        }
        let name = "picket_http_request_duration_seconds";
        family(&mut out, name, "histogram", "How long answers took");
        for ((method, route), durations) in locked(&self.durations).iter() {
            let labels = format!("method=\"{method}\",route=\"{route}\"");
            for (count, bound) in durations.buckets.iter().zip(BOUNDS) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let Durations { count, seconds, .. } = durations;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{{labels}}} {seconds}");
            let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
        }
        let counters = [
            (
                "picket_log_ins_failed_total",
                "Log-ins that failed",
                &self.log_ins_failed,
            ),
            (
                "picket_requests_refused_total",
                "Requests over the rate limit",
                &self.refused,
            ),
            (
                "picket_digest_findings_total",
                "Findings digested here",
                &self.digested,
            ),
            (
                "picket_digest_skipped_total",
                "Findings that lead to nothing, since their facts cannot be read or stored",
                &self.digest_skipped,
            ),
            (
                "picket_issues_opened_total",
                "Issues opened here",
                &self.issues_opened,
            ),
            (
                "picket_issues_reopened_total",
                "Issues that came back, as seen here",
                &self.issues_reopened,
            ),
            (
                "picket_playbook_steps_done_total",
                "Steps of playbooks that were done here",
                &self.steps_done,
            ),
            (
                "picket_playbook_steps_failed_total",
                "Attempts at steps of playbooks that failed here",
                &self.steps_failed,
            ),
            (
                "picket_playbook_runs_suppressed_total",
                "Runs of playbooks that were not made here: there were too many in the hour",
                &self.runs_suppressed,
            ),
        ];
        for (name, help, count) in counters {
            family(&mut out, name, "counter", help);
            let _ = writeln!(out, "{name} {}", count.load(Ordering::Relaxed));
        }
        family(
            &mut out,
            "picket_live_streams",
            "gauge",
            "Streams of live findings, and of changes of issues",
        );
        let _ = writeln!(
            out,
            "picket_live_streams {}",
            self.streams.load(Ordering::Relaxed)
        );
        for (name, (help, value)) in locked(&self.gauges).iter() {
            family(&mut out, name, "gauge", help);
            let _ = writeln!(out, "{name} {value}");
        }
        let outputs = locked(&self.outputs);
        for (name, kind, help, value) in OUTPUT_FAMILIES {
            if !outputs.is_empty() {
                family(&mut out, name, kind, help);
            }
            for (output, counts) in outputs.iter() {
                // A name has no character that would have to be escaped.
                let _ = writeln!(out, "{name}{{output=\"{output}\"}} {}", value(counts));
            }
        }
        out
    }
}

pub(super) fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}.\n# TYPE {name} {kind}");
}

/// A panic elsewhere leaves numbers behind, and any number is a good one.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let metrics = Metrics::default();
        metrics.request("GET", "/x", 200, Duration::from_millis(20));
        metrics.set("picket_test", "For the test", 1.5);
        let text = metrics.render();
        for line in [
            "picket_http_requests_total{method=\"GET\",route=\"/x\",status=\"200\"} 1",
            "picket_http_request_duration_seconds_bucket{method=\"GET\",route=\"/x\",le=\"0.01\"} 0",
            "picket_http_request_duration_seconds_bucket{method=\"GET\",route=\"/x\",le=\"0.1\"} 1",
            "picket_test 1.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
