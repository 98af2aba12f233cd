//! Roll-outs in SQL.

use super::{Rollout, RolloutState};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Columns, Link, One, Record, sql};
use crate::error::{Result, StoreError};
use serde_json::{Value, json};

impl Record for Rollout {
    fn read(row: &impl Columns) -> Result<Rollout> {
        Ok(Rollout {
            id: row.id("id")?,
            bundle: row.id("bundle_id")?,
            scope: row.text("scope")?,
            state: row.word("state", RolloutState::of_name)?,
            version: row.int("version")?,
            plan: row.json("plan")?,
            progress: row.json("progress")?,
            created_at: row.int("created_at")?,
            changed_at: row.int("changed_at")?,
            reason: row.text("reason")?,
        })
    }
}

pub(super) async fn read(link: &mut impl Link, id: Uuid) -> Result<Rollout> {
    let read = sql("reading a roll-out", "SELECT * FROM rollouts WHERE id = $1");
    let found = link.first(read.bind(id)).await?;
    found.ok_or_else(|| StoreError::not_found("roll-out", id))
}

pub(super) async fn begin(
    link: &mut impl Link,
    bundle: Uuid,
    state: RolloutState,
    plan: Value,
    cause: &Cause,
) -> Result<Rollout> {
    if !matches!(state, RolloutState::Canary | RolloutState::Full) {
        return Err(StoreError::Transition {
            what: "roll-out of",
            id: bundle.to_string(),
            from: "nothing",
            to: state.name(),
        });
    }
    let look = sql(
        "looking for a bundle",
        "SELECT scope FROM bundles WHERE id = $1",
    );
    let Some(One(scope)) = link.first::<One<String>>(look.bind(bundle)).await? else {
        return Err(StoreError::not_found("bundle", bundle));
    };
    let insert = sql(
        "beginning a roll-out",
        "INSERT INTO rollouts \
         (id, bundle_id, scope, state, version, plan, progress, created_at, changed_at, reason) \
         VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $7, $8) ON CONFLICT DO NOTHING RETURNING *",
    );
    let insert = insert
        .bind(new_id())
        .bind(bundle)
        .bind(scope.as_str())
        .bind(state.name())
        .bind(plan)
        .bind(json!({}))
        .bind(cause.at)
        .bind(cause.reason.as_str());
    let Some(rollout) = link.first::<Rollout>(insert).await? else {
        return Err(StoreError::exists("roll-out under way in", scope));
    };
    tell(link, "begin", &rollout, cause).await?;
    Ok(rollout)
}

pub(super) async fn advance(
    link: &mut impl Link,
    id: Uuid,
    expected: i64,
    state: RolloutState,
    progress: Value,
    cause: &Cause,
) -> Result<Rollout> {
    let before = read(link, id).await?;
    let conflict = |found| StoreError::Conflict {
        what: "roll-out",
        id: id.to_string(),
        expected,
        found,
    };
    if before.version != expected {
        return Err(conflict(before.version));
    }
    if !before.state.may_become(state) {
        return Err(StoreError::Transition {
            what: "roll-out",
            id: id.to_string(),
            from: before.state.name(),
            to: state.name(),
        });
    }
    let update = sql(
        "moving a roll-out on",
        "UPDATE rollouts SET state = $1, progress = $2, changed_at = $3, reason = $4, \
         version = version + 1 WHERE id = $5 AND version = $6 RETURNING *",
    );
    let update = update
        .bind(state.name())
        .bind(progress)
        .bind(cause.at)
        .bind(cause.reason.as_str())
        .bind(id)
        .bind(expected);
    let Some(after) = link.first::<Rollout>(update).await? else {
        // Somebody was faster, just now.
        return Err(conflict(read(link, id).await?.version));
    };
    // How far it is changes often; that it changed its state is what is told.
    if before.state != state {
        tell(link, state.name(), &after, cause).await?;
    }
    Ok(after)
}

async fn tell(link: &mut impl Link, action: &str, rollout: &Rollout, cause: &Cause) -> Result<()> {
    link.announce(Change::Rollouts).await?;
    let deed = Deed {
        action: format!("rollout.{action}"),
        kind: "rollout".to_owned(),
        subject: rollout.id.to_string(),
        detail: json!({"bundle": rollout.bundle.to_string(), "scope": rollout.scope}),
    };
    audit::append(link, deed, cause).await
}

pub(super) async fn list(
    link: &mut impl Link,
    scope: Option<&str>,
    under_way: bool,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Rollout>> {
    let list = sql(
        "listing roll-outs",
        "SELECT * FROM rollouts WHERE id < $1 AND scope = COALESCE($2, scope) \
         AND (NOT $3 OR state IN ('canary', 'full', 'halted')) ORDER BY id DESC LIMIT $4",
    );
    link.fetch(
        list.bind(before.unwrap_or(Uuid::max()))
            .bind(scope.map(str::to_owned))
            .bind(under_way)
            .bind(rows),
    )
    .await
}
