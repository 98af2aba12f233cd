//! Signed bundles.

use super::App;
use super::extract::{Json, Path, Query};
use super::problem::{Code, Problem};
use super::projects::Names;
use super::values::{Page, Time, cursor, page_size, single};
use super::who::Who;
use crate::auth::{Permission, Scope};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use picket_store::{Bundle, Uuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A bundle.
#[derive(Serialize, ToSchema)]
pub(super) struct BundleView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Whom it is for.
    scope: String,
    /// Its version, which goes up only.
    version: i64,
    /// The key that signed it.
    key_id: String,
    /// Who published it.
    published_by: String,
    /// Why.
    reason: String,
    /// When.
    created_at: Time,
    /// Until when it is meant to be used. What is in force then stays so.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

/// Whose bundles.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BundlesQuery {
    /// Whom they are for.
    scope: String,
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

fn view(bundle: Bundle) -> BundleView {
    BundleView {
        id: bundle.id.to_string(),
        scope: bundle.scope,
        version: bundle.version,
        key_id: bundle.key_id,
        published_by: bundle.actor,
        reason: bundle.reason,
        created_at: Time(bundle.created_at),
        expires_at: bundle.expires_at.map(Time),
    }
}

/// The scope of sensors that are in no project.
const NOWHERE: &str = "fleet:";

/// The projects that a scope is made of: their names, joined by `+`. None: it cannot
/// be told, and is only for those who see everything.
async fn projects_of_scope(app: &App, scope: &str) -> Result<Option<Vec<Uuid>>, Problem> {
    if scope == NOWHERE {
        return Ok(Some(Vec::new()));
    }
    let names = Names::read(app).await?;
    Ok(scope.split('+').map(|name| names.id(name)).collect())
}

/// Refuses one who may not see a scope: a bundle holds the rules of all its projects.
pub(super) async fn may_see(app: &App, who: &Who, scope: &str) -> Result<(), Problem> {
    let readable = who.needs(Permission::Read)?;
    let seen = match projects_of_scope(app, scope).await? {
        Some(projects) => projects.iter().all(|project| readable.covers(*project)),
        None => readable == Scope::All,
    };
    if seen {
        Ok(())
    } else {
        Err(Problem::not_found("scope", scope))
    }
}

/// Refuses one who may not do this to a scope.
pub(super) async fn needs_in_scope(
    app: &App,
    who: &Who,
    right: Permission,
    scope: &str,
) -> Result<(), Problem> {
    match projects_of_scope(app, scope).await? {
        Some(projects) => who.needs_in(right, &projects),
        None => who.needs_everywhere(right),
    }
}

/// List a scope's bundles, the newest first
#[utoipa::path(get, path = "/bundles", tag = "bundles", operation_id = "list_bundles", params(BundlesQuery),
    responses((status = 200, body = Page<BundleView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(query): Query<BundlesQuery>,
) -> Result<Json<Page<BundleView>>, Problem> {
    may_see(&app, &who, &query.scope).await?;
    let before = single::<i64>(query.cursor.as_deref())?;
    let found = app
        .store
        .bundles(&query.scope, before, page_size(query.limit)?)
        .await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(view).collect(),
        next: found.next.map(|version| cursor(&[&version.to_string()])),
    }))
}

async fn seen(app: &App, who: &Who, scope: &str, version: &str) -> Result<Bundle, Problem> {
    may_see(app, who, scope).await?;
    let version = version
        .parse()
        .map_err(|_| Problem::new(Code::NotFound, format!("there is no version {version}")))?;
    Ok(app.store.bundle(scope, version).await?)
}

/// Show a bundle
#[utoipa::path(get, path = "/bundles/{scope}/{version}", tag = "bundles", operation_id = "get_bundle",
    params(("scope" = String, Path, description = "Whom it is for"), ("version" = i64, Path, description = "Its version")),
    responses((status = 200, body = BundleView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path((scope, version)): Path<(String, String)>,
) -> Result<Json<BundleView>, Problem> {
    Ok(Json(view(seen(&app, &who, &scope, &version).await?)))
}

/// Get a bundle's signed bytes
#[utoipa::path(get, path = "/bundles/{scope}/{version}/signed", tag = "bundles", operation_id = "get_signed_bundle",
    params(("scope" = String, Path, description = "Whom it is for"), ("version" = i64, Path, description = "Its version")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn signed(
    State(app): State<App>,
    who: Who,
    Path((scope, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let bundle = seen(&app, &who, &scope, &version).await?;
    let bytes = app.store.bundle_bytes(bundle.id).await?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, bytes).into_response())
}
