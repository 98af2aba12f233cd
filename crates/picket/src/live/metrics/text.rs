//! A sensor's counters as Prometheus reads them. `docs/operations.md` lists them.

use super::exposition::{Exposition, Kind};
use super::source::Snapshot;
use Kind::{Counter, Gauge};
use picket_sensor::costs::RuleCost;
use picket_sensor::fleet::LineState;
use picket_sensor::live;

/// One column of the rules' table.
type Column = (&'static str, &'static str, fn(&RuleCost) -> f64);

const RULES: [Column; 6] = [
    (
        "picket_rule_evaluations_total",
        "Events a rule could match by their class, since it was put in force",
        |cost| cost.stats.evaluations as f64,
    ),
    (
        "picket_rule_candidates_total",
        "Events a rule's program had to be run for",
        |cost| cost.stats.candidates as f64,
    ),
    (
        "picket_rule_matches_total",
        "Events a rule matched",
        |cost| cost.stats.matches as f64,
    ),
    (
        "picket_rule_undecided_total",
        "Events a rule left open for want of a value",
        |cost| cost.stats.undecided as f64,
    ),
    (
        "picket_rule_sampled_runs_total",
        "Runs of a rule that were timed",
        |cost| cost.stats.timed as f64,
    ),
    (
        "picket_rule_sampled_nanoseconds_total",
        "What the timed runs of a rule took",
        |cost| cost.stats.timed_ns as f64,
    ),
];

/// The whole page; of a sensor that does not answer, what can be told without it.
pub fn page(snapshot: Option<&Snapshot>, line: Option<&LineState>) -> String {
    let mut out = Exposition::default();
    out.family(Gauge, "picket_build_info", "The version that runs")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.one(
        Gauge,
        "picket_sensor_up",
        "Whether hooks are armed and the event thread answers",
        u8::from(snapshot.is_some()),
    );
    if let Some(snapshot) = snapshot {
        counters(&mut out, snapshot);
        rules(&mut out, &snapshot.measured.rules);
        in_force(&mut out, snapshot);
    }
    if let Some(line) = line {
        fleet(&mut out, line);
    }
    out.one(
        Gauge,
        "process_resident_memory_bytes",
        "Memory of this process",
        resident_bytes(),
    );
    out.finish()
}

fn counters(out: &mut Exposition, snapshot: &Snapshot) {
    let stats = &snapshot.measured.stats;
    out.family(Counter, "picket_events_total", "Events judged, by class")
        .each("class", &stats.events);
    out.family(
        Counter,
        "picket_events_lost_total",
        "Records the kernel had no room for, by class: they were not judged",
    )
    .each("class", &stats.lost);
    out.one(
        Counter,
        "picket_blind_intervals_total",
        "Times the kernel began to lose records",
        stats.blind_intervals,
    );
    out.one(
        Counter,
        "picket_blind_seconds_total",
        "Time in which records were lost",
        stats.blind_ns as f64 / 1e9,
    );
    out.family(Counter, "picket_findings_total", "Matches, by rule")
        .each("rule", &stats.matches);
    out.one(
        Counter,
        "picket_findings_lost_total",
        "Findings that no output took in time",
        stats.lost_findings,
    );
    out.family(
        Counter,
        "picket_actions_total",
        "Events that were acted on, by mechanism",
    )
    .each("mechanism", &stats.actions);
    out.family(
        Counter,
        "picket_decisions_held_back_total",
        "Policies' decisions that did not act, by reason",
    )
    .each("reason", &stats.held_back);
    out.family(
        Counter,
        "picket_undecided_total",
        "Times a rule could not decide for want of a value, by rule",
    )
    .each("rule", &stats.undecided);
    out.family(
        Counter,
        "picket_kernel_read_errors_total",
        "Reads in the kernel that failed, by place",
    )
    .each("place", &stats.read_errors);
    for (name, help, value) in [
        (
            "picket_bad_records_total",
            "Records that were no valid record",
            stats.bad_records,
        ),
        (
            "picket_processes_evicted_total",
            "Processes that left a full table before they ended",
            stats.evicted_processes,
        ),
        (
            "picket_reloads_total",
            "Sets of rules put in force after the first",
            stats.reloads,
        ),
    ] {
        out.one(Counter, name, help, value);
    }
}

fn rules(out: &mut Exposition, rules: &[RuleCost]) {
    for (name, help, value) in RULES {
        let samples = rules.iter().map(|cost| (&*cost.rule.id, value(cost)));
        out.family(Counter, name, help).each("rule", samples);
    }
    let samples = rules
        .iter()
        .map(|cost| (&*cost.rule.id, u8::from(cost.over_budget)));
    out.family(
        Gauge,
        "picket_rule_over_budget",
        "Whether a rule costs more than a rule may (--rule-budget)",
    )
    .each("rule", samples);
}

fn in_force(out: &mut Exposition, snapshot: &Snapshot) {
    let status = &snapshot.status;
    out.one(Gauge, "picket_rules", "Rules in force", status.rules);
    out.one(
        Gauge,
        "picket_policies",
        "Policies in force",
        status.policies.len(),
    );
    out.one(
        Gauge,
        "picket_disarmed",
        "Whether every block was lifted by hand (picket disarm)",
        u8::from(status.disarmed),
    );
    let used_up = status.policies.iter().map(|state| {
        let tripped = state.usage.is_some_and(|usage| usage.tripped_ms.is_some());
        (&*state.policy.id, u8::from(tripped))
    });
    out.family(
        Gauge,
        "picket_policy_budget_used_up",
        "Whether a policy has used up its budget and only simulates",
    )
    .each("policy", used_up);
    let unseen = picket_model::EventClass::ALL
        .into_iter()
        .map(|class| (class.name(), u8::from(status.powers.unseen.contains(class))));
    out.family(
        Gauge,
        "picket_class_unseen",
        "Whether rules need a class of which this kernel does not show every event",
    )
    .each("class", unseen);
}

fn fleet(out: &mut Exposition, line: &LineState) {
    out.one(
        Gauge,
        "picket_server_connected",
        "Whether the server answers",
        u8::from(line.connected),
    );
    if let Some(applied) = &line.applied {
        out.family(
            Gauge,
            "picket_bundle_version",
            "Version of the bundle in force",
        )
        .sample(&[("scope", &applied.scope)], applied.version);
        out.one(
            Gauge,
            "picket_bundle_expires_timestamp_seconds",
            "When the bundle in force should have been replaced; it stays in force",
            applied.expires_us as f64 / 1e6,
        );
        out.one(
            Gauge,
            "picket_bundle_expired",
            "Whether the bundle in force should have been replaced by now",
            u8::from(applied.is_expired(live::epoch_ns() / 1_000)),
        );
    }
    let spool = &line.spool;
    out.one(
        Gauge,
        "picket_spool_bytes",
        "Bytes of findings on disk",
        spool.bytes,
    );
    out.one(
        Gauge,
        "picket_spool_findings",
        "Findings that the server does not have yet",
        spool.findings,
    );
    out.family(
        Counter,
        "picket_spool_dropped_total",
        "Findings dropped for want of room, by severity, since the spool was made",
    )
    .each("severity", &spool.dropped);
    out.one(
        Counter,
        "picket_spool_damaged_total",
        "Places at which findings could not be read back",
        spool.damaged,
    );
    out.one(
        Counter,
        "picket_spool_unwritten_total",
        "Findings that the disk did not take",
        spool.unwritten,
    );
}

/// 0 where it cannot be read.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
