//! Filters of the lists of findings and issues that people keep.

use super::App;
use super::extract::{Json, Path};
use super::problem::{Code, Problem};
use super::projects::Names;
use super::values::{Time, id};
use super::who::Who;
use super::{findings, issues};
use crate::auth::{Permission, Scope};
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use picket_store::{Filtered, NewSavedFilter, SavedFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is of a page and not of a filter.
const NOT_KEPT: [&str; 3] = ["limit", "cursor", "include"];

/// A filter that somebody keeps.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FilterView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What it is for: `finding` or `issue`.
    kind: String,
    /// What its owner calls it.
    name: String,
    /// As it stands behind the `?` of the list: `severity=high&host=web-1`.
    query: String,
    /// Whether others see it.
    shared: bool,
    /// Whether it is yours.
    own: bool,
    /// When it was made.
    created_at: Time,
}

/// Filters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FilterList {
    /// By kind and name.
    items: Vec<FilterView>,
}

/// A filter to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFilter {
    /// What it is for: `finding` or `issue`.
    kind: String,
    /// What you call it; once for each kind.
    #[schema(max_length = 255)]
    name: String,
    /// As it stands behind the `?` of the list, without `limit`, `cursor` and `include`.
    #[schema(max_length = 8192)]
    query: String,
    /// Whether others see it. For this, you need the role responder in every project.
    #[serde(default)]
    shared: bool,
}

fn view(who: &Who, saved: SavedFilter) -> FilterView {
    let filter = saved.filter;
    FilterView {
        id: saved.id.to_string(),
        kind: filter.kind.name().to_owned(),
        name: filter.name,
        query: filter.query,
        shared: filter.shared,
        own: filter.owner == who.user.id,
        created_at: Time(saved.created_at),
    }
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let wrong = || Problem::invalid("query: it is not what can stand behind a `?`");
    let uri: Uri = format!("/?{query}").parse().map_err(|_| wrong())?;
    let Query(pairs) = Query::try_from_uri(&uri).map_err(|_| wrong())?;
    Ok(pairs)
}

/// Whether every project that it names is one that they may see: a name is told to nobody.
fn may_see(names: &Names, scope: &Scope, query: &str) -> bool {
    let named = pairs(query).unwrap_or_default().into_iter();
    named
        .filter(|(name, _)| name == "project")
        .all(|(_, project)| names.id(&project).is_some_and(|id| scope.covers(id)))
}

/// List the filters that you keep, and those that others share
#[utoipa::path(get, path = "/filters", tag = "filters", operation_id = "list_filters",
    responses((status = 200, body = FilterList), (status = 403, body = Problem)))]
pub(super) async fn list(State(app): State<App>, who: Who) -> Result<Json<FilterList>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let names = Names::read(&app).await?;
    let mut items = Vec::new();
    for saved in app.store.saved_filters(who.user.id).await? {
        let own = saved.filter.owner == who.user.id;
        if own || may_see(&names, &scope, &saved.filter.query) {
            items.push(view(&who, saved));
        }
    }
    Ok(Json(FilterList { items }))
}

/// Keep a filter
#[utoipa::path(post, path = "/filters", tag = "filters", operation_id = "create_filter", request_body = NewFilter,
    responses((status = 201, body = FilterView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Json(new): Json<NewFilter>,
) -> Result<(StatusCode, Json<FilterView>), Problem> {
    let scope = who.needs(Permission::Read)?;
    if new.shared {
        who.needs_everywhere(Permission::Respond)?;
    }
    let kind = Filtered::of_name(&new.kind);
    let kind = kind.ok_or_else(|| Problem::invalid("kind: it is finding or issue"))?;
    let asked = pairs(&new.query)?;
    if let Some((name, _)) = asked
        .iter()
        .find(|(name, _)| NOT_KEPT.contains(&name.as_str()))
    {
        let why = format!("query: {name} is of a page, and not kept");
        return Err(Problem::invalid(why));
    }
    // What is kept can be asked.
    match kind {
        Filtered::Finding => drop(findings::question(&app, &scope, asked).await?),
        Filtered::Issue => drop(issues::filter(&app, &scope, asked).await?),
    }
    let filter = NewSavedFilter {
        owner: who.user.id,
        kind,
        name: new.name,
        query: new.query,
        shared: new.shared,
    };
    let saved = app.store.save_filter(filter, &who.cause("")).await?;
    Ok((StatusCode::CREATED, Json(view(&who, saved))))
}

/// Keep a filter no longer
///
/// One that is shared, an administrator may take away too.
#[utoipa::path(delete, path = "/filters/{id}", tag = "filters", operation_id = "delete_filter",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    let scope = who.needs(Permission::Read)?;
    let saved = app.store.saved_filter(id("filter", &text)?).await?;
    if saved.filter.owner != who.user.id {
        let names = Names::read(&app).await?;
        let seen = saved.filter.shared && may_see(&names, &scope, &saved.filter.query);
        if !seen {
            return Err(Problem::new(
                Code::NotFound,
                format!("there is no filter {text}"),
            ));
        }
        who.needs_everywhere(Permission::Administer)?;
    }
    app.store
        .delete_saved_filter(saved.id, &who.cause(""))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
