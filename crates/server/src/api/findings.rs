//! Findings: by any mix of filters, newest first.

use super::App;
use super::extract::{Json, Pairs, Path};
use super::problem::{Code, Problem};
use super::projects::{Names, project_id};
use super::search::Search;
use super::values::{Page, Time, cursor, id, page_size, part, parts};
use super::who::Who;
use crate::auth::{Permission, Scope};
use axum::extract::State;
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{FindingCursor, FindingFilter, FindingRow, Uuid};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// A finding.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FindingView {
    /// The server's id for it.
    #[schema(format = "uuid")]
    id: String,
    /// The sensor's id for it: `finding_info.uid`.
    uid: String,
    /// The sensor that delivered it.
    #[schema(format = "uuid")]
    sensor: String,
    /// When it happened, by the sensor's clock.
    time: Time,
    /// When it was stored.
    received_at: Time,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    severity: String,
    /// `blocked` or `logged`.
    disposition: String,
    /// The rule that matched.
    rule: String,
    /// The host's name.
    host: String,
    /// The container's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    /// The container's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// Who acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// What acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    /// What the same thing happening again has too.
    fingerprint: String,
    /// By which recipe.
    fingerprint_version: i64,
    /// The projects it is in; with one finding only.
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<Vec<String>>,
    /// The whole of it, an OCSF Detection Finding; if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    ocsf: Option<Value>,
}

/// Which findings. A filter that comes again is an alternative: `severity=high&severity=critical`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and words are for the description")]
pub(super) struct FindingsQuery {
    /// From this time on.
    #[param(required = false)]
    from: Option<Time>,
    /// Before this time.
    #[param(required = false)]
    until: Option<Time>,
    /// How bad.
    #[param(required = false)]
    severity: Vec<String>,
    /// What was done: `blocked` or `logged`.
    #[param(required = false)]
    disposition: Vec<String>,
    /// Rules.
    #[param(required = false)]
    rule: Vec<String>,
    /// Projects.
    #[param(required = false)]
    project: Vec<String>,
    /// Host names.
    #[param(required = false)]
    host: Vec<String>,
    /// Container ids.
    #[param(required = false)]
    container: Vec<String>,
    /// Container images.
    #[param(required = false)]
    image: Vec<String>,
    /// Users.
    #[param(required = false)]
    user: Vec<String>,
    /// Processes, by path.
    #[param(required = false)]
    process: Vec<String>,
    /// Fingerprints.
    #[param(required = false)]
    fingerprint: Vec<String>,
    /// A condition of the rule language on the event, such as `process.cmd_line contains "curl"`.
    #[param(required = false, max_length = 4096)]
    r#where: Option<String>,
    /// `ocsf`: with the whole of each.
    #[param(required = false)]
    include: Option<String>,
    /// How many at most; 100 if left out.
    #[param(required = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(required = false)]
    cursor: Option<String>,
}

/// A question for findings, read.
pub(super) struct Question {
    pub(super) filter: FindingFilter,
    pub(super) with_ocsf: bool,
    /// What their events must be like.
    pub(super) search: Option<Search>,
    limit: Option<u32>,
    before: Option<FindingCursor>,
}

/// Reads a question of one who may see so much.
pub(super) async fn question(
    app: &App,
    scope: &Scope,
    pairs: Vec<(String, String)>,
) -> Result<Question, Problem> {
    let mut asked = Question {
        filter: FindingFilter::default(),
        with_ocsf: false,
        search: None,
        limit: None,
        before: None,
    };
    let filter = &mut asked.filter;
    let mut projects = Vec::new();
    for (name, value) in pairs {
        let bad = |why: &str| Problem::new(Code::BadRequest, format!("{name}: {why}"));
        let time = |value: &str| value.parse::<Time>().map_err(|why| bad(&why));
        match name.as_str() {
            "from" => filter.from = Some(time(&value)?.0),
            "until" => filter.until = Some(time(&value)?.0),
            "severity" => filter.severities.push(
                Severity::from_name(&value)
                    .ok_or_else(|| bad("informational, low, medium, high or critical"))?,
            ),
            "disposition" => filter.dispositions.push(match value.as_str() {
                "blocked" => Disposition::Blocked,
                "logged" => Disposition::Logged,
                _ => return Err(bad("blocked or logged")),
            }),
            "rule" => filter.rules.push(value),
            "project" => {
                let project = project_id(app, &value).await?;
                if !scope.covers(project) {
                    return Err(Problem::not_found("project", &value));
                }
                projects.push(project);
            }
            "host" => filter.hosts.push(value),
            "container" => filter.containers.push(value),
            "image" => filter.images.push(value),
            "user" => filter.users.push(value),
            "process" => filter.processes.push(value),
            "fingerprint" => filter.fingerprints.push(value),
            "where" if asked.search.is_some() => return Err(bad("once: join conditions by and")),
            "where" => asked.search = Some(Search::parse(value).await?),
            "include" if value == "ocsf" => asked.with_ocsf = true,
            "include" => return Err(bad("ocsf")),
            "limit" => asked.limit = Some(value.parse().map_err(|_| bad("a number"))?),
            "cursor" => {
                let [time, id] = parts::<2>(&value)?;
                asked.before = Some(FindingCursor {
                    time: part(&time)?,
                    id: part(&id)?,
                });
            }
            _ => return Err(bad("there is no such filter")),
        }
    }
    asked.filter.projects = if projects.is_empty() {
        scope.clone().projects()
    } else {
        Some(projects)
    };
    Ok(asked)
}

pub(super) fn view(row: FindingRow, ocsf: Option<Value>) -> FindingView {
    let columns = row.columns;
    FindingView {
        id: row.id.to_string(),
        uid: row.uid,
        sensor: row.sensor.to_string(),
        time: Time(columns.time),
        received_at: Time(row.received_at),
        severity: columns.severity.name().to_owned(),
        disposition: columns.disposition.name().to_lowercase(),
        rule: columns.rule,
        host: columns.host,
        container: columns.container,
        image: columns.image,
        user: columns.user,
        process: columns.process,
        fingerprint: columns.fingerprint.value,
        fingerprint_version: columns.fingerprint.version,
        projects: None,
        ocsf,
    }
}

/// The whole of each, by their ids. One that was deleted just now is left out.
pub(super) async fn bodies(
    app: &App,
    rows: &[FindingRow],
) -> Result<HashMap<Uuid, Value>, Problem> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    Ok(app.store.findings_ocsf(&ids).await?.into_iter().collect())
}

/// Rows as they are shown, with the whole of each if it is asked for.
pub(super) async fn views(
    app: &App,
    rows: Vec<FindingRow>,
    with_ocsf: bool,
) -> Result<Vec<FindingView>, Problem> {
    let mut whole = match with_ocsf {
        true => bodies(app, &rows).await?,
        false => HashMap::new(),
    };
    Ok(rows
        .into_iter()
        .map(|row| {
            let ocsf = whole.remove(&row.id);
            view(row, ocsf)
        })
        .collect())
}

/// List findings, the newest first
///
/// What arrives meanwhile is on no later page. With `where`, so many findings are looked at
/// for a page and no more: it may be short, or empty, and still have a `next`.
#[utoipa::path(get, path = "/findings", tag = "findings", operation_id = "list_findings", params(FindingsQuery),
    responses((status = 200, body = Page<FindingView>), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Pairs(pairs): Pairs,
) -> Result<Json<Page<FindingView>>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let asked = question(&app, &scope, pairs).await?;
    page(&app, asked).await
}

/// The page that is asked for.
pub(super) async fn page(app: &App, asked: Question) -> Result<Json<Page<FindingView>>, Problem> {
    let size = page_size(asked.limit)?;
    let found = match asked.search {
        Some(search) => search.page(app, &asked.filter, asked.before, size).await?,
        None => {
            app.store
                .findings(&asked.filter, asked.before, size)
                .await?
        }
    };
    Ok(Json(Page {
        items: views(app, found.items, asked.with_ocsf).await?,
        next: found
            .next
            .map(|last| cursor(&[&last.time.to_string(), &last.id.to_string()])),
    }))
}

/// A finding that they may see, with its projects; another is not there.
pub(super) async fn seen(
    app: &App,
    scope: &Scope,
    text: &str,
) -> Result<(FindingRow, Vec<Uuid>), Problem> {
    let id = id("finding", text)?;
    let row = app.store.finding(id).await?;
    let projects = app.store.finding_projects(id).await?;
    if *scope != Scope::All && !projects.iter().any(|project| scope.covers(*project)) {
        return Err(Problem::not_found("finding", text));
    }
    Ok((row, projects))
}

/// Show a finding, with the whole of it
#[utoipa::path(get, path = "/findings/{id}", tag = "findings", operation_id = "get_finding",
    params(("id" = String, Path, description = "The server's id for it")),
    responses((status = 200, body = FindingView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<Json<FindingView>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let (row, projects) = seen(&app, &scope, &text).await?;
    let names = Names::read(&app).await?;
    let mut ocsf = app.store.findings_ocsf(&[row.id]).await?;
    let mut view = view(row, ocsf.pop().map(|(_, ocsf)| ocsf));
    let shown = projects
        .into_iter()
        .filter(|project| scope.covers(*project));
    view.projects = Some(shown.map(|project| names.of(project)).collect());
    Ok(Json(view))
}
