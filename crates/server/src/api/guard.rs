//! What every request passes: how often, how long, and what is said of the answer.

use super::App;
use super::problem::{Code, Problem};
use super::router::body_limit;
use crate::http::Client;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Bytes of a body that is read before anything is asked.
const SMALL: u64 = 16 << 10;

/// What a browser is told about every answer. Nothing here is a page.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// Around every route.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let client = request.extensions().get::<Client>().copied();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let limited = client.map_or(Ok(()), |client| {
        app.requests.take(&one_client(client.address.ip()), began)
    });
    let announced = announced(&request);
    let is_http2 = request.version() == Version::HTTP_2;
    let mut response = match limited {
        // Before anything of it is read.
        Ok(()) if announced > body_limit(&route) as u64 => {
            let most = body_limit(&route);
            Problem::new(
                Code::TooLarge,
                format!("at most {most} bytes are taken here"),
            )
            .into_response()
        }
        Err(wait) => {
            app.metrics.refused.fetch_add(1, Ordering::Relaxed);
            Problem::new(Code::TooMany, "slow down, and try again later")
                .retry_after(wait)
                .into_response()
        }
        Ok(()) => match tokio::time::timeout(app.limits.request, answer(request, next)).await {
            Ok(response) => response,
            Err(_) => Problem::new(Code::Unavailable, "the request took too long").into_response(),
        },
    };
    let took = began.elapsed();
    let status = response.status();
    app.metrics.request(method, &route, status.as_u16(), took);
    // Neither query nor headers: they may hold secrets.
    tracing::debug!(
        method,
        route,
        status = status.as_u16(),
        client = client.map(|client| client.address.to_string()),
        milliseconds = took.as_millis() as u64,
        "request"
    );
    let headers = response.headers_mut();
    if announced > SMALL && status.as_u16() >= 400 && !is_http2 {
        // What is left of the body is not read: the connection is no good any more.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    // On a loopback address it would bind every other program's port too.
    if client.is_some_and(|client| client.encrypted && !client.address.ip().is_loopback()) {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// The methods that are known: others would be labels without end.
fn method(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// Reads a small body whole before it is asked for: whoever is refused without it being
/// read could not use the connection again, and would learn of that too late.
async fn answer(request: Request, next: Next) -> Response {
    if !(1..=SMALL).contains(&announced(&request)) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match axum::body::to_bytes(body, SMALL as usize).await {
        Ok(bytes) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Err(_) => Problem::new(Code::BadRequest, "the body broke off").into_response(),
    }
}

/// How long the body says that it is; of one that does not say, more than is small.
fn announced(request: &Request) -> u64 {
    let headers = request.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return SMALL + 1;
    }
    let length = headers.get(header::CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// Whoever has one address of IPv6 has all of its network.
pub(super) fn one_client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address => address.to_canonical(),
    }
}
