//! Log-in by an OpenID Connect provider.

use super::App;
use super::extract::Query;
use super::guard::one_client;
use super::problem::{Code, Problem};
use super::projects::project_id;
use super::session::{cookie_of, open, session_cookie_header};
use super::values::now;
use super::who::named_cookie;
use crate::auth::Role;
use crate::auth::oidc::{Attempt, Identity, OidcError, Provider};
use crate::http::Client;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use picket_store::{Cause, Grant, LogIn, StoreError, Subject, User};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use utoipa::IntoParams;

/// The cookie of a log-in under way. With this prefix a browser takes it from this
/// very host and over TLS alone: no neighbour can plant a log-in of its own.
const ATTEMPT: &str = "__Host-picket_oidc";
/// The same without encryption (a loopback address), where browsers refuse the prefix.
const ATTEMPT_PLAIN: &str = "picket_oidc";
/// How long people may take to log in, seconds.
const ATTEMPT_SECONDS: u32 = 600;
/// Who changes users and grants when somebody logs in.
const ACTOR: &str = "system:oidc";

/// What the provider sends back.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Answer {
    /// What began with this log-in.
    state: Option<String>,
    /// What is exchanged for the user's identity.
    code: Option<String>,
    /// Why nobody logged in.
    error: Option<String>,
    /// The provider (RFC 9207).
    iss: Option<String>,
}

fn provider(app: &App) -> Result<Arc<Provider>, Problem> {
    app.oidc.clone().ok_or_else(|| {
        let why = "this server has no [oidc] in its configuration: log in with a password";
        Problem::new(Code::NotFound, why)
    })
}

fn problem(error: OidcError) -> Problem {
    tracing::warn!(%error, "a log-in by OpenID Connect failed");
    let code = match error {
        OidcError::Unavailable(_) => Code::Unavailable,
        OidcError::Refused(_) => Code::Unauthenticated,
    };
    Problem::new(code, error.to_string())
}

/// Log in by the OpenID Connect provider
///
/// For browsers: sends them there.
#[utoipa::path(get, path = "/session/oidc", tag = "session", operation_id = "begin_oidc", security(()),
    responses((status = 303, description = "To the provider"), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn begin(
    State(app): State<App>,
    client: Option<Extension<Client>>,
) -> Result<Response, Problem> {
    let provider = provider(&app)?;
    let attempt = Attempt::new().map_err(Problem::internal)?;
    let url = provider.begin(&attempt).await.map_err(problem)?;
    let client = client.map(|Extension(client)| client);
    let cookie = attempt_cookie(&attempt.to_cookie(), ATTEMPT_SECONDS, client);
    redirect(&url, [cookie])
}

/// Take the browser back from the OpenID Connect provider
///
/// Makes the user at their first log-in, and gives them the roles of their groups at
/// each.
#[utoipa::path(get, path = "/session/oidc/callback", tag = "session", operation_id = "finish_oidc",
    security(()), params(Answer),
    responses((status = 303, description = "Logged in"), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn finish(
    State(app): State<App>,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response, Problem> {
    let provider = provider(&app)?;
    let client = client.map(|Extension(client)| client);
    let from = client.map_or_else(
        || "unknown".to_owned(),
        |client| one_client(client.address.ip()).to_string(),
    );
    // Each try is a request to the provider.
    let (key, tried) = (format!("from {from}"), Instant::now());
    app.log_ins.take(&key, tried).map_err(|wait| {
        Problem::new(Code::TooMany, "too many log-ins: try again later").retry_after(wait)
    })?;
    let name = attempt_name(client);
    let attempt = named_cookie(&headers, name).and_then(Attempt::of_cookie);
    let logged_in = log_in(&app, &provider, attempt, answer, &from).await;
    let (user, secret) = match logged_in {
        Ok(logged_in) => logged_in,
        Err(problem) => {
            app.metrics.log_ins_failed.fetch_add(1, Ordering::Relaxed);
            return Err(problem);
        }
    };
    app.log_ins.give_back(&key, tried);
    tracing::info!(user = user.name, "logged in by OpenID Connect");
    let over = attempt_cookie("", 0, client);
    let session = session_cookie_header(&app, &secret, client);
    redirect("/", [over, session])
}

async fn log_in(
    app: &App,
    provider: &Provider,
    attempt: Option<Attempt>,
    answer: Answer,
    from: &str,
) -> Result<(User, crate::auth::Secret), Problem> {
    let refused = |why: &str| Problem::new(Code::Unauthenticated, why);
    let began = |attempt: &Attempt| {
        let state = answer.state.as_deref().unwrap_or_default();
        attempt.is_of_state(state)
    };
    let attempt = attempt.filter(began).ok_or_else(|| {
        refused("this log-in was not begun in this browser, or took too long: begin again")
    })?;
    if answer.error.is_some() {
        return Err(refused("the provider let nobody in"));
    }
    if answer
        .iss
        .is_some_and(|iss| iss != provider.config().issuer)
    {
        return Err(refused("the answer is another provider's"));
    }
    let code = answer.code.unwrap_or_default();
    let identity = provider.finish(&attempt, &code, now()).await;
    let identity = identity.map_err(problem)?;
    let grants = grants(app, provider, &identity).await?;
    let user = user(app, provider, &identity, !grants.is_empty()).await?;
    if let Some(user) = &user {
        match_grants(app, user, &grants).await?;
    }
    let user = user.filter(|_| !grants.is_empty()).ok_or_else(|| {
        let why =
            "none of your groups has a role here: ask whoever runs this server ([[oidc.roles]])";
        Problem::new(Code::Forbidden, why)
    })?;
    let how = format!("logged in from {from} by OpenID Connect");
    let (secret, _) = open(app, &user, how).await?;
    Ok((user, secret))
}

/// What the groups give.
async fn grants(
    app: &App,
    provider: &Provider,
    identity: &Identity,
) -> Result<Vec<Grant>, Problem> {
    let mut grants = Vec::new();
    for given in &provider.config().roles {
        if !identity.groups.contains(&given.group) {
            continue;
        }
        let project = match &given.project {
            None => None,
            Some(name) => match project_id(app, name).await {
                Ok(id) => Some(id),
                Err(problem) if problem.is_not_found() => {
                    tracing::warn!(
                        project = name,
                        "oidc.roles names a project that is not there"
                    );
                    continue;
                }
                Err(problem) => return Err(problem),
            },
        };
        grants.push(Grant {
            project,
            role: Role::name(given.role).to_owned(),
        });
    }
    grants.sort_unstable();
    grants.dedup();
    Ok(grants)
}

fn cause(reason: &str) -> Cause {
    Cause {
        actor: ACTOR.to_owned(),
        reason: reason.to_owned(),
        at: now(),
    }
}

/// The user of that identity; made if there is none and `make` says so. Only by the
/// provider's own name for them: a local user of the same name is somebody else.
async fn user(
    app: &App,
    provider: &Provider,
    identity: &Identity,
    make: bool,
) -> Result<Option<User>, Problem> {
    let subject = Subject {
        issuer: provider.config().issuer.clone(),
        subject: identity.subject.clone(),
    };
    for first in [true, false] {
        match app.store.user_of_subject(&subject).await {
            Ok(user) if user.disabled_at.is_some() => {
                let why = "this user is disabled here";
                return Err(Problem::new(Code::Forbidden, why));
            }
            Ok(user) => return Ok(Some(user)),
            Err(StoreError::NotFound { .. }) if !make => return Ok(None),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let name = identity.name.as_deref().unwrap_or(&identity.subject);
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
        let name: String = name.chars().filter(|c| fits(*c)).take(128).collect();
        let log_in = LogIn {
            password_hash: None,
            subject: Some(subject.clone()),
        };
        let made = app
            .store
            .make_user(&name, log_in, &cause("their first log-in"))
            .await;
        match made {
            Ok(user) => return Ok(Some(user)),
            // Perhaps by their own log-in in another window.
            Err(StoreError::Exists { .. }) if first => {}
            Err(StoreError::Exists { .. }) => {
                let why = format!(
                    "there is another user {name} here: an administrator can give one of them \
                     another name at the provider, or set oidc.name_claim"
                );
                return Err(Problem::new(Code::Conflict, why));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Gives the user these grants and no others.
async fn match_grants(app: &App, user: &User, wanted: &[Grant]) -> Result<(), Problem> {
    let cause = cause("their groups at the provider");
    let had = app.store.grants(user.id).await?;
    for grant in had.iter().filter(|grant| !wanted.contains(grant)) {
        match app.store.revoke_grant(user.id, grant.clone(), &cause).await {
            // By another log-in at the same time.
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for grant in wanted.iter().filter(|grant| !had.contains(grant)) {
        app.store.grant(user.id, grant.clone(), &cause).await?;
    }
    Ok(())
}

fn attempt_name(client: Option<Client>) -> &'static str {
    match client {
        Some(client) if !client.encrypted => ATTEMPT_PLAIN,
        _ => ATTEMPT,
    }
}

/// Lax: the provider's page sends the browser here.
fn attempt_cookie(value: &str, seconds: u32, client: Option<Client>) -> HeaderValue {
    let name = attempt_name(client);
    cookie_of(name, value, "/", seconds.into(), "Lax", client)
}

fn redirect<const N: usize>(url: &str, cookies: [HeaderValue; N]) -> Result<Response, Problem> {
    let url = HeaderValue::from_str(url).map_err(Problem::internal)?;
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
