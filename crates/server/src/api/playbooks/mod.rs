//! Playbooks as versioned resources. They concern every sensor's findings, so it takes
//! rights everywhere to see them and to work with them.

pub(super) mod runs;

use super::App;
use super::definitions::{self, StageName, all, check_name, etag, named};
use super::extract::{IfMatch, Json, Path, Query};
use super::problem::{Code, Problem};
use super::values::{Page, PageQuery, Time, cursor, id, now, page_size, part, parts};
use super::who::Who;
use crate::auth::Permission;
use crate::playbooks::{Playbook, Shown};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use picket_store::{Content, Definition, DefinitionFilter, Kind, Stage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A playbook.
#[derive(Serialize, ToSchema)]
pub(super) struct PlaybookView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its name.
    name: String,
    /// For `If-Match`, as in the ETag.
    version: i64,
    /// `draft`: it does not run; `simulate`: each run is a dry run; `block`: it runs.
    stage: StageName,
    /// What it is.
    playbook: Playbook,
    /// Who made this version.
    changed_by: String,
    /// Why.
    reason: String,
    /// When.
    changed_at: Time,
}

/// A playbook to be made. It begins as a draft.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPlaybook {
    /// Its name: lower case letters, digits and `.-_`.
    name: String,
    /// What it is.
    playbook: Playbook,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// The next version of one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePlaybook {
    /// The whole of it.
    playbook: Playbook,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// How far a playbook may go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaybookStage {
    /// Where to.
    stage: StageName,
    /// Why. To let it run takes a reason.
    #[serde(default)]
    reason: String,
}

/// What a playbook is tried on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRun {
    /// An issue.
    #[schema(format = "uuid")]
    issue: Option<String>,
    /// A finding.
    #[schema(format = "uuid")]
    finding: Option<String>,
}

/// What it would do.
#[derive(Serialize, ToSchema)]
pub(super) struct DryRunView {
    /// Its steps, in order, as each would be if all before it were done.
    steps: Vec<Shown>,
}

fn view(one: Definition) -> Result<PlaybookView, Problem> {
    Ok(PlaybookView {
        id: one.id.to_string(),
        name: one.name,
        version: one.version,
        stage: one.content.stage.into(),
        // The API alone writes them.
        playbook: Playbook::parse(&one.content.body).map_err(Problem::internal)?,
        changed_by: one.actor,
        reason: one.reason,
        changed_at: Time(one.changed_at),
    })
}

fn shown(one: Definition) -> Result<Response, Problem> {
    Ok((etag(&one).headers(), Json(view(one)?)).into_response())
}

async fn content(app: &App, playbook: &Playbook, stage: Stage) -> Result<Content, Problem> {
    playbook
        .check()
        .map_err(|why| Problem::invalid(format!("playbook.{why}")))?;
    let projects = all(app, Some(Kind::Project)).await?;
    for name in &playbook.trigger.projects {
        if !projects.iter().any(|project| project.name == *name) {
            let why = format!("playbook.trigger.projects: there is no project {name:?}");
            return Err(Problem::invalid(why));
        }
    }
    Ok(Content {
        stage,
        body: playbook.to_body(),
        projects: Vec::new(),
    })
}

/// One that acts on hosts is let do so by those who arm.
fn may_run(who: &Who, playbook: &Playbook) -> Result<(), Problem> {
    if playbook.acts_on_hosts() {
        who.needs_everywhere(Permission::Arm)?;
    }
    Ok(())
}

/// List them, by name
#[utoipa::path(get, path = "/playbooks", tag = "playbooks", operation_id = "list_playbooks", params(PageQuery),
    responses((status = 200, body = Page<PlaybookView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PlaybookView>>, Problem> {
    who.needs_everywhere(Permission::Read)?;
    let after = match &page.cursor {
        None => None,
        Some(cursor) => {
            let [name, id] = parts::<2>(cursor)?;
            Some((name, part(&id)?))
        }
    };
    let filter = DefinitionFilter {
        kind: Some(Kind::Playbook),
        ..DefinitionFilter::default()
    };
    let size = page_size(page.limit)?;
    let found = app.store.definitions(&filter, after, size).await?;
    Ok(Json(Page {
        items: found
            .items
            .into_iter()
            .map(view)
            .collect::<Result<_, _>>()?,
        next: found
            .next
            .map(|(name, id)| cursor(&[&name, &id.to_string()])),
    }))
}

/// Make one
#[utoipa::path(post, path = "/playbooks", tag = "playbooks", operation_id = "create_playbook", request_body = NewPlaybook,
    responses((status = 201, body = PlaybookView), (status = 403, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Json(new): Json<NewPlaybook>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Write)?;
    check_name(&new.name)?;
    let content = content(&app, &new.playbook, Stage::Draft).await?;
    let cause = who.cause(new.reason);
    let made = app
        .store
        .define(Kind::Playbook, &new.name, content, &cause)
        .await?;
    Ok((StatusCode::CREATED, shown(made)?).into_response())
}

/// Show one
#[utoipa::path(get, path = "/playbooks/{name}", tag = "playbooks", operation_id = "get_playbook",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = PlaybookView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Read)?;
    shown(named(&app, Kind::Playbook, &name).await?)
}

/// Write its next version
///
/// One that runs goes on at its new version; what acts on hosts takes the role `armer` too.
#[utoipa::path(put, path = "/playbooks/{name}", tag = "playbooks", operation_id = "change_playbook",
    params(("name" = String, Path, description = "Its name"), ("If-Match" = String, Header, description = "The ETag of what was read")),
    request_body = ChangePlaybook,
    responses((status = 200, body = PlaybookView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    IfMatch(read): IfMatch,
    Json(change): Json<ChangePlaybook>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Write)?;
    let found = named(&app, Kind::Playbook, &name).await?;
    let expected = read.expect(found.id)?;
    if found.content.stage == Stage::Block {
        may_run(&who, &change.playbook)?;
    }
    let content = content(&app, &change.playbook, found.content.stage).await?;
    let cause = who.cause(change.reason);
    let next = app
        .store
        .redefine(found.id, expected, content, &cause)
        .await?;
    // From the answer on it holds for what is digested here.
    app.playbooks.read_book().await?;
    shown(next)
}

/// Delete it
///
/// Runs that are under way end.
#[utoipa::path(delete, path = "/playbooks/{name}", tag = "playbooks", operation_id = "delete_playbook",
    params(("name" = String, Path, description = "Its name"), definitions::DeleteQuery,
        ("If-Match" = String, Header, description = "The ETag of what was read")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(query): Query<definitions::DeleteQuery>,
    IfMatch(read): IfMatch,
) -> Result<StatusCode, Problem> {
    who.needs_everywhere(Permission::Write)?;
    let found = named(&app, Kind::Playbook, &name).await?;
    let expected = read.expect(found.id)?;
    let cause = who.cause(query.reason);
    app.store.undefine(found.id, expected, &cause).await?;
    app.playbooks.read_book().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List its versions, the newest first
#[utoipa::path(get, path = "/playbooks/{name}/versions", tag = "playbooks", operation_id = "list_playbook_versions",
    params(("name" = String, Path, description = "Its name"), PageQuery),
    responses((status = 200, body = Page<definitions::VersionView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn versions(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<definitions::VersionView>>, Problem> {
    who.needs_everywhere(Permission::Read)?;
    let found = named(&app, Kind::Playbook, &name).await?;
    definitions::version_page(&app, found.id, &page, |_| true)
        .await
        .map(Json)
}

/// Switch it: draft (off), simulate (each run is a dry run), block (for real)
///
/// To let one that acts on hosts run takes the role `armer`; to calm it down, any right to
/// change something.
#[utoipa::path(post, path = "/playbooks/{name}/stage", tag = "playbooks", operation_id = "set_playbook_stage",
    params(("name" = String, Path, description = "Its name"), ("If-Match" = String, Header, description = "The ETag of what was read")),
    request_body = PlaybookStage,
    responses((status = 200, body = PlaybookView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem),
        (status = 428, body = Problem)))]
pub(super) async fn set_stage(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    IfMatch(read): IfMatch,
    Json(change): Json<PlaybookStage>,
) -> Result<Response, Problem> {
    let to = Stage::from(change.stage);
    let calmer = [Permission::Write, Permission::Arm, Permission::Respond];
    if !calmer.iter().any(|right| who.rights.everywhere(*right)) {
        who.needs_everywhere(Permission::Write)?;
    }
    let found = named(&app, Kind::Playbook, &name).await?;
    let expected = read.expect(found.id)?;
    let playbook = Playbook::parse(&found.content.body).map_err(Problem::internal)?;
    if to > found.content.stage {
        let acts = playbook.acts_on_hosts() && to == Stage::Block;
        let right = if acts {
            Permission::Arm
        } else {
            Permission::Write
        };
        who.needs_everywhere(right)?;
        if to == Stage::Block && change.reason.trim().is_empty() {
            return Err(Problem::invalid("reason: say why it may run from now on"));
        }
    }
    let content = Content {
        stage: to,
        ..found.content.clone()
    };
    let cause = who.cause(change.reason);
    let next = app
        .store
        .redefine(found.id, expected, content, &cause)
        .await?;
    // From the answer on it holds for what is digested here.
    app.playbooks.read_book().await?;
    shown(next)
}

/// Show what it would do about an issue or a finding; nothing is done
#[utoipa::path(post, path = "/playbooks/{name}/dry-run", tag = "playbooks", operation_id = "dry_run_playbook",
    params(("name" = String, Path, description = "Its name")), request_body = DryRun,
    responses((status = 200, body = DryRunView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn dry_run(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Json(on): Json<DryRun>,
) -> Result<Json<DryRunView>, Problem> {
    who.needs_everywhere(Permission::Read)?;
    let found = named(&app, Kind::Playbook, &name).await?;
    let playbook = Playbook::parse(&found.content.body).map_err(Problem::internal)?;
    let issue = on
        .issue
        .as_deref()
        .map(|text| id("issue", text))
        .transpose()?;
    let finding = on
        .finding
        .as_deref()
        .map(|text| id("finding", text))
        .transpose()?;
    if issue.is_none() && finding.is_none() {
        let why = "issue, finding: say which of them it is tried on";
        return Err(Problem::new(Code::Invalid, why));
    }
    if let Some(issue) = issue {
        app.store.issue(issue).await?;
    }
    if let Some(finding) = finding {
        app.store.finding(finding).await?;
    }
    let steps = app
        .playbooks
        .dry_run(&name, &playbook, (issue, finding), now())
        .await?;
    Ok(Json(DryRunView { steps }))
}
