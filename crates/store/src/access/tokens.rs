//! API tokens in SQL.

use super::sql::deed;
use super::{ApiToken, NewApiToken};
use crate::audit;
use crate::basics::{Cause, Micros, SecretHash, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Columns, Link, Record, sql};
use crate::error::{Result, StoreError};
use serde_json::json;
use std::collections::BTreeMap;

impl Record for ApiToken {
    fn read(row: &impl Columns) -> Result<ApiToken> {
        Ok(ApiToken {
            id: row.id("id")?,
            user: row.id("user_id")?,
            name: row.text("name")?,
            created_at: row.int("created_at")?,
            expires_at: row.get("expires_at")?,
            used_at: row.get("used_at")?,
            revoked_at: row.get("revoked_at")?,
        })
    }
}

pub(super) async fn make(
    link: &mut impl Link,
    new: NewApiToken,
    cause: &Cause,
) -> Result<ApiToken> {
    let insert = sql(
        "making an API token",
        "INSERT INTO api_tokens (id, user_id, name, hash, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING *",
    );
    let insert = insert
        .bind(new_id())
        .bind(new.user)
        .bind(new.name.as_str())
        .bind(&new.hash[..])
        .bind(cause.at)
        .bind(new.expires_at);
    let Some(token) = link.first::<ApiToken>(insert).await? else {
        return Err(StoreError::exists("API token", "with this secret"));
    };
    link.announce(Change::Access).await?;
    let detail = json!({
        "user": token.user.to_string(),
        "name": token.name,
        "expires_at": token.expires_at,
    });
    audit::append(link, deed("create", "api_token", token.id, detail), cause).await?;
    Ok(token)
}

pub(super) async fn valid(
    link: &mut impl Link,
    hash: &SecretHash,
    now: Micros,
) -> Result<ApiToken> {
    let find = sql(
        "looking for an API token",
        "SELECT * FROM api_tokens WHERE hash = $1 AND revoked_at IS NULL \
         AND (expires_at IS NULL OR expires_at > $2)",
    );
    let found = link.first(find.bind(&hash[..]).bind(now)).await?;
    found.ok_or_else(|| StoreError::not_found("valid API token", "with this secret"))
}

/// In the order of their ids: two replicas take their locks in the same order.
pub(super) async fn store_uses(link: &mut impl Link, uses: Vec<(Uuid, Micros)>) -> Result<()> {
    let mut latest: BTreeMap<Uuid, Micros> = BTreeMap::new();
    for (token, at) in uses {
        let known = latest.entry(token).or_insert(at);
        *known = at.max(*known);
    }
    for (token, at) in latest {
        let update = sql(
            "storing an API token's use",
            "UPDATE api_tokens SET used_at = $1 WHERE id = $2 \
             AND (used_at IS NULL OR used_at < $1)",
        );
        link.execute(update.bind(at).bind(token)).await?;
    }
    Ok(())
}

pub(super) async fn revoke(link: &mut impl Link, id: Uuid, cause: &Cause) -> Result<()> {
    let revoke = sql(
        "revoking an API token",
        "UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2",
    );
    if link.execute(revoke.bind(cause.at).bind(id)).await? == 0 {
        return Err(StoreError::not_found("API token", id));
    }
    link.announce(Change::Access).await?;
    audit::append(link, deed("revoke", "api_token", id, json!({})), cause).await
}

pub(super) async fn list(
    link: &mut impl Link,
    user: Uuid,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<ApiToken>> {
    let list = sql(
        "listing API tokens",
        "SELECT * FROM api_tokens WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    );
    link.fetch(
        list.bind(user)
            .bind(before.unwrap_or(Uuid::max()))
            .bind(rows),
    )
    .await
}
