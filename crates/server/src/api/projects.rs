//! Projects: selectors over sensors.

use super::App;
use super::definitions::{self, all, etag, named};
use super::extract::{IfMatch, Json, Path, Query};
use super::problem::{Code, Problem};
use super::sensors::SensorView;
use super::values::{Page, PageQuery, Time, cursor, most, page_size, part, parts};
use super::who::Who;
use crate::auth::{Permission, Scope};
use crate::intake::ProjectBook;
use crate::projects::Selector;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use picket_store::{Content, Definition, DefinitionFilter, Kind, SensorFilter, Stage, Uuid};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// Sensors that a preview shows, at most; it counts them all.
const SHOWN: usize = 100;

/// A project.
#[derive(Serialize, ToSchema)]
pub(super) struct ProjectView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its name, as it stands under `projects` in rules.
    name: String,
    /// For `If-Match`, as in the ETag.
    version: i64,
    /// What it holds.
    selector: Selector,
    /// Who made this version.
    changed_by: String,
    /// Why.
    reason: String,
    /// When.
    changed_at: Time,
}

/// A project to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProject {
    /// Its name: lower case letters, digits and `.-_`.
    name: String,
    /// What it holds.
    selector: Selector,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A change of a project.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeProject {
    /// What it holds.
    selector: Selector,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A selector to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewRequest {
    /// It.
    selector: Selector,
}

/// What a selector holds now.
#[derive(Serialize, ToSchema)]
pub(super) struct Preview {
    /// How many sensors it holds, of those that are not revoked.
    held: usize,
    /// Out of how many.
    of: usize,
    /// The first 100 that it holds.
    sensors: Vec<SensorView>,
}

/// Names and ids of projects.
pub(super) struct Names {
    by_id: HashMap<Uuid, String>,
}

impl Names {
    pub(super) async fn read(app: &App) -> Result<Names, Problem> {
        let projects = all(app, Some(Kind::Project)).await?;
        Ok(Names {
            by_id: projects
                .into_iter()
                .map(|project| (project.id, project.name))
                .collect(),
        })
    }

    /// A project's name; its id if it was deleted.
    pub(super) fn of(&self, id: Uuid) -> String {
        self.by_id
            .get(&id)
            .cloned()
            .unwrap_or_else(|| id.to_string())
    }

    pub(super) fn id(&self, name: &str) -> Option<Uuid> {
        let mut pairs = self.by_id.iter();
        pairs.find_map(|(id, known)| (known == name).then_some(*id))
    }
}

/// The id of a project of this name.
pub(super) async fn project_id(app: &App, name: &str) -> Result<Uuid, Problem> {
    Ok(named(app, Kind::Project, name).await?.id)
}

fn view(project: Definition) -> ProjectView {
    ProjectView {
        id: project.id.to_string(),
        name: project.name,
        version: project.version,
        // The API alone writes them.
        selector: Selector::parse(&project.content.body).unwrap_or_default(),
        changed_by: project.actor,
        reason: project.reason,
        changed_at: Time(project.changed_at),
    }
}

fn content(selector: &Selector) -> Result<Content, Problem> {
    selector
        .check()
        .map_err(|why| Problem::invalid(format!("selector: {why}")))?;
    Ok(Content {
        stage: Stage::Block,
        body: selector.to_body(),
        projects: Vec::new(),
    })
}

/// List the projects that you may see
#[utoipa::path(get, path = "/projects", tag = "projects", operation_id = "list_projects", params(PageQuery),
    responses((status = 200, body = Page<ProjectView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ProjectView>>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let after = match &page.cursor {
        None => None,
        Some(cursor) => {
            let [name, id] = parts::<2>(cursor)?;
            Some((name, part(&id)?))
        }
    };
    let filter = DefinitionFilter {
        kind: Some(Kind::Project),
        ..DefinitionFilter::default()
    };
    let found = app
        .store
        .definitions(&filter, after, page_size(page.limit)?)
        .await?;
    Ok(Json(Page {
        items: found
            .items
            .into_iter()
            .filter(|project| scope.covers(project.id))
            .map(view)
            .collect(),
        next: found
            .next
            .map(|(name, id)| cursor(&[&name, &id.to_string()])),
    }))
}

/// Make a project
#[utoipa::path(post, path = "/projects", tag = "projects", operation_id = "create_project", request_body = NewProject,
    responses((status = 201, body = ProjectView), (status = 403, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Json(new): Json<NewProject>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    definitions::check_name(&new.name)?;
    let content = content(&new.selector)?;
    let cause = who.cause(new.reason);
    let project = app
        .store
        .define(Kind::Project, &new.name, content, &cause)
        .await?;
    let headers = etag(&project).headers();
    Ok((StatusCode::CREATED, headers, Json(view(project))).into_response())
}

async fn seen(app: &App, who: &Who, name: &str) -> Result<Definition, Problem> {
    let scope = who.needs(Permission::Read)?;
    let project = named(app, Kind::Project, name).await?;
    if scope.covers(project.id) {
        Ok(project)
    } else {
        Err(Problem::not_found("project", name))
    }
}

/// Show a project
#[utoipa::path(get, path = "/projects/{name}", tag = "projects", operation_id = "get_project",
    params(("name" = String, Path, description = "The project's name")),
    responses((status = 200, body = ProjectView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let project = seen(&app, &who, &name).await?;
    Ok((etag(&project).headers(), Json(view(project))).into_response())
}

/// Change what a project holds
#[utoipa::path(put, path = "/projects/{name}", tag = "projects", operation_id = "change_project",
    params(("name" = String, Path, description = "The project's name"), ("If-Match" = String, Header, description = "The ETag of what was read")),
    request_body = ChangeProject,
    responses((status = 200, body = ProjectView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    IfMatch(read): IfMatch,
    Json(change): Json<ChangeProject>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let project = named(&app, Kind::Project, &name).await?;
    let expected = read.expect(project.id)?;
    let content = content(&change.selector)?;
    let cause = who.cause(change.reason);
    let project = app
        .store
        .redefine(project.id, expected, content, &cause)
        .await?;
    Ok((etag(&project).headers(), Json(view(project))).into_response())
}

/// Delete a project
///
/// Not while rules or policies are for it.
#[utoipa::path(delete, path = "/projects/{name}", tag = "projects", operation_id = "delete_project",
    params(("name" = String, Path, description = "The project's name"), definitions::DeleteQuery,
        ("If-Match" = String, Header, description = "The ETag of what was read")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(query): Query<definitions::DeleteQuery>,
    IfMatch(read): IfMatch,
) -> Result<StatusCode, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    // Nobody may begin to use it meanwhile.
    let _writing = app.writing.lock().await;
    let project = named(&app, Kind::Project, &name).await?;
    let expected = read.expect(project.id)?;
    let users: Vec<String> = all(&app, None)
        .await?
        .into_iter()
        .filter(|definition| definition.content.projects.contains(&project.id))
        .map(|definition| format!("{} {}", definition.kind.name(), definition.name))
        .take(5)
        .collect();
    if !users.is_empty() {
        let why = format!("it is used by {}", users.join(", "));
        return Err(Problem::new(Code::Conflict, why));
    }
    app.store
        .undefine(project.id, expected, &who.cause(query.reason))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a project's versions, the newest first
#[utoipa::path(get, path = "/projects/{name}/versions", tag = "projects", operation_id = "list_project_versions",
    params(("name" = String, Path, description = "The project's name"), PageQuery),
    responses((status = 200, body = Page<definitions::VersionView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn versions(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<definitions::VersionView>>, Problem> {
    let project = seen(&app, &who, &name).await?;
    definitions::version_page(&app, project.id, &page, |_| true)
        .await
        .map(Json)
}

/// Try a selector: which sensors does it hold?
#[utoipa::path(post, path = "/project-preview", tag = "projects", operation_id = "preview_project", request_body = PreviewRequest,
    responses((status = 200, body = Preview), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn preview(
    State(app): State<App>,
    who: Who,
    Json(request): Json<PreviewRequest>,
) -> Result<Json<Preview>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let selector = request.selector;
    selector
        .check()
        .map_err(|why| Problem::invalid(format!("selector: {why}")))?;
    let book = ProjectBook::read(&*app.store).await?;
    let (mut held, mut of, mut shown) = (0, 0, Vec::new());
    let filter = SensorFilter {
        revoked: Some(false),
        ..SensorFilter::default()
    };
    let mut before = None;
    loop {
        let page = app.store.sensors(&filter, before, most()?).await?;
        for sensor in page.items {
            let view = SensorView::of(sensor, &book);
            if scope != Scope::All && !view.is_in(&scope) {
                continue;
            }
            of += 1;
            if selector.holds(&view.host, &view.labels) {
                held += 1;
                if shown.len() < SHOWN {
                    shown.push(view);
                }
            }
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(Json(Preview {
        held,
        of,
        sensors: shown,
    }))
}
