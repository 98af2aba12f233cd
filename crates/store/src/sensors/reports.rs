//! What sensors say of themselves, in SQL.

use super::{Heartbeat, RuleStatus, SensorRule};
use crate::basics::{Micros, Uuid};
use crate::changes::Change;
use crate::db::{Columns, Link, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use sea_query::{Expr, OnConflict, Query};
use std::collections::BTreeMap;

/// Rows of one INSERT: a full one is the same text each time, and stays prepared.
const ROWS: usize = 100;

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
/// reports of one sensor do not mix. Only what differs is written: after a roll-out
/// every sensor of the fleet tells of all its rules, and one of them is new.
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
    let known = sql(
        "reading rules' states",
        "SELECT * FROM sensor_rules WHERE sensor_id = $1",
    );
    let known: Vec<SensorRule> = link.fetch(known.bind(sensor)).await?;
    let mut gone: BTreeMap<String, RuleStatus> = known
        .into_iter()
        .map(|known| (known.status.rule.clone(), known.status))
        .collect();
    // Of a rule that is told twice the last word counts.
    let told: BTreeMap<String, RuleStatus> = rules
        .into_iter()
        .map(|status| (status.rule.clone(), status))
        .collect();
    let new = told
        .into_iter()
        .filter(|(rule, status)| gone.remove(rule).as_ref() != Some(status));
    let new: Vec<RuleStatus> = new.map(|(_, status)| status).collect();
    for rows in new.chunks(ROWS) {
        insert_rules(link, sensor, rows, at).await?;
    }
    let changed = !new.is_empty() || !gone.is_empty();
    for rule in gone.into_keys() {
        let clear = "DELETE FROM sensor_rules WHERE sensor_id = $1 AND rule = $2";
        link.execute(sql("storing rules' states", clear).bind(sensor).bind(rule))
            .await?;
    }
    if changed {
        link.announce(Change::Sensors).await?;
    }
    Ok(())
}

async fn insert_rules<L: Link>(
    link: &mut L,
    sensor: Uuid,
    rows: &[RuleStatus],
    at: Micros,
) -> Result<()> {
    let mut query = Query::insert();
    query
        .into_table("sensor_rules")
        .columns(["sensor_id", "rule", "mode", "detail", "reported_at"])
        .on_conflict(
            OnConflict::columns(["sensor_id", "rule"])
                .update_columns(["mode", "detail", "reported_at"])
                .to_owned(),
        );
    for status in rows {
        query
            .values([
                Expr::val(sensor),
                Expr::val(status.rule.as_str()),
                Expr::val(status.mode.as_str()),
                Expr::val(status.detail.clone()),
                Expr::val(at),
            ])
            .map_err(|why| StoreError::damaged("a statement", why))?;
    }
    let mut statement = in_dialect("storing rules' states", L::DIALECT, &query);
    if rows.len() == ROWS {
        statement = statement.recurring();
    }
    link.execute(statement).await?;
    Ok(())
}
