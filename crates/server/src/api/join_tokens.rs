//! Join tokens: what lets new sensors in.

use super::App;
use super::extract::{Json, Path, Query};
use super::problem::{Code, Problem};
use super::values::{Page, PageQuery, Time, cursor, id, now, page_size, single};
use super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use axum::http::StatusCode;
use picket_store::{JoinToken, NewJoinToken, Uuid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How long a token lasts if nobody says otherwise: a day, microseconds.
const USUAL_LIFE: i64 = 24 * 3600 * 1_000_000;
/// How many sensors one token lets in, at most.
const MOST_USES: u32 = 100_000;

/// A join token.
#[derive(Serialize, ToSchema)]
pub(super) struct JoinTokenView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What every sensor that joins with it is labelled.
    labels: BTreeMap<String, String>,
    /// Who made it.
    made_by: String,
    /// Why.
    reason: String,
    /// When.
    created_at: Time,
    /// When it ends.
    expires_at: Time,
    /// How many more sensors it lets in.
    uses_left: i64,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Time>,
}

/// A join token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewJoin {
    /// What every sensor that joins with it is labelled.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How many sensors it lets in; 1 if left out.
    uses: Option<u32>,
    /// When it ends; in a day if left out.
    expires_at: Option<Time>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A join token that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeJoin {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// For `picket sensor --join`. It is shown this once.
    token: String,
    /// When it ends.
    expires_at: Time,
}

fn view(token: JoinToken) -> JoinTokenView {
    JoinTokenView {
        id: token.id.to_string(),
        labels: token.labels,
        made_by: token.actor,
        reason: token.reason,
        created_at: Time(token.created_at),
        expires_at: Time(token.expires_at),
        uses_left: token.uses_left,
        revoked_at: token.revoked_at.map(Time),
    }
}

/// List join tokens, the newest first
#[utoipa::path(get, path = "/join-tokens", tag = "sensors", operation_id = "list_join_tokens", params(PageQuery),
    responses((status = 200, body = Page<JoinTokenView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<JoinTokenView>>, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let before = single::<Uuid>(page.cursor.as_deref())?;
    let found = app
        .store
        .join_tokens(before, page_size(page.limit)?)
        .await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(view).collect(),
        next: found.next.map(|id| cursor(&[&id.to_string()])),
    }))
}

/// Make a join token
///
/// It is shown once: only its hash is kept.
#[utoipa::path(post, path = "/join-tokens", tag = "sensors", operation_id = "create_join_token", request_body = NewJoin,
    responses((status = 201, body = MadeJoin), (status = 403, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Json(new): Json<NewJoin>,
) -> Result<(StatusCode, Json<MadeJoin>), Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let uses = new.uses.unwrap_or(1);
    if uses == 0 || uses > MOST_USES {
        return Err(Problem::invalid(format!("uses: from 1 to {MOST_USES}")));
    }
    let at = now();
    let expires_at = new.expires_at.unwrap_or(Time(at + USUAL_LIFE));
    if expires_at.0 <= at {
        return Err(Problem::invalid("expires_at: it is over already"));
    }
    let Some(fleet) = app.fleet.upgrade() else {
        let why = "this server takes no sensors in";
        return Err(Problem::new(Code::Unavailable, why));
    };
    let secret = fleet.join_token().map_err(Problem::internal)?;
    let token = NewJoinToken {
        hash: secret.hash(),
        labels: new.labels,
        expires_at: expires_at.0,
        uses,
    };
    let token = app
        .store
        .make_join_token(token, &who.cause(new.reason))
        .await?;
    let made = MadeJoin {
        id: token.id.to_string(),
        token: secret.to_string(),
        expires_at,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revoke a join token
///
/// It lets nobody in any more. Those that it let in stay.
#[utoipa::path(delete, path = "/join-tokens/{id}", tag = "sensors", operation_id = "revoke_join_token",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let id = id("join token", &text)?;
    app.store.revoke_join_token(id, &who.cause("")).await?;
    Ok(StatusCode::NO_CONTENT)
}
