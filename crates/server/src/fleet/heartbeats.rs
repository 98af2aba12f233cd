//! Heartbeats are kept in memory and stored many at once: a write each would be
//! what the database does all day.

use super::{Shared, now};
use picket_proto::fleet::wire;
use picket_store::{AppliedBundle, Heartbeat, Uuid, limits};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

const FLUSH: Duration = Duration::from_secs(1);
/// Alarms, rules and intervals of one heartbeat that are kept.
const MAX_LISTED: usize = 64;
/// Bytes of one of their texts.
const MAX_TEXT: usize = 512;

/// The last heartbeat of each sensor since they were stored last.
#[derive(Default)]
pub(super) struct Heartbeats(Mutex<HashMap<Uuid, Heartbeat>>);

impl Heartbeats {
    pub(super) fn put(&self, heartbeat: Heartbeat) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(heartbeat.sensor, heartbeat);
    }

    fn take(&self) -> Vec<Heartbeat> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.drain().map(|(_, heartbeat)| heartbeat).collect()
    }
}

/// Stores what was heard, every second, until the server stops.
pub(super) async fn flush(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut stop = false;
    while !stop {
        stop = tokio::time::timeout(FLUSH, stopped.wait_for(|stopped| *stopped))
            .await
            .is_ok();
        let mut heard = shared.heartbeats.take();
        while !heard.is_empty() {
            let rest = heard.split_off(heard.len().min(limits::MAX_HEARTBEATS));
            if let Err(why) = shared.store.store_heartbeats(heard).await {
                // The next ones say the same, and more.
                tracing::warn!(%why, "heartbeats were not stored");
            }
            heard = rest;
        }
    }
}

/// A heartbeat as it is stored.
pub(super) fn read(sensor: Uuid, said: &wire::Heartbeat) -> Heartbeat {
    let bundle = said.applied.as_ref().and_then(applied);
    Heartbeat {
        sensor,
        at: now(),
        bundle,
        health: said.health.as_ref().map_or(json!({}), health),
        coverage: said.coverage.as_ref().map_or(json!({}), coverage),
    }
}

/// Nothing where nothing was applied, or it is no version.
pub(super) fn applied(said: &wire::Applied) -> Option<AppliedBundle> {
    let version = i64::try_from(said.version)
        .ok()
        .filter(|version| *version > 0)?;
    Some(AppliedBundle {
        scope: text(&said.scope, 255),
        version,
    })
}

fn health(said: &wire::Health) -> Value {
    let alarms: Vec<Value> = said
        .alarms
        .iter()
        .take(MAX_LISTED)
        .map(|alarm| json!({"code": short(&alarm.code), "detail": short(&alarm.detail)}))
        .collect();
    let over_budget: Vec<String> = said
        .over_budget
        .iter()
        .take(MAX_LISTED)
        .map(|rule| short(rule))
        .collect();
    json!({
        "uptime_ms": said.uptime_ms,
        "resident_bytes": said.resident_bytes,
        "alarms": alarms,
        "over_budget": over_budget,
        "disarmed": said.disarmed,
        "findings_since_applied": said.findings_since_applied,
        "kills": said.kills,
        "failed_version": said.failed_version,
        "failed_why": short(&said.failed_why),
    })
}

fn coverage(said: &wire::Coverage) -> Value {
    let blind: Vec<Value> = said
        .blind
        .iter()
        .take(MAX_LISTED)
        .map(|interval| {
            json!({"from": interval.from_us, "until": interval.until_us, "why": short(&interval.why)})
        })
        .collect();
    let spool = said.spool.as_ref().map(|spool| {
        let dropped: HashMap<String, u64> = spool
            .dropped
            .iter()
            .take(MAX_LISTED)
            .map(|(severity, count)| (short(severity), *count))
            .collect();
        json!({
            "bytes": spool.bytes,
            "findings": spool.findings,
            "dropped": dropped,
            "damaged": spool.damaged,
        })
    });
    json!({
        "seen": said.seen,
        "lost": said.lost,
        "undecided": said.undecided,
        "lost_findings": said.lost_findings,
        "spool": spool,
        "blind": blind,
        "unseen": said.unseen.iter().take(MAX_LISTED).map(|class| short(class)).collect::<Vec<_>>(),
    })
}

fn short(value: &str) -> String {
    text(value, MAX_TEXT)
}

/// Cut between characters, and without the NUL that PostgreSQL does not store.
pub(super) fn text(value: &str, limit: usize) -> String {
    let mut end = value.len().min(limit);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].replace('\0', "\u{fffd}")
}
