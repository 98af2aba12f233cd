//! Issues: what people work on.

use super::App;
use super::extract::{IfMatch, Json, Pairs, Path};
use super::findings::{self, FindingView, FindingsQuery};
use super::problem::{Code, Problem};
use super::projects::{Names, project_id};
use super::values::{ETag, Page, Time, cursor, id, now, page_size, part, parts};
use super::who::{Who, lacks};
use crate::auth::{Permission, Scope};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use picket_model::severity::Severity;
use picket_store::{
    ChangeIssue, Issue, IssueCursor, IssueFilter, IssueStatus, Rejection, StoreError, Uuid,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// An issue: all findings of one rule on one host, in one namespace and image.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IssueView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// For `If-Match`, as in the ETag. Findings that are counted do not change it.
    version: i64,
    /// `open`, `in_progress`, `resolved` or `rejected`.
    status: String,
    /// Why it was rejected: `false_positive`, `accepted_risk`, `duplicate` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<String>,
    /// What was said when the status was last changed.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// `informational`, `low`, `medium`, `high` or `critical`: the worst of its findings,
    /// unless somebody set it.
    severity: String,
    /// Whether somebody set the severity.
    severity_set: bool,
    /// The rule's title.
    title: String,
    /// The rule that matched.
    rule: String,
    /// The host's name.
    host: String,
    /// The Kubernetes namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// The container's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// The user who works on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<String>,
    /// What people sort it by.
    labels: Vec<String>,
    /// How many findings there were, those that are no longer kept too.
    count: i64,
    /// When the first one happened.
    first_seen: Time,
    /// When the last one happened.
    last_seen: Time,
    /// When it was opened, or last reopened.
    opened_at: Time,
    /// Until when it should be closed.
    due_at: Time,
    /// Whether it should have been closed by now, and is not.
    overdue: bool,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<Time>,
    /// How often it came back after it was resolved.
    reopened: i64,
    /// When its version last changed.
    changed_at: Time,
    /// What its findings have in common.
    fingerprint: String,
    /// By which recipe.
    fingerprint_version: i64,
    /// The projects that its findings were in, of those that you may see.
    projects: Vec<String>,
}

/// Which issues. A filter that comes again is an alternative: `status=open&status=in_progress`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and words are for the description")]
pub(super) struct IssuesQuery {
    /// Where the work stands.
    #[param(required = false)]
    status: Vec<String>,
    /// How bad.
    #[param(required = false)]
    severity: Vec<String>,
    /// Rules.
    #[param(required = false)]
    rule: Vec<String>,
    /// Host names.
    #[param(required = false)]
    host: Vec<String>,
    /// Projects.
    #[param(required = false)]
    project: Vec<String>,
    /// Kubernetes namespaces.
    #[param(required = false)]
    namespace: Vec<String>,
    /// Container images.
    #[param(required = false)]
    image: Vec<String>,
    /// Fingerprints.
    #[param(required = false)]
    fingerprint: Vec<String>,
    /// Users who work on it; an empty one alone: nobody does.
    #[param(required = false)]
    assignee: Vec<String>,
    /// Labels.
    #[param(required = false)]
    label: Vec<String>,
    /// `true`: those alone that should have been closed by now.
    #[param(required = false)]
    overdue: Option<bool>,
    /// Those alone whose title, rule or host holds this text.
    #[param(required = false)]
    text: Option<String>,
    /// How many at most; 100 if left out.
    #[param(required = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(required = false)]
    cursor: Option<String>,
}

/// A change of an issue. What is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChangeRequest {
    /// `open`, `in_progress`, `resolved` or `rejected`.
    status: Option<String>,
    /// Why it is rejected: `false_positive`, `accepted_risk`, `duplicate` or `other`.
    rejection: Option<String>,
    /// Who works on it; null: nobody.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    assignee: Option<Option<String>>,
    /// How bad it is, whatever its findings say from now on. It is due accordingly,
    /// unless `due_at` says otherwise.
    severity: Option<String>,
    /// Until when it should be closed.
    due_at: Option<Time>,
    /// All labels that it is to have: 1 to 64 of the characters a-z, 0-9, `-`, `.`, `:` and `/`
    /// each.
    labels: Option<Vec<String>>,
    /// Why; it stays with the status, and in the audit log.
    reason: String,
}

/// Null is something that is given too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

fn status_of(word: &str) -> Option<IssueStatus> {
    IssueStatus::of_name(word)
}

fn tag(issue: &Issue) -> HeaderMap {
    ETag {
        id: issue.id,
        version: issue.version,
    }
    .headers()
}

pub(super) async fn filter(
    app: &App,
    scope: &Scope,
    pairs: Vec<(String, String)>,
) -> Result<(IssueFilter, Option<u32>, Option<IssueCursor>), Problem> {
    let mut filter = IssueFilter::default();
    let (mut limit, mut before, mut projects) = (None, None, Vec::new());
    for (name, value) in pairs {
        let bad = |why: &str| Problem::new(Code::BadRequest, format!("{name}: {why}"));
        match name.as_str() {
            "status" => filter.statuses.push(
                status_of(&value).ok_or_else(|| bad("open, in_progress, resolved or rejected"))?,
            ),
            "severity" => filter.severities.push(
                Severity::from_name(&value)
                    .ok_or_else(|| bad("informational, low, medium, high or critical"))?,
            ),
            "rule" => filter.rules.push(value),
            "host" => filter.hosts.push(value),
            "namespace" => filter.namespaces.push(value),
            "image" => filter.images.push(value),
            "fingerprint" => filter.fingerprints.push(value),
            "project" => {
                let project = project_id(app, &value).await?;
                if !scope.covers(project) {
                    return Err(Problem::not_found("project", &value));
                }
                projects.push(project);
            }
            "assignee" if value.is_empty() => filter.unassigned = true,
            "assignee" => filter
                .assignees
                .push(app.store.user_named(&value).await?.id),
            "overdue" => {
                let only = value.parse().map_err(|_| bad("true or false"))?;
                filter.overdue_at = Some(now()).filter(|_| only);
            }
            "label" => filter.labels.push(value),
            "text" => filter.text = Some(value).filter(|text| !text.is_empty()),
            "limit" => limit = Some(value.parse().map_err(|_| bad("a number"))?),
            "cursor" => {
                let [last_seen, id] = parts::<2>(&value)?;
                before = Some(IssueCursor {
                    last_seen: part(&last_seen)?,
                    id: part(&id)?,
                });
            }
            _ => return Err(bad("there is no such filter")),
        }
    }
    if filter.unassigned && !filter.assignees.is_empty() {
        let why = "assignee: nobody and somebody cannot be asked for together";
        return Err(Problem::new(Code::BadRequest, why));
    }
    filter.projects = if projects.is_empty() {
        scope.clone().projects()
    } else {
        Some(projects)
    };
    Ok((filter, limit, before))
}

/// Issues as they are shown to one who may see so much.
pub(super) async fn views(
    app: &App,
    scope: &Scope,
    issues: Vec<Issue>,
) -> Result<Vec<IssueView>, Problem> {
    let ids: Vec<Uuid> = issues.iter().map(|issue| issue.id).collect();
    let mut projects: HashMap<Uuid, Vec<String>> = HashMap::new();
    let names = Names::read(app).await?;
    for (issue, project) in app.store.issues_projects(&ids).await? {
        if scope.covers(project) {
            projects.entry(issue).or_default().push(names.of(project));
        }
    }
    let mut users: HashMap<Uuid, String> = HashMap::new();
    for assignee in issues.iter().filter_map(|issue| issue.assignee) {
        if let std::collections::hash_map::Entry::Vacant(user) = users.entry(assignee) {
            user.insert(app.store.user(assignee).await?.name);
        }
    }
    let at = now();
    Ok(issues
        .into_iter()
        .map(|issue| {
            let projects = projects.remove(&issue.id).unwrap_or_default();
            let assignee = issue.assignee.and_then(|id| users.get(&id).cloned());
            view(issue, assignee, projects, at)
        })
        .collect())
}

fn view(issue: Issue, assignee: Option<String>, projects: Vec<String>, now: i64) -> IssueView {
    IssueView {
        id: issue.id.to_string(),
        version: issue.version,
        overdue: !issue.status.is_closed() && issue.due_at < now,
        status: issue.status.name().to_owned(),
        rejection: issue.rejection.map(|reason| reason.name().to_owned()),
        reason: issue.reason,
        severity: issue.severity.name().to_owned(),
        severity_set: issue.severity_set,
        title: issue.title,
        rule: issue.rule,
        host: issue.host,
        namespace: issue.namespace,
        image: issue.image,
        assignee,
        labels: issue.labels,
        count: issue.count,
        first_seen: Time(issue.first_seen),
        last_seen: Time(issue.last_seen),
        opened_at: Time(issue.opened_at),
        due_at: Time(issue.due_at),
        closed_at: issue.closed_at.map(Time),
        reopened: issue.reopened,
        changed_at: Time(issue.changed_at),
        fingerprint: issue.fingerprint.value,
        fingerprint_version: issue.fingerprint.version,
        projects,
    }
}

/// An issue that they may see; another is not there.
pub(super) async fn seen(app: &App, scope: &Scope, text: &str) -> Result<Issue, Problem> {
    let issue = app.store.issue(id("issue", text)?).await?;
    if covers(app, scope, issue.id).await? {
        return Ok(issue);
    }
    Err(Problem::not_found("issue", text))
}

/// Whether it is in one of the projects, which is enough: whoever answers for a project
/// answers for what happens in it.
async fn covers(app: &App, scope: &Scope, issue: Uuid) -> Result<bool, Problem> {
    if *scope == Scope::All {
        return Ok(true);
    }
    let projects = app.store.issues_projects(&[issue]).await?;
    Ok(projects.iter().any(|(_, project)| scope.covers(*project)))
}

/// An issue that they may change.
pub(super) async fn to_change(app: &App, who: &Who, text: &str) -> Result<Issue, Problem> {
    let may = who.needs(Permission::Respond)?;
    let issue = seen(app, &who.needs(Permission::Read)?, text).await?;
    if covers(app, &may, issue.id).await? {
        return Ok(issue);
    }
    Err(lacks(Permission::Respond, " in a project of this issue"))
}

async fn answer(app: &App, scope: &Scope, issue: Issue) -> Result<Response, Problem> {
    let headers = tag(&issue);
    let view = views(app, scope, vec![issue]).await?.pop();
    let view = view.ok_or_else(|| Problem::internal("an issue has no view"))?;
    Ok((headers, Json(view)).into_response())
}

/// List issues, the last seen first
///
/// An issue that new findings are counted in moves to the front: while one pages, it may be
/// seen again there, or missed behind.
#[utoipa::path(get, path = "/issues", tag = "issues", operation_id = "list_issues", params(IssuesQuery),
    responses((status = 200, body = Page<IssueView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Pairs(pairs): Pairs,
) -> Result<Json<Page<IssueView>>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let (filter, limit, before) = filter(&app, &scope, pairs).await?;
    let size = page_size(limit)?;
    let found = app.store.issues(&filter, before, size).await?;
    Ok(Json(Page {
        items: views(&app, &scope, found.items).await?,
        next: found
            .next
            .map(|last| cursor(&[&last.last_seen.to_string(), &last.id.to_string()])),
    }))
}

/// Show an issue
#[utoipa::path(get, path = "/issues/{id}", tag = "issues", operation_id = "get_issue",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = IssueView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let scope = who.needs(Permission::Read)?;
    let issue = seen(&app, &scope, &id).await?;
    answer(&app, &scope, issue).await
}

/// Change where the work on an issue stands, who does it, how bad it is, when it is due, or its labels
#[utoipa::path(patch, path = "/issues/{id}", tag = "issues", operation_id = "change_issue",
    params(("id" = String, Path, description = "Its id"), ("If-Match" = String, Header, description = "The ETag that was read")),
    request_body = ChangeRequest,
    responses((status = 200, body = IssueView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    Json(asked): Json<ChangeRequest>,
) -> Result<Response, Problem> {
    let issue = to_change(&app, &who, &id).await?;
    let expected = tag.expect(issue.id)?;
    let change = change_of(&app, &issue, &asked).await?;
    let cause = who.cause(asked.reason);
    let changed = app
        .store
        .change_issue(issue.id, expected, change, &cause)
        .await?;
    let scope = who.needs(Permission::Read)?;
    answer(&app, &scope, changed).await
}

async fn change_of(
    app: &App,
    issue: &Issue,
    asked: &ChangeRequest,
) -> Result<ChangeIssue, Problem> {
    let word = |field: &str, known: &str| Problem::invalid(format!("{field}: it is {known}"));
    let rejection = match &asked.rejection {
        None => None,
        Some(text) => Some(Rejection::of_name(text).ok_or_else(|| {
            word(
                "rejection",
                "false_positive, accepted_risk, duplicate or other",
            )
        })?),
    };
    let status = match &asked.status {
        None if rejection.is_some() => {
            return Err(Problem::invalid("rejection: only with status rejected"));
        }
        None => None,
        Some(text) => {
            let status = status_of(text)
                .ok_or_else(|| word("status", "open, in_progress, resolved or rejected"))?;
            Some((status, rejection))
        }
    };
    let severity = match &asked.severity {
        None => None,
        Some(text) => Some(
            Severity::from_name(text)
                .ok_or_else(|| word("severity", "informational, low, medium, high or critical"))?,
        ),
    };
    let assignee = match &asked.assignee {
        None => None,
        Some(None) => Some(None),
        Some(Some(name)) => Some(Some(assignee(app, name).await?)),
    };
    let due = |severity| {
        issue
            .opened_at
            .saturating_add(app.issues.due_after(severity))
    };
    Ok(ChangeIssue {
        status,
        assignee,
        severity,
        due_at: asked.due_at.map(|time| time.0).or(severity.map(due)),
        labels: asked.labels.clone(),
    })
}

async fn assignee(app: &App, name: &str) -> Result<Uuid, Problem> {
    let user = match app.store.user_named(name).await {
        Err(StoreError::NotFound { .. }) => {
            return Err(Problem::invalid(format!(
                "assignee: there is no user {name}"
            )));
        }
        user => user?,
    };
    if user.disabled_at.is_some() {
        return Err(Problem::invalid(format!("assignee: {name} is disabled")));
    }
    Ok(user.id)
}

/// List the findings of an issue, the newest first
///
/// Those that are still kept, and that you may see: the issue's `count` is of all. It takes
/// the filters of the findings' list; `fingerprint` has no meaning.
#[utoipa::path(get, path = "/issues/{id}/findings", tag = "issues", operation_id = "list_issue_findings",
    params(("id" = String, Path, description = "Its id"), FindingsQuery),
    responses((status = 200, body = Page<FindingView>), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn findings(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Pairs(pairs): Pairs,
) -> Result<Json<Page<FindingView>>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let issue = seen(&app, &scope, &id).await?;
    let mut asked = findings::question(&app, &scope, pairs).await?;
    asked.filter.fingerprints = vec![issue.fingerprint.value];
    findings::page(&app, asked).await
}
