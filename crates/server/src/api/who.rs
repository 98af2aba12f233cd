//! Who sends a request, and what they may do.

use super::App;
use super::problem::{Code, Problem};
use super::values::now;
use crate::auth::{Permission, Rights, SESSION, Scope, digest};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use picket_store::{ApiToken, Cause, SecretHash, StoreError, User, Uuid};

/// The cookie of a log-in.
pub(super) const COOKIE: &str = "picket_session";
/// A header that no other site's form can send: it must stand in changes that a
/// cookie vouches for.
pub(super) const NO_FORGERY: &str = "x-picket-request";
/// Bytes of a token, at most.
const MAX_TOKEN: usize = 200;

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) user: User,
    pub(crate) token: ApiToken,
    pub(crate) rights: Rights,
    /// Of the token's secret.
    pub(crate) hash: SecretHash,
}

impl Who {
    /// Whoever this secret speaks for.
    pub(super) async fn of_secret(app: &App, secret: &str) -> Result<Who, Problem> {
        let unknown = || {
            Problem::new(
                Code::Unauthenticated,
                "the token is unknown, over or revoked: log in again, or make a new one",
            )
        };
        if secret.len() > MAX_TOKEN {
            return Err(unknown());
        }
        let at = now();
        let hash = digest(secret);
        let found = app.store.user_of_token(&hash, at).await;
        let (user, token) = match found {
            Err(StoreError::NotFound { .. }) => return Err(unknown()),
            found => found?,
        };
        let rights = Rights::of(&app.store.grants(user.id).await?);
        app.token_used(token.id, at);
        Ok(Who {
            user,
            token,
            rights,
            hash,
        })
    }

    /// Refuses one who may not do it anywhere. Where it depends on the project, that
    /// is asked next.
    pub(crate) fn needs(&self, permission: Permission) -> Result<Scope, Problem> {
        if self.rights.anywhere(permission) {
            Ok(self.rights.scope(permission))
        } else {
            Err(lacks(permission, ""))
        }
    }

    /// Refuses one who may not do it everywhere.
    pub(crate) fn needs_everywhere(&self, permission: Permission) -> Result<(), Problem> {
        self.needs(permission)?;
        if self.rights.everywhere(permission) {
            Ok(())
        } else {
            Err(lacks(
                permission,
                " in every project: it concerns all sensors",
            ))
        }
    }

    /// Refuses one who may not do it to what is for these projects.
    pub(crate) fn needs_in(
        &self,
        permission: Permission,
        projects: &[Uuid],
    ) -> Result<(), Problem> {
        if self.rights.may_change(permission, projects) {
            return Ok(());
        }
        Err(lacks(
            permission,
            match projects {
                [] => " in every project: it concerns all sensors",
                _ => " in each project that it is for",
            },
        ))
    }

    /// As the cause of a change.
    pub(crate) fn cause(&self, reason: impl Into<String>) -> Cause {
        Cause {
            actor: actor(&self.user.name),
            reason: reason.into(),
            at: now(),
        }
    }

    /// Whether they logged in, rather than hold a token.
    pub(crate) fn logged_in(&self) -> bool {
        self.token.name == SESSION
    }
}

/// A user, as the audit log names them.
pub(super) fn actor(user: &str) -> String {
    // The store bounds actors as it bounds names.
    let mut actor = format!("user:{user}");
    while actor.len() > picket_store::limits::MAX_NAME {
        actor.pop();
    }
    actor
}

pub(crate) fn lacks(permission: Permission, place: &str) -> Problem {
    let wanted = permission.asks_for();
    Problem::new(Code::Forbidden, format!("this needs {wanted}{place}"))
}

impl FromRequestParts<App> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Who, Problem> {
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).ok_or_else(|| {
                Problem::new(
                    Code::Unauthenticated,
                    "write Authorization: Bearer and the token",
                )
            })?;
            return Who::of_secret(app, token).await;
        }
        let Some(secret) = session_cookie(&parts.headers) else {
            return Err(Problem::new(
                Code::Unauthenticated,
                "log in (POST /api/v1/session), or send an API token as Authorization: Bearer",
            ));
        };
        let changes = !matches!(parts.method, Method::GET | Method::HEAD);
        if changes && !parts.headers.contains_key(NO_FORGERY) {
            return Err(Problem::new(
                Code::Forbidden,
                format!("with a cookie, a change needs the header {NO_FORGERY}: 1"),
            ));
        }
        Who::of_secret(app, secret).await
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// The secret in the log-in's cookie.
pub(super) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}
