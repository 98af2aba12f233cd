//! What users see and change of themselves.

use super::App;
use super::extract::Json;
use super::problem::{Code, Problem};
use super::users::{GrantView, end_sessions, grant_views, new_hash};
use super::values::Time;
use super::who::Who;
use crate::auth::MAX_PASSWORD;
use axum::extract::State;
use axum::http::StatusCode;
use picket_store::LogIn;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use utoipa::ToSchema;

/// Who you are, and what you may do.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// The user's id.
    #[schema(format = "uuid")]
    id: String,
    /// The user's name.
    name: String,
    /// What they may do where.
    grants: Vec<GrantView>,
    /// The name of the token that was used; `session` for a log-in.
    token: String,
    /// When that token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expires_at: Option<Time>,
}

/// Tell who you are, and what you may do
#[utoipa::path(get, path = "/me", tag = "session", operation_id = "me",
    responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub(super) async fn me(State(app): State<App>, who: Who) -> Result<Json<Me>, Problem> {
    Ok(Json(Me {
        id: who.user.id.to_string(),
        grants: grant_views(&app, who.user.id).await?,
        name: who.user.name,
        token: who.token.name,
        token_expires_at: who.token.expires_at.map(Time),
    }))
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The one until now.
    #[schema(format = Password)]
    old: String,
    /// The one from now on: at least 12 bytes.
    #[schema(format = Password)]
    new: String,
}

/// Change your password
///
/// Every log-in of yours ends. API tokens stay.
#[utoipa::path(put, path = "/me/password", tag = "session", operation_id = "change_password",
    request_body = NewPassword,
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn change_password(
    State(app): State<App>,
    who: Who,
    Json(request): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    if request.old.len() > MAX_PASSWORD {
        return Err(Problem::invalid("old: it is too long"));
    }
    // A stolen token must not be good for guessing the password.
    let key = format!("as {}", who.user.name);
    let tried = Instant::now();
    app.log_ins.take(&key, tried).map_err(|wait| {
        Problem::new(Code::TooMany, "too many tries: try again later").retry_after(wait)
    })?;
    let kept = who.user.log_in.password_hash.clone();
    let matches = app.passwords.matches(request.old, kept).await;
    if !matches.map_err(Problem::internal)? {
        return Err(Problem::new(Code::Forbidden, "the old password is wrong"));
    }
    app.log_ins.give_back(&key, tried);
    let log_in = LogIn {
        password_hash: Some(new_hash(&app, request.new).await?),
        subject: who.user.log_in.subject.clone(),
    };
    let cause = who.cause("changed their password");
    app.store
        .change_user(who.user.id, who.user.version, log_in, false, &cause)
        .await?;
    end_sessions(&app, who.user.id, &cause).await?;
    Ok(StatusCode::NO_CONTENT)
}
