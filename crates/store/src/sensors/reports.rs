//! What sensors say of themselves, in SQL.

use super::{Heartbeat, RuleStatus, SensorRule};
use crate::basics::{Micros, Uuid};
use crate::changes::Change;
use crate::db::{Columns, Link, Record, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use std::collections::BTreeMap;

impl Record for SensorRule {
    fn read(row: &impl Columns) -> Result<SensorRule> {
        Ok(SensorRule {
            sensor: row.id("sensor_id")?,
            status: RuleStatus {
                rule: row.text("rule")?,
                mode: row.text("mode")?,
                detail: row.get("detail")?,
            },
            reported_at: row.int("reported_at")?,
        })
    }
}

/// One heartbeat of each sensor, in the order of their ids (two replicas that
/// store the same sensors' heartbeats take their locks in the same order); and the
/// sensors whose heartbeat may not be stored.
pub(super) fn latest_of_each(heartbeats: Vec<Heartbeat>) -> Result<(Vec<Heartbeat>, Vec<Uuid>)> {
    limits::count("heartbeats", heartbeats.len(), limits::MAX_HEARTBEATS)?;
    let mut latest: BTreeMap<Uuid, Heartbeat> = BTreeMap::new();
    let mut refused = Vec::new();
    for heartbeat in heartbeats {
        if check_heartbeat(&heartbeat).is_err() {
            refused.push(heartbeat.sensor);
            continue;
        }
        let newer = latest
            .get(&heartbeat.sensor)
            .is_none_or(|known| known.at <= heartbeat.at);
        if newer {
            latest.insert(heartbeat.sensor, heartbeat);
        }
    }
    Ok((latest.into_values().collect(), refused))
}

fn check_heartbeat(heartbeat: &Heartbeat) -> Result<()> {
    limits::json("health", &heartbeat.health)?;
    limits::json("coverage", &heartbeat.coverage)?;
    match &heartbeat.bundle {
        Some(bundle) => limits::name("bundle scope", &bundle.scope),
        None => Ok(()),
    }
}

pub(super) async fn write_heartbeats(
    link: &mut impl Link,
    heartbeats: Vec<Heartbeat>,
) -> Result<()> {
    for heartbeat in heartbeats {
        let (scope, version) = match heartbeat.bundle {
            Some(bundle) => (Some(bundle.scope), Some(bundle.version)),
            None => (None, None),
        };
        let update = sql(
            "storing a heartbeat",
            "UPDATE sensors SET seen_at = $1, bundle_scope = $2, bundle_version = $3, \
             health = $4, coverage = $5 \
             WHERE id = $6 AND (seen_at IS NULL OR seen_at <= $1)",
        );
        link.execute(
            update
                .bind(heartbeat.at)
                .bind(scope)
                .bind(version)
                .bind(heartbeat.health)
                .bind(heartbeat.coverage)
                .bind(heartbeat.sensor),
        )
        .await?;
    }
    Ok(())
}

pub(super) fn check_rules(rules: &[RuleStatus]) -> Result<()> {
    limits::count("rules", rules.len(), limits::MAX_SENSOR_RULES)?;
    for rule in rules {
        limits::name("rule", &rule.rule)?;
        limits::name("mode", &rule.mode)?;
        if let Some(detail) = &rule.detail {
            limits::text("detail", detail, limits::MAX_DETAIL)?;
        }
    }
    Ok(())
}

/// Replaces what a sensor said; the sensor's row is held meanwhile, so that two
/// reports of one sensor do not mix.
pub(super) async fn replace_rules(
    link: &mut impl Link,
    sensor: Uuid,
    rules: Vec<RuleStatus>,
    at: Micros,
) -> Result<()> {
    let hold = sql(
        "holding a sensor",
        "UPDATE sensors SET host = host WHERE id = $1",
    );
    if link.execute(hold.bind(sensor)).await? == 0 {
        return Err(StoreError::not_found("sensor", sensor));
    }
    let clear = "DELETE FROM sensor_rules WHERE sensor_id = $1";
    link.execute(sql("storing rules' states", clear).bind(sensor))
        .await?;
    for rule in rules {
        let insert = sql(
            "storing rules' states",
            "INSERT INTO sensor_rules (sensor_id, rule, mode, detail, reported_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (sensor_id, rule) \
             DO UPDATE SET mode = excluded.mode, detail = excluded.detail",
        );
        link.execute(
            insert
                .bind(sensor)
                .bind(rule.rule)
                .bind(rule.mode)
                .bind(rule.detail)
                .bind(at),
        )
        .await?;
    }
    link.announce(Change::Sensors).await
}
