//! What a heartbeat says.

use super::Report;
use super::session::Run;
use crate::spool::SpoolState;
use crate::stats::Stats;
use picket_proto::bundle::Applied;
use picket_proto::fleet::wire;

/// What it is made of.
pub(super) struct Heard<'r> {
    pub report: &'r Report,
    pub spool: &'r SpoolState,
    pub run: &'r Run,
    pub now_us: i64,
}

pub(super) fn applied(applied: &Applied) -> wire::Applied {
    wire::Applied {
        scope: applied.scope.clone(),
        version: applied.version,
    }
}

pub(super) fn make(heard: &Heard<'_>, current: Option<&Applied>) -> wire::Heartbeat {
    let Report {
        stats,
        over_budget,
        disarmed,
        unseen,
        ..
    } = heard.report;
    let findings = Stats::total(&stats.matches);
    let (failed_version, failed_why) = heard.run.failed.clone().unwrap_or_default();
    wire::Heartbeat {
        applied: current.map(applied),
        health: Some(wire::Health {
            uptime_ms: heard
                .run
                .began
                .elapsed()
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX),
            resident_bytes: resident_bytes(),
            alarms: alarms(heard, current),
            over_budget: over_budget.clone(),
            disarmed: *disarmed,
            findings_since_applied: findings.saturating_sub(heard.run.findings_before),
            kills: stats.kills,
            failed_version,
            failed_why,
        }),
        coverage: Some(wire::Coverage {
            seen: Stats::total(&stats.events),
            lost: Stats::total(&stats.lost),
            undecided: Stats::total(&stats.undecided),
            lost_findings: stats.lost_findings + heard.spool.unwritten,
            spool: Some(wire::Spool {
                bytes: heard.spool.bytes,
                findings: heard.spool.findings,
                dropped: heard.spool.dropped.clone().into_iter().collect(),
                damaged: heard.spool.damaged,
            }),
            blind: heard.run.blind.intervals(),
            unseen: unseen.clone(),
        }),
    }
}

fn alarms(heard: &Heard<'_>, current: Option<&Applied>) -> Vec<wire::Alarm> {
    let mut alarms = Vec::new();
    let mut alarm = |code: &str, detail: String| {
        alarms.push(wire::Alarm {
            code: code.to_owned(),
            detail,
        });
    };
    if let Some(current) = current.filter(|current| current.is_expired(heard.now_us)) {
        let late = heard.now_us.saturating_sub(current.expires_us) / 1_000_000;
        alarm(
            "bundle_expired",
            format!(
                "{} version {} should have been replaced {late} s ago; it stays in force",
                current.scope, current.version
            ),
        );
    }
    if heard.report.disarmed {
        alarm(
            "disarmed",
            "every block on this host was lifted by hand".to_owned(),
        );
    }
    let dropped: u64 = heard.spool.dropped.values().sum();
    if dropped > 0 {
        alarm(
            "findings_dropped",
            format!("{dropped} findings were dropped for want of room in the spool"),
        );
    }
    if heard.spool.unwritten > 0 {
        let count = heard.spool.unwritten;
        alarm("disk", format!("the disk did not take {count} findings"));
    }
    alarms
}

/// Resident memory of this process; 0 where it cannot be read.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
