//! Errors, as RFC 9457 has them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use picket_store::StoreError;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What kinds of errors there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BadRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    Stale,
    PreconditionRequired,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    TooMany,
    Internal,
    Unavailable,
}

impl Code {
    /// Status, the end of the type's URN, and the title.
    const fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Code::BadRequest => (
                StatusCode::BAD_REQUEST,
                "bad-request",
                "The request cannot be read",
            ),
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Log in first"),
            Code::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "You may not do this"),
            Code::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Code::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This cannot be done here",
            ),
            Code::Conflict => (
                StatusCode::CONFLICT,
                "conflict",
                "It stands in the way of something",
            ),
            Code::Stale => (
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "It was changed since it was read",
            ),
            Code::PreconditionRequired => (
                StatusCode::PRECONDITION_REQUIRED,
                "precondition-required",
                "Say which version is to be changed",
            ),
            Code::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Code::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The request is not JSON",
            ),
            Code::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "What was sent is wrong",
            ),
            Code::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests",
            ),
            Code::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed",
            ),
            Code::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The server cannot do this now",
            ),
        }
    }
}

/// Of a problem (RFC 9457, section 6.1).
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// An error.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of error it is: `urn:picket:problem:…`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind, in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What went wrong, and what to do about it.
    detail: String,
    /// What is wrong with rules, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<Diagnostic>,
    #[serde(skip)]
    retry: Option<Duration>,
}

/// One thing that is wrong with a rule, policy or list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Diagnostic {
    /// Stable code, such as `PK0301`.
    pub(crate) code: String,
    /// `error`, `warning` or `note`.
    pub(crate) severity: String,
    /// What is wrong.
    pub(crate) message: String,
    /// In which text, such as `rules/web-shell.yaml`.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
    /// From 1, in characters.
    pub(crate) column: u32,
    /// Where it ends.
    pub(crate) end_line: u32,
    /// One past its last character.
    pub(crate) end_column: u32,
    /// A few words on the place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) label: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) help: Vec<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Problem {
        let (status, kind, title) = code.told();
        Problem {
            kind: format!("urn:picket:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            diagnostics: Vec::new(),
            retry: None,
        }
    }

    pub(crate) fn not_found(what: &str, name: &str) -> Problem {
        Problem::new(Code::NotFound, format!("there is no {what} {name}"))
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND.as_u16()
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(Code::Invalid, detail)
    }

    /// A fault of ours: told in the log, not to the client.
    pub(crate) fn internal(why: impl std::fmt::Display) -> Problem {
        tracing::error!(%why, "a request failed");
        Problem::new(Code::Internal, "the server's log says more")
    }

    pub(crate) fn with(mut self, diagnostics: Vec<Diagnostic>) -> Problem {
        self.diagnostics = diagnostics;
        self
    }

    pub(crate) fn retry_after(mut self, wait: Duration) -> Problem {
        self.retry = Some(wait);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let code = match &error {
            StoreError::NotFound { .. } => Code::NotFound,
            StoreError::Conflict { .. } => Code::Stale,
            StoreError::Exists { .. }
            | StoreError::Transition { .. }
            | StoreError::Dangling { .. } => Code::Conflict,
            StoreError::Invalid { .. } => Code::Invalid,
            StoreError::JoinRefused(_) => Code::Forbidden,
            StoreError::Closed => Code::Unavailable,
            _ => return Problem::internal(error),
        };
        Problem::new(code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(wait) = self.retry {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
