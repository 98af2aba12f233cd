//! Sensors in SQL.

use super::reports;
use super::{
    AppliedBundle, Certificate, Heartbeat, NewSensor, RuleStatus, Sensor, SensorFilter, SensorRule,
    Sensors,
};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Labels, Micros, SecretHash, Uuid, labels_to_json};
use crate::changes::Change;
use crate::db::{Backend, Columns, Link, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::join_tokens::take_use;
use crate::limits;
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Asterisk, Cond, Expr, ExprTrait, Order, Query};
use serde_json::{Value, json};

impl Record for Sensor {
    fn read(row: &impl Columns) -> Result<Sensor> {
        let id = row.id("id")?;
        let seen_at: Option<Micros> = row.get("seen_at")?;
        Ok(Sensor {
            id,
            join_token: row.id("join_token_id")?,
            host: row.text("host")?,
            labels: row.labels("labels")?,
            facts: row.json("facts")?,
            enrolled_at: row.int("enrolled_at")?,
            revoked_at: row.get("revoked_at")?,
            heartbeat: seen_at.map(|at| heartbeat(row, id, at)).transpose()?,
        })
    }
}

fn heartbeat(row: &impl Columns, sensor: Uuid, at: Micros) -> Result<Heartbeat> {
    let scope: Option<String> = row.get("bundle_scope")?;
    let version: Option<i64> = row.get("bundle_version")?;
    Ok(Heartbeat {
        sensor,
        at,
        bundle: scope
            .zip(version)
            .map(|(scope, version)| AppliedBundle { scope, version }),
        health: row.json("health")?,
        coverage: row.json("coverage")?,
    })
}

fn check_certificate(certificate: &Certificate) -> Result<()> {
    limits::name("certificate serial", &certificate.serial)
}

async fn insert_certificate(
    link: &mut impl Link,
    sensor: Uuid,
    certificate: &Certificate,
) -> Result<()> {
    let insert = sql(
        "storing a certificate",
        "INSERT INTO certificates (serial, sensor_id, issued_at, expires_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    );
    let serial = certificate.serial.as_str();
    let stored = link
        .execute(
            insert
                .bind(serial)
                .bind(sensor)
                .bind(certificate.issued_at)
                .bind(certificate.expires_at),
        )
        .await?;
    match stored {
        0 => Err(StoreError::exists("certificate", serial)),
        _ => Ok(()),
    }
}

async fn insert_sensor(link: &mut impl Link, sensor: &Sensor) -> Result<()> {
    let insert = sql(
        "storing a sensor",
        "INSERT INTO sensors (id, join_token_id, host, labels, facts, enrolled_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    );
    let stored = link
        .execute(
            insert
                .bind(sensor.id)
                .bind(sensor.join_token)
                .bind(sensor.host.as_str())
                .bind(labels_to_json(&sensor.labels))
                .bind(sensor.facts.clone())
                .bind(sensor.enrolled_at),
        )
        .await?;
    match stored {
        0 => Err(StoreError::exists("sensor", sensor.id)),
        _ => Ok(()),
    }
}

fn deed(action: &str, id: Uuid, detail: serde_json::Value) -> Deed {
    Deed {
        action: format!("sensor.{action}"),
        kind: "sensor".to_owned(),
        subject: id.to_string(),
        detail,
    }
}

#[async_trait]
impl<B: Backend> Sensors for SqlStore<B> {
    async fn enrol(&self, token: &SecretHash, new: NewSensor, now: Micros) -> Result<Sensor> {
        limits::name("host", &new.host)?;
        limits::json("facts", &new.facts)?;
        check_certificate(&new.certificate)?;
        let token = *token;
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let token = take_use(link, &token, now).await?;
                    let sensor = Sensor {
                        id: new.id,
                        join_token: token.id,
                        host: new.host,
                        labels: token.labels,
                        facts: new.facts,
                        enrolled_at: now,
                        revoked_at: None,
                        heartbeat: None,
                    };
                    insert_sensor(link, &sensor).await?;
                    insert_certificate(link, sensor.id, &new.certificate).await?;
                    link.announce(Change::Sensors).await?;
                    let cause = Cause {
                        actor: format!("join_token:{}", token.id),
                        reason: String::new(),
                        at: now,
                    };
                    let detail = json!({"host": sensor.host, "uses_left": token.uses_left});
                    audit::append(link, deed("enrol", sensor.id, detail), &cause).await?;
                    Ok(sensor)
                })
            })
            .await
    }

    async fn label_sensor(&self, id: Uuid, labels: Labels, cause: &Cause) -> Result<()> {
        let labels = labels_to_json(&labels);
        limits::json_up_to("labels", &labels, limits::MAX_LABELS)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let update = sql(
                        "labelling a sensor",
                        "UPDATE sensors SET labels = $1 WHERE id = $2",
                    );
                    if link.execute(update.bind(labels.clone()).bind(id)).await? == 0 {
                        return Err(StoreError::not_found("sensor", id));
                    }
                    link.announce(Change::Sensors).await?;
                    let detail = json!({ "labels": labels });
                    audit::append(link, deed("label", id, detail), &cause).await
                })
            })
            .await
    }

    async fn renew_facts(&self, id: Uuid, facts: Value) -> Result<bool> {
        limits::json("facts", &facts)?;
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let update = sql(
                        "renewing a host's facts",
                        "UPDATE sensors SET facts = $1 WHERE id = $2 AND facts <> $1",
                    );
                    let changed = link.execute(update.bind(facts.clone()).bind(id)).await?;
                    Ok(changed > 0)
                })
            })
            .await
    }

    async fn add_certificate(&self, sensor: Uuid, certificate: Certificate) -> Result<()> {
        check_certificate(&certificate)?;
        self.0
            .write(move |link| {
                Box::pin(async move { insert_certificate(link, sensor, &certificate).await })
            })
            .await
    }

    async fn sensor_of_certificate(&self, serial: &str, now: Micros) -> Result<Sensor> {
        let find = sql(
            "looking for a certificate",
            "SELECT s.* FROM certificates c JOIN sensors s ON s.id = c.sensor_id \
             WHERE c.serial = $1 AND c.expires_at > $2 AND c.revoked_at IS NULL \
             AND s.revoked_at IS NULL",
        );
        let mut link = self.0.read().await?;
        let found = link.first(find.bind(serial).bind(now)).await?;
        found.ok_or_else(|| StoreError::not_found("valid certificate", serial))
    }

    async fn revoke_sensor(&self, id: Uuid, cause: &Cause) -> Result<()> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let revoke = sql(
                        "revoking a sensor",
                        "UPDATE sensors SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2",
                    );
                    if link.execute(revoke.bind(cause.at).bind(id)).await? == 0 {
                        return Err(StoreError::not_found("sensor", id));
                    }
                    let revoke = sql(
                        "revoking certificates",
                        "UPDATE certificates SET revoked_at = $1 \
                         WHERE sensor_id = $2 AND revoked_at IS NULL",
                    );
                    link.execute(revoke.bind(cause.at).bind(id)).await?;
                    link.announce(Change::Sensors).await?;
                    audit::append(link, deed("revoke", id, json!({})), &cause).await
                })
            })
            .await
    }

    async fn sensor(&self, id: Uuid) -> Result<Sensor> {
        let read = sql("reading a sensor", "SELECT * FROM sensors WHERE id = $1");
        let found = self.0.read().await?.first(read.bind(id)).await?;
        found.ok_or_else(|| StoreError::not_found("sensor", id))
    }

    async fn sensors(
        &self,
        filter: &SensorFilter,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<Sensor, Uuid>> {
        let mut query = Query::select();
        query
            .column(Asterisk)
            .from("sensors")
            .order_by("id", Order::Desc)
            .limit(size.probe() as u64);
        match filter.revoked {
            Some(true) => query.and_where(Expr::col("revoked_at").is_not_null()),
            Some(false) => query.and_where(Expr::col("revoked_at").is_null()),
            None => &mut query,
        };
        if let Some(since) = filter.silent_since {
            let seen = Expr::col("seen_at");
            query.cond_where(Cond::any().add(seen.clone().is_null()).add(seen.lt(since)));
        }
        if let Some(token) = filter.join_token {
            query.and_where(Expr::col("join_token_id").eq(token));
        }
        if let Some(host) = &filter.host {
            query.and_where(Expr::col("host").eq(host.as_str()));
        }
        if let Some(before) = before {
            query.and_where(Expr::col("id").lt(before));
        }
        let mut link = self.0.read().await?;
        let statement = in_dialect("listing sensors", B::Link::DIALECT, &query);
        let rows = link.fetch::<Sensor>(statement).await?;
        Ok(Page::of(rows, size, |sensor| sensor.id))
    }

    async fn store_heartbeats(&self, heartbeats: Vec<Heartbeat>) -> Result<Vec<Uuid>> {
        let (heartbeats, refused) = reports::latest_of_each(heartbeats)?;
        self.0
            .write(move |link| {
                Box::pin(async move { reports::write_heartbeats(link, heartbeats).await })
            })
            .await?;
        Ok(refused)
    }

    async fn store_rule_status(
        &self,
        sensor: Uuid,
        rules: Vec<RuleStatus>,
        at: Micros,
    ) -> Result<()> {
        reports::check_rules(&rules)?;
        self.0
            .write(move |link| {
                Box::pin(async move { reports::replace_rules(link, sensor, rules, at).await })
            })
            .await
    }

    async fn rules_on_sensor(
        &self,
        sensor: Uuid,
        after: Option<String>,
        size: PageSize,
    ) -> Result<Page<SensorRule, String>> {
        let list = sql(
            "listing a sensor's rules",
            "SELECT * FROM sensor_rules WHERE sensor_id = $1 AND rule > $2 ORDER BY rule LIMIT $3",
        );
        let after = after.unwrap_or_default();
        let mut link = self.0.read().await?;
        let rows = link
            .fetch::<SensorRule>(list.bind(sensor).bind(after).bind(size.probe()))
            .await?;
        Ok(Page::of(rows, size, |row| row.status.rule.clone()))
    }

    async fn sensors_with_rule(
        &self,
        rule: &str,
        mode: Option<&str>,
        after: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<SensorRule, Uuid>> {
        let list = sql(
            "listing a rule's sensors",
            "SELECT * FROM sensor_rules WHERE rule = $1 AND mode = COALESCE($2, mode) \
             AND sensor_id > $3 ORDER BY sensor_id LIMIT $4",
        );
        let after = after.unwrap_or(Uuid::nil());
        let mut link = self.0.read().await?;
        let rows = link
            .fetch::<SensorRule>(
                list.bind(rule)
                    .bind(mode.map(str::to_owned))
                    .bind(after)
                    .bind(size.probe()),
            )
            .await?;
        Ok(Page::of(rows, size, |row| row.sensor))
    }
}
