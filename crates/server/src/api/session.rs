//! Logging in and out.

use super::App;
use super::extract::Json;
use super::guard::one_client;
use super::problem::{Code, Problem};
use super::values::{Time, now};
use super::who::{COOKIE, Who, actor};
use crate::auth::{MAX_PASSWORD, SESSION, Secret};
use crate::http::Client;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use picket_store::{Cause, Deed, Micros, NewApiToken, StoreError, limits};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::Instant;
use utoipa::ToSchema;

/// A name and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogInRequest {
    /// The user's name.
    name: String,
    /// Their password.
    #[schema(format = Password)]
    password: String,
    /// Answer with the token in the body instead of a cookie: for scripts.
    #[serde(default)]
    token: bool,
}

/// A log-in.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggedIn {
    /// Who.
    user: String,
    /// Until when.
    expires_at: Time,
    /// For `Authorization: Bearer`, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Log in
///
/// Sets a cookie; or gives a token, if `token` is true. Failed tries are limited, by
/// address and by name.
#[utoipa::path(post, path = "/session", tag = "session", operation_id = "log_in", security(()),
    request_body = LogInRequest,
    responses((status = 200, body = LoggedIn), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn log_in(
    State(app): State<App>,
    client: Option<Extension<Client>>,
    Json(request): Json<LogInRequest>,
) -> Result<Response, Problem> {
    let client = client.map(|Extension(client)| client);
    let from = client.map_or_else(
        || "unknown".to_owned(),
        |client| one_client(client.address.ip()).to_string(),
    );
    if request.name.len() > limits::MAX_NAME || request.password.len() > MAX_PASSWORD {
        return Err(Problem::invalid("name or password is too long"));
    }
    let keys = [format!("from {from}"), format!("as {}", request.name)];
    let tried = Instant::now();
    for key in &keys {
        app.log_ins.take(key, tried).map_err(|wait| {
            Problem::new(Code::TooMany, "too many log-ins: try again later").retry_after(wait)
        })?;
    }
    let known = match app.store.user_named(&request.name).await {
        Ok(user) => Some(user),
        Err(StoreError::NotFound { .. } | StoreError::Invalid { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let kept = known
        .as_ref()
        .and_then(|user| user.log_in.password_hash.clone());
    let matches = app.passwords.matches(request.password, kept).await;
    let matches = matches.map_err(Problem::internal)?;
    let at = now();
    let user = match known.filter(|user| matches && user.disabled_at.is_none()) {
        Some(user) => user,
        None => {
            failed(&app, &request.name, &from, at).await?;
            let why = "the name or the password is wrong";
            return Err(Problem::new(Code::Unauthenticated, why));
        }
    };
    for key in &keys {
        app.log_ins.give_back(key, tried);
    }
    let secret = Secret::new("pks").map_err(Problem::internal)?;
    let lasts = app.limits.session;
    let expires_at = at.saturating_add(Micros::try_from(lasts.as_micros()).unwrap_or(Micros::MAX));
    let cause = Cause {
        actor: actor(&user.name),
        reason: format!("logged in from {from}"),
        at,
    };
    let session = NewApiToken {
        user: user.id,
        name: SESSION.to_owned(),
        hash: secret.hash(),
        expires_at: Some(expires_at),
    };
    app.store.make_api_token(session, &cause).await?;
    let body = LoggedIn {
        user: user.name,
        expires_at: Time(expires_at),
        token: request.token.then(|| secret.reveal().to_owned()),
    };
    let mut headers = HeaderMap::new();
    if !request.token {
        let cookie = cookie(secret.reveal(), lasts.as_secs(), client);
        headers.insert(header::SET_COOKIE, cookie.map_err(Problem::internal)?);
    }
    Ok((headers, Json(body)).into_response())
}

/// Writes a failed log-in down. The name may be a password typed into the wrong field:
/// only that of a real user is told.
async fn failed(app: &App, name: &str, from: &str, at: Micros) -> Result<(), Problem> {
    app.metrics.log_ins_failed.fetch_add(1, Ordering::Relaxed);
    let known = app.store.user_named(name).await.ok();
    tracing::warn!(from, known = known.is_some(), "a log-in failed");
    let Some(user) = known else { return Ok(()) };
    let deed = Deed {
        action: "session.refuse".to_owned(),
        kind: "user".to_owned(),
        subject: user.id.to_string(),
        detail: serde_json::json!({"from": from}),
    };
    let cause = Cause {
        actor: actor(&user.name),
        reason: "the password was wrong, or the user is disabled".to_owned(),
        at,
    };
    Ok(app.store.record(deed, &cause).await?)
}

/// Log out
#[utoipa::path(delete, path = "/session", tag = "session", operation_id = "log_out",
    responses((status = 204), (status = 401, body = Problem)))]
pub(super) async fn log_out(
    State(app): State<App>,
    client: Option<Extension<Client>>,
    who: Who,
) -> Result<Response, Problem> {
    if !who.logged_in() {
        let why = "this is an API token, not a log-in: revoke it where it was made";
        return Err(Problem::new(Code::Conflict, why));
    }
    app.store
        .revoke_api_token(who.token.id, &who.cause("logged out"))
        .await?;
    let gone = cookie("", 0, client.map(|Extension(client)| client)).map_err(Problem::internal)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

fn cookie(
    secret: &str,
    seconds: u64,
    client: Option<Client>,
) -> Result<HeaderValue, axum::http::header::InvalidHeaderValue> {
    // Without encryption (a loopback address) a browser would not send it back.
    let secure = match client {
        Some(client) if !client.encrypted => "",
        _ => "; Secure",
    };
    HeaderValue::from_str(&format!(
        "{COOKIE}={secret}; Path=/api; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    ))
}
