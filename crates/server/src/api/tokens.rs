//! API tokens: one's own, and for administrators anybody's.

use super::App;
use super::extract::{Json, Path, Query};
use super::problem::{Code, Problem};
use super::values::{Page, PageQuery, Time, cursor, id, page_size, single};
use super::who::Who;
use crate::auth::{Permission, SESSION, Secret};
use axum::extract::State;
use axum::http::StatusCode;
use picket_store::{ApiToken, NewApiToken, User, Uuid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An API token.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its name; `session` for a log-in.
    name: String,
    /// When it was made.
    created_at: Time,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// When it was last used; told some seconds late.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<Time>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Time>,
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// Its name, so that you know later what it is for.
    name: String,
    /// When it ends; left out: never.
    expires_at: Option<Time>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its name.
    name: String,
    /// The token itself. It is shown this once.
    token: String,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

fn view(token: ApiToken) -> TokenView {
    TokenView {
        id: token.id.to_string(),
        name: token.name,
        created_at: Time(token.created_at),
        expires_at: token.expires_at.map(Time),
        used_at: token.used_at.map(Time),
        revoked_at: token.revoked_at.map(Time),
    }
}

/// The user of this name, for themselves and for administrators.
async fn owner(app: &App, who: &Who, name: &str) -> Result<User, Problem> {
    if who.user.name == name {
        return Ok(who.user.clone());
    }
    who.needs_everywhere(Permission::Administer)?;
    Ok(app.store.user_named(name).await?)
}

/// List a user's API tokens, the newest first
#[utoipa::path(get, path = "/users/{name}/tokens", tag = "users", operation_id = "list_tokens",
    params(("name" = String, Path, description = "The user's name"), PageQuery),
    responses((status = 200, body = Page<TokenView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TokenView>>, Problem> {
    let user = owner(&app, &who, &name).await?;
    let before = single::<Uuid>(page.cursor.as_deref())?;
    let size = page_size(page.limit)?;
    let tokens = app.store.api_tokens(user.id, before, size).await?;
    Ok(Json(Page {
        items: tokens.items.into_iter().map(view).collect(),
        next: tokens.next.map(|id| cursor(&[&id.to_string()])),
    }))
}

/// Make an API token
///
/// It may do what its user may do. It is shown once: only its hash is kept.
#[utoipa::path(post, path = "/users/{name}/tokens", tag = "users", operation_id = "create_token",
    params(("name" = String, Path, description = "The user's name")), request_body = NewToken,
    responses((status = 201, body = MadeToken), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let user = owner(&app, &who, &name).await?;
    let cause = who.cause(new.reason);
    if new.name == SESSION {
        return Err(Problem::invalid("name: log-ins are called so"));
    }
    if new.expires_at.is_some_and(|end| end.0 <= cause.at) {
        return Err(Problem::invalid("expires_at: it is over already"));
    }
    let secret = Secret::new("pkt").map_err(Problem::internal)?;
    let token = NewApiToken {
        user: user.id,
        name: new.name,
        hash: secret.hash(),
        expires_at: new.expires_at.map(|time| time.0),
    };
    let token = app.store.make_api_token(token, &cause).await?;
    let made = MadeToken {
        id: token.id.to_string(),
        name: token.name,
        token: secret.reveal().to_owned(),
        expires_at: new.expires_at,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revoke an API token
#[utoipa::path(delete, path = "/users/{name}/tokens/{id}", tag = "users", operation_id = "revoke_token",
    params(("name" = String, Path, description = "The user's name"), ("id" = String, Path, description = "The token's id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<App>,
    who: Who,
    Path((name, token)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user = owner(&app, &who, &name).await?;
    let token = id("API token", &token)?;
    // It must be this user's: else anybody could end anybody's.
    let before = next_id(token);
    let one = page_size(Some(1))?;
    let found = app.store.api_tokens(user.id, Some(before), one).await?;
    if found.items.first().is_none_or(|found| found.id != token) {
        return Err(Problem::new(
            Code::NotFound,
            format!("{name} has no API token {token}"),
        ));
    }
    app.store.revoke_api_token(token, &who.cause("")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id right after this one: a page before it begins with this one.
fn next_id(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_add(1))
}
