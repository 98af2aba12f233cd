//! Join tokens in SQL.

use super::{JoinRefusal, JoinToken, JoinTokens, NewJoinToken};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Micros, SecretHash, Uuid, labels_to_json, new_id};
use crate::changes::Change;
use crate::db::{Backend, Columns, Link, Record, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use serde_json::json;

impl Record for JoinToken {
    fn read(row: &impl Columns) -> Result<JoinToken> {
        Ok(JoinToken {
            id: row.id("id")?,
            labels: row.labels("labels")?,
            actor: row.text("actor")?,
            reason: row.text("reason")?,
            created_at: row.int("created_at")?,
            expires_at: row.int("expires_at")?,
            uses_left: row.int("uses_left")?,
            revoked_at: row.get("revoked_at")?,
        })
    }
}

/// Takes one use of a token: of the last one, one taker alone. In the transaction
/// of what it is used for, so that a use is never lost on a sensor that was not let in.
pub(crate) async fn take_use(
    link: &mut impl Link,
    hash: &SecretHash,
    now: Micros,
) -> Result<JoinToken> {
    let take = sql(
        "using a join token",
        "UPDATE join_tokens SET uses_left = uses_left - 1 \
         WHERE hash = $1 AND uses_left > 0 AND expires_at > $2 AND revoked_at IS NULL RETURNING *",
    );
    if let Some(token) = link.first(take.bind(&hash[..]).bind(now)).await? {
        return Ok(token);
    }
    let look = sql(
        "looking for a join token",
        "SELECT * FROM join_tokens WHERE hash = $1",
    );
    let refusal = match link.first::<JoinToken>(look.bind(&hash[..])).await? {
        None => JoinRefusal::Unknown,
        Some(token) if token.revoked_at.is_some() => JoinRefusal::Revoked,
        Some(token) if token.expires_at <= now => JoinRefusal::Expired,
        Some(_) => JoinRefusal::UsedUp,
    };
    Err(StoreError::JoinRefused(refusal))
}

fn deed(action: &str, id: Uuid, detail: serde_json::Value) -> Deed {
    Deed {
        action: format!("join_token.{action}"),
        kind: "join_token".to_owned(),
        subject: id.to_string(),
        detail,
    }
}

#[async_trait]
impl<B: Backend> JoinTokens for SqlStore<B> {
    async fn make_join_token(&self, new: NewJoinToken, cause: &Cause) -> Result<JoinToken> {
        let labels = labels_to_json(&new.labels);
        limits::json_up_to("labels", &labels, limits::MAX_LABELS)?;
        cause.check()?;
        let cause = cause.clone();
        let token = JoinToken {
            id: new_id(),
            labels: new.labels,
            actor: cause.actor.clone(),
            reason: cause.reason.clone(),
            created_at: cause.at,
            expires_at: new.expires_at,
            uses_left: i64::from(new.uses),
            revoked_at: None,
        };
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let insert = sql(
                        "making a join token",
                        "INSERT INTO join_tokens \
                         (id, hash, labels, actor, reason, created_at, expires_at, uses_left) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                    );
                    let made = link
                        .execute(
                            insert
                                .bind(token.id)
                                .bind(&new.hash[..])
                                .bind(labels.clone())
                                .bind(token.actor.as_str())
                                .bind(token.reason.as_str())
                                .bind(token.created_at)
                                .bind(token.expires_at)
                                .bind(token.uses_left),
                        )
                        .await?;
                    if made == 0 {
                        return Err(StoreError::exists("join token", "with this secret"));
                    }
                    let detail = json!({
                        "labels": labels,
                        "uses": token.uses_left,
                        "expires_at": token.expires_at,
                    });
                    link.announce(Change::Sensors).await?;
                    audit::append(link, deed("create", token.id, detail), &cause).await?;
                    Ok(token)
                })
            })
            .await
    }

    async fn revoke_join_token(&self, id: Uuid, cause: &Cause) -> Result<()> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let revoke = sql(
                        "revoking a join token",
                        "UPDATE join_tokens SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2",
                    );
                    if link.execute(revoke.bind(cause.at).bind(id)).await? == 0 {
                        return Err(StoreError::not_found("join token", id));
                    }
                    link.announce(Change::Sensors).await?;
                    audit::append(link, deed("revoke", id, json!({})), &cause).await
                })
            })
            .await
    }

    async fn join_tokens(
        &self,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<JoinToken, Uuid>> {
        let list = sql(
            "listing join tokens",
            "SELECT * FROM join_tokens WHERE id < $1 ORDER BY id DESC LIMIT $2",
        );
        let before = before.unwrap_or(Uuid::max());
        let mut link = self.0.read().await?;
        let rows = link
            .fetch::<JoinToken>(list.bind(before).bind(size.probe()))
            .await?;
        Ok(Page::of(rows, size, |token| token.id))
    }
}
