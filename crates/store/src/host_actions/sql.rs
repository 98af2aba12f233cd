//! Orders in SQL.

use super::{
    HostAction, HostActionAnswer, HostActionFilter, HostActionState, HostActions, NewHostAction,
};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Micros, Uuid};
use crate::changes::Change;
use crate::db::{Backend, Columns, Link, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, ExprTrait, Order, Query};
use serde_json::{Value, json};

const COLUMNS: [&str; 14] = [
    "id",
    "sensor_id",
    "kind",
    "action",
    "of_id",
    "lease_seconds",
    "expires_at",
    "state",
    "why",
    "result",
    "actor",
    "reason",
    "created_at",
    "sent_at",
];

impl Record for HostAction {
    fn read(row: &impl Columns) -> Result<HostAction> {
        let lease: Option<i64> = row.get("lease_seconds")?;
        Ok(HostAction {
            order: NewHostAction {
                id: row.id("id")?,
                sensor: row.id("sensor_id")?,
                kind: row.text("kind")?,
                action: row.json("action")?,
                of: row.get("of_id")?,
                lease_seconds: lease.and_then(|lease| lease.try_into().ok()),
                expires_at: row.int("expires_at")?,
            },
            state: row.word("state", HostActionState::of_name)?,
            why: row.text("why")?,
            result: row.json("result")?,
            actor: row.text("actor")?,
            reason: row.text("reason")?,
            created_at: row.int("created_at")?,
            sent_at: row.get("sent_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

const ONE: &str = "SELECT id, sensor_id, kind, action, of_id, lease_seconds, expires_at, state, \
    why, result, actor, reason, created_at, sent_at, ended_at FROM host_actions WHERE id = $1";

async fn one(link: &mut impl Link, id: Uuid) -> Result<Option<HostAction>> {
    link.first(sql("reading a host action", ONE).bind(id)).await
}

async fn known(link: &mut impl Link, id: Uuid) -> Result<HostAction> {
    let found = one(link, id).await?;
    found.ok_or_else(|| StoreError::not_found("host action", id))
}

fn deed(action: &str, order: &NewHostAction, mut detail: Value) -> Deed {
    detail["sensor"] = order.sensor.to_string().into();
    detail["kind"] = order.kind.as_str().into();
    Deed {
        action: format!("host_action.{action}"),
        kind: "host_action".to_owned(),
        subject: order.id.to_string(),
        detail,
    }
}

async fn give(link: &mut impl Link, new: NewHostAction, cause: &Cause) -> Result<HostAction> {
    if let Some(there) = one(link, new.id).await? {
        return Ok(there);
    }
    let insert = sql(
        "ordering a host action",
        "INSERT INTO host_actions (id, sensor_id, kind, action, of_id, lease_seconds, expires_at, \
         state, why, result, actor, reason, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', '', $8, $9, $10, $11)",
    );
    link.execute(
        insert
            .bind(new.id)
            .bind(new.sensor)
            .bind(new.kind.as_str())
            .bind(new.action.clone())
            .bind(new.of)
            .bind(new.lease_seconds.map(i64::from))
            .bind(new.expires_at)
            .bind(Value::Null)
            .bind(cause.actor.as_str())
            .bind(cause.reason.as_str())
            .bind(cause.at),
    )
    .await?;
    let detail = json!({"action": new.action, "lease_seconds": new.lease_seconds});
    audit::append(link, deed("order", &new, detail), cause).await?;
    link.announce(Change::HostActions).await?;
    known(link, new.id).await
}

async fn answered(link: &mut impl Link, sensor: Uuid, answer: HostActionAnswer) -> Result<bool> {
    let there = known(link, answer.id).await?;
    if there.order.sensor != sensor {
        return Err(StoreError::not_found("host action", answer.id));
    }
    // What was taken back stays so, and what is known is no news.
    let news = there.state != answer.state && there.state != HostActionState::Undone;
    if !news {
        return Ok(false);
    }
    // Taken back: what was found then stays.
    let result = match (&answer.result, &there.result) {
        (Value::Null, before) => before.clone(),
        (found, _) => found.clone(),
    };
    let update = sql(
        "answering a host action",
        "UPDATE host_actions SET state = $1, why = $2, result = $3, ended_at = $4 WHERE id = $5",
    );
    link.execute(
        update
            .bind(answer.state.name())
            .bind(answer.why.as_str())
            .bind(result)
            .bind(answer.at)
            .bind(answer.id),
    )
    .await?;
    let cause = Cause {
        actor: format!("sensor:{sensor}"),
        reason: String::new(),
        at: answer.at,
    };
    let detail = json!({"why": answer.why});
    audit::append(
        link,
        deed(answer.state.name(), &there.order, detail),
        &cause,
    )
    .await?;
    link.announce(Change::HostActions).await?;
    Ok(true)
}

#[async_trait]
impl<B: Backend> HostActions for SqlStore<B> {
    async fn order_action(&self, new: NewHostAction, cause: &Cause) -> Result<HostAction> {
        limits::name("kind", &new.kind)?;
        limits::json("action", &new.action)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                let (new, cause) = (new.clone(), cause.clone());
                Box::pin(async move { give(link, new, &cause).await })
            })
            .await
    }

    async fn host_action(&self, id: Uuid) -> Result<HostAction> {
        known(&mut self.0.read().await?, id).await
    }

    async fn host_actions(
        &self,
        filter: &HostActionFilter,
        before: Option<(Micros, Uuid)>,
        size: PageSize,
    ) -> Result<Page<HostAction, (Micros, Uuid)>> {
        let mut query = Query::select();
        query
            .columns(COLUMNS)
            .column("ended_at")
            .from("host_actions")
            .order_by("created_at", Order::Desc)
            .order_by("id", Order::Desc)
            .limit(size.probe() as u64);
        if let Some((time, id)) = before {
            let place = Expr::tuple([Expr::col("created_at"), Expr::col("id")]);
            query.and_where(place.lt(Expr::tuple([Expr::val(time), Expr::val(id)])));
        }
        if let Some(sensors) = &filter.sensors {
            limits::count("sensors", sensors.len(), limits::MAX_FILTER_VALUES)?;
            query.and_where(Expr::col("sensor_id").is_in(sensors.iter().copied()));
        }
        if let Some(state) = filter.state {
            query.and_where(Expr::col("state").eq(state.name()));
        }
        let query = in_dialect("listing host actions", B::Link::DIALECT, &query);
        let found = self.0.read().await?.fetch::<HostAction>(query).await?;
        Ok(Page::of(found, size, |action| {
            (action.created_at, action.order.id)
        }))
    }

    async fn open_actions(&self, most: u32) -> Result<Vec<HostAction>> {
        let mut query = Query::select();
        query
            .columns(COLUMNS)
            .column("ended_at")
            .from("host_actions")
            .and_where(Expr::col("state").is_in(["queued", "sent"]))
            .order_by("created_at", Order::Asc)
            .order_by("id", Order::Asc)
            .limit(u64::from(Ord::min(most, limits::MAX_OPEN_ACTIONS)));
        let query = in_dialect("reading open host actions", B::Link::DIALECT, &query);
        self.0.read().await?.fetch::<HostAction>(query).await
    }

    async fn action_sent(&self, id: Uuid, now: Micros) -> Result<()> {
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let update = sql(
                        "sending a host action",
                        "UPDATE host_actions SET state = 'sent', sent_at = $1 \
                         WHERE id = $2 AND state = 'queued'",
                    );
                    link.execute(update.bind(now).bind(id)).await.map(drop)
                })
            })
            .await
    }

    async fn action_answered(&self, sensor: Uuid, answer: HostActionAnswer) -> Result<bool> {
        let answer = HostActionAnswer {
            why: limits::clip(&answer.why.replace('\0', "\u{fffd}"), limits::MAX_DETAIL),
            result: limits::without_nul(answer.result),
            ..answer
        };
        limits::json_up_to("result", &answer.result, limits::MAX_ACTION_RESULT)?;
        self.0
            .write(move |link| {
                let answer = answer.clone();
                Box::pin(async move { answered(link, sensor, answer).await })
            })
            .await
    }

    async fn expire_actions(&self, before: Micros, now: Micros) -> Result<u64> {
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let update = sql(
                        "ending host actions",
                        "UPDATE host_actions SET state = 'expired', ended_at = $1, \
                         why = 'its sensor did not answer in time' \
                         WHERE state IN ('queued', 'sent') AND expires_at < $2",
                    );
                    let ended = link.execute(update.bind(now).bind(before)).await?;
                    if ended > 0 {
                        link.announce(Change::HostActions).await?;
                    }
                    Ok(ended)
                })
            })
            .await
    }

    async fn delete_actions_before(&self, time: Micros, step: u32) -> Result<u64> {
        let step = i64::from(step.clamp(1, limits::MAX_RETENTION_STEP));
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let delete = sql(
                        "deleting old host actions",
                        "DELETE FROM host_actions WHERE id IN \
                         (SELECT id FROM host_actions WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)",
                    );
                    link.execute(delete.bind(time).bind(step)).await
                })
            })
            .await
    }
}
