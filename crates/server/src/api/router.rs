//! Every route, and the description made of them.

use super::{
    App, apply, audit, bundles, definitions, evidence, exceptions, export, filters, findings,
    graph, guard, host_actions, issue_notes, issue_stream, issues, join_tokens, live, me, oidc,
    ops, playbooks, problem, projects, rollouts, sensors, session, tokens, users, workbench,
};
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router, middleware};
use problem::{Code, Problem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Bytes of a request's body, at most: a definition with its JSON escapes.
const BODY: usize = 3 << 20;
/// Bytes of a body of `apply`, at most: a whole folder.
const FOLDER: usize = 64 << 20;
/// Where that is.
const APPLY: &str = "/api/v1/apply";

/// The most that a route takes.
pub(super) fn body_limit(route: &str) -> usize {
    if route == APPLY { FOLDER } else { BODY }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Picket",
        description = "The control plane's API. Every error is an `application/problem+json` (RFC 9457). \
            Changes of what has an ETag need it as `If-Match`. With a log-in's cookie, changes need the header \
            `X-Picket-Request: 1`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(),
    ),
    security(("token" = []), ("session" = [])),
)]
struct Description;

fn v1() -> OpenApiRouter<App> {
    use definitions::{lists, policies, policy_stage, rule_stage, rules};
    OpenApiRouter::new()
        .routes(routes!(session::log_in, session::log_out))
        .routes(routes!(oidc::begin))
        .routes(routes!(oidc::finish))
        .routes(routes!(me::me))
        .routes(routes!(me::change_password))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::change))
        .routes(routes!(users::grants, users::grant, users::revoke_grant))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::get, projects::change, projects::delete))
        .routes(routes!(projects::versions))
        .routes(routes!(projects::preview))
        .routes(routes!(rules::list, rules::create))
        .routes(routes!(rules::get, rules::change, rules::delete))
        .routes(routes!(rules::versions))
        .routes(routes!(rules::diff))
        .routes(routes!(rule_stage::set_stage))
        .routes(routes!(evidence::of_rule))
        .routes(routes!(sensors::of_rule))
        .routes(routes!(exceptions::noisy::list))
        .routes(routes!(exceptions::list))
        .routes(routes!(exceptions::create))
        .routes(routes!(exceptions::preview::preview))
        .routes(routes!(
            exceptions::get,
            exceptions::change,
            exceptions::delete
        ))
        .routes(routes!(exceptions::propose::of_finding))
        .routes(routes!(exceptions::propose::of_issue))
        .routes(routes!(policies::list, policies::create))
        .routes(routes!(policies::get, policies::change, policies::delete))
        .routes(routes!(policies::versions))
        .routes(routes!(policies::diff))
        .routes(routes!(policy_stage::set_stage))
        .routes(routes!(evidence::of_policy))
        .routes(routes!(evidence::get))
        .routes(routes!(lists::list, lists::create))
        .routes(routes!(lists::get, lists::change, lists::delete))
        .routes(routes!(lists::versions))
        .routes(routes!(lists::diff))
        .routes(routes!(apply::export))
        .routes(routes!(sensors::list))
        .routes(routes!(sensors::get))
        .routes(routes!(sensors::label))
        .routes(routes!(sensors::revoke))
        .routes(routes!(sensors::rules))
        .routes(routes!(host_actions::of_sensor, host_actions::order))
        .routes(routes!(host_actions::list))
        .routes(routes!(host_actions::get))
        .routes(routes!(host_actions::undo))
        .routes(routes!(join_tokens::list, join_tokens::create))
        .routes(routes!(join_tokens::revoke))
        .routes(routes!(bundles::list))
        .routes(routes!(bundles::get))
        .routes(routes!(bundles::signed))
        .routes(routes!(rollouts::list))
        .routes(routes!(rollouts::get))
        .routes(routes!(rollouts::halt))
        .routes(routes!(rollouts::resume))
        .routes(routes!(rollouts::roll_back))
        .routes(routes!(findings::list))
        .routes(routes!(export::findings::export))
        .routes(routes!(live::stream))
        .routes(routes!(findings::get))
        .routes(routes!(workbench::explain::of_finding))
        .routes(routes!(workbench::check::check))
        .routes(routes!(workbench::trial::try_it))
        .routes(routes!(workbench::language::language))
        .routes(routes!(filters::list, filters::create))
        .routes(routes!(filters::delete))
        .routes(routes!(issues::list))
        .routes(routes!(export::issues::export))
        .routes(routes!(issue_stream::stream))
        .routes(routes!(issues::get, issues::change))
        .routes(routes!(issues::findings))
        .routes(routes!(issue_notes::list, issue_notes::add))
        .routes(routes!(graph::search))
        .routes(routes!(graph::get))
        .routes(routes!(graph::neighbours))
        .routes(routes!(graph::radius))
        .routes(routes!(graph::path))
        .routes(routes!(playbooks::list, playbooks::create))
        .routes(routes!(
            playbooks::get,
            playbooks::change,
            playbooks::delete
        ))
        .routes(routes!(playbooks::versions))
        .routes(routes!(playbooks::set_stage))
        .routes(routes!(playbooks::dry_run))
        .routes(routes!(playbooks::runs::list))
        .routes(routes!(playbooks::runs::get))
        .routes(routes!(playbooks::runs::approve))
        .routes(routes!(playbooks::runs::reject))
        .routes(routes!(playbooks::runs::cancel))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .layer(DefaultBodyLimit::max(body_limit("")))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(apply::apply))
                .layer(DefaultBodyLimit::max(body_limit(APPLY))),
        )
}

fn whole() -> OpenApiRouter<App> {
    let mut description = Description::openapi();
    // The API's version, not the program's: it changes with the path.
    description.info.version = "1".to_owned();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    );
    let cookie = ApiKey::Cookie(ApiKeyValue::new(super::who::COOKIE));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    OpenApiRouter::with_openapi(description)
        .nest("/api/v1", v1())
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
        .routes(routes!(ops::metrics))
}

/// The API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut description = whole().into_openapi();
    describe_problems(&mut description);
    description
}

/// Any operation may be refused, and every refusal is a problem, by its own media type.
fn describe_problems(description: &mut utoipa::openapi::OpenApi) {
    let refused = || {
        let schema = Ref::from_schema_name(Problem::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        ResponseBuilder::new()
            .description("Refused, and why")
            .content(problem::MEDIA_TYPE, content)
            .build()
    };
    for (path, item) in &mut description.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            for (status, response) in responses.iter_mut() {
                if let RefOr::T(response) = response
                    && status.starts_with(['4', '5'])
                    && let Some(content) = response.content.shift_remove("application/json")
                {
                    response
                        .content
                        .insert(problem::MEDIA_TYPE.to_owned(), content);
                }
            }
            if path.starts_with("/api/") {
                responses.insert("default".to_owned(), RefOr::T(refused()));
            }
        }
    }
}

/// The API.
pub fn router(app: App) -> Router {
    let (routes, mut description) = whole().split_for_parts();
    describe_problems(&mut description);
    let guarded = middleware::from_fn_with_state(app.clone(), guard::guard);
    routes
        .route("/api/v1/openapi.json", get(async || Json(description)))
        .fallback(async || Problem::new(Code::NotFound, "there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "another method may be allowed here")
        })
        .layer(guarded)
        .with_state(app)
}

/// What the listener for operations serves.
pub fn ops_router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::open_metrics))
        .fallback(async || Problem::new(Code::NotFound, "there is nothing at this address"))
        .with_state(app)
}
