//! Runs of playbooks: seen, approved, ended.

use crate::api::App;
use crate::api::definitions::named;
use crate::api::extract::{Json, Path, Query};
use crate::api::problem::{Code, Problem};
use crate::api::values::{Page, Time, cursor, id, now, page_size, single};
use crate::api::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_store::{Deed, Kind, Run, RunFilter, RunState, RunStep, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

/// A run.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RunView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// The playbook's name.
    playbook: String,
    /// Its version.
    version: i64,
    /// What set it off: `finding`, `issue_opened`, `issue_reopened`, `issue_raised`.
    event: String,
    /// The issue that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    issue: Option<String>,
    /// The finding that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    finding: Option<String>,
    /// Its steps are shown, not done.
    dry_run: bool,
    /// `queued`, `waiting_approval`, `succeeded`, `failed`, `cancelled`, `dry_run`, or
    /// `suppressed`: it counts runs that were too many.
    state: String,
    /// Of suppressed ones, how many.
    count: i64,
    /// When it began.
    created_at: Time,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Time>,
    /// Its steps; with one run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepView>>,
}

/// A step of a run.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct StepView {
    /// From 0.
    number: i64,
    /// What it does.
    action: String,
    /// As of runs, or `skipped`.
    state: String,
    /// How often it was tried.
    attempts: i64,
    /// What came of it.
    detail: String,
    /// Who let it be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_at: Option<Time>,
    /// When it was last touched.
    changed_at: Time,
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RunsQuery {
    /// Of this playbook.
    playbook: Option<String>,
    /// In this state.
    state: Option<String>,
    /// About this issue.
    issue: Option<String>,
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What is decided, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Decision {
    /// Why.
    reason: String,
}

fn view(run: Run, steps: Option<Vec<RunStep>>) -> RunView {
    RunView {
        id: run.id.to_string(),
        playbook: run.name,
        version: run.version,
        event: run.event,
        issue: run.issue.map(|id| id.to_string()),
        finding: run.finding.map(|id| id.to_string()),
        dry_run: run.dry,
        state: run.state.name().to_owned(),
        count: run.count,
        created_at: Time(run.created_at),
        ended_at: run.ended_at.map(Time),
        steps: steps.map(|steps| steps.into_iter().map(step).collect()),
    }
}

fn step(step: RunStep) -> StepView {
    StepView {
        number: step.number,
        action: step.action,
        state: step.state.name().to_owned(),
        attempts: step.attempts,
        detail: step.detail,
        approved_by: step.approved_by,
        approved_at: step.approved_at.map(Time),
        changed_at: Time(step.changed_at),
    }
}

/// List runs, the newest first
#[utoipa::path(get, path = "/playbook-runs", tag = "playbooks", operation_id = "list_playbook_runs", params(RunsQuery),
    responses((status = 200, body = Page<RunView>), (status = 403, body = Problem)))]
pub(in crate::api) async fn list(
    State(app): State<App>,
    who: Who,
    Query(query): Query<RunsQuery>,
) -> Result<Json<Page<RunView>>, Problem> {
    who.needs_everywhere(Permission::Read)?;
    let playbook = match &query.playbook {
        None => None,
        Some(name) => Some(named(&app, Kind::Playbook, name).await?.id),
    };
    let state = match &query.state {
        None => None,
        Some(name) => Some(RunState::of_name(name).ok_or_else(|| {
            let all = RunState::ALL.map(RunState::name).join(", ");
            Problem::new(Code::BadRequest, format!("state: one of {all}"))
        })?),
    };
    let filter = RunFilter {
        playbook,
        state,
        issue: query
            .issue
            .as_deref()
            .map(|text| id("issue", text))
            .transpose()?,
    };
    let before = single::<Uuid>(query.cursor.as_deref())?;
    let found = app
        .store
        .runs(&filter, before, page_size(query.limit)?)
        .await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(|run| view(run, None)).collect(),
        next: found.next.map(|id| cursor(&[&id.to_string()])),
    }))
}

async fn whole(app: &App, run: Uuid) -> Result<Json<RunView>, Problem> {
    let found = app.store.run(run).await?;
    let steps = app.store.run_steps(run).await?;
    Ok(Json(view(found, Some(steps))))
}

/// Show a run, with its steps
#[utoipa::path(get, path = "/playbook-runs/{id}", tag = "playbooks", operation_id = "get_playbook_run",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 200, body = RunView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(
    State(app): State<App>,
    who: Who,
    Path(run): Path<String>,
) -> Result<Json<RunView>, Problem> {
    who.needs_everywhere(Permission::Read)?;
    whole(&app, id("playbook run", &run)?).await
}

/// The step that waits, of a run that one may decide about.
async fn waiting(app: &App, run: Uuid) -> Result<RunStep, Problem> {
    let found = app.store.run(run).await?;
    let steps = app.store.run_steps(run).await?;
    let mut waiting = steps.into_iter();
    waiting
        .find(|step| step.state == RunState::WaitingApproval)
        .ok_or_else(|| {
            let why = format!("no step of it waits: the run is {}", found.state.name());
            Problem::new(Code::Conflict, why)
        })
}

/// Who lets an action on a host be done must be one who may arm.
fn may_decide(who: &Who, step: &RunStep) -> Result<(), Problem> {
    let harmless = ["webhook", "slack", "email", "ticket", "note", "open_issue"];
    let right = match harmless.contains(&step.action.as_str()) {
        true => Permission::Respond,
        false => Permission::Arm,
    };
    who.needs_everywhere(right)
}

fn needs_reason(decision: &Decision) -> Result<(), Problem> {
    if decision.reason.trim().is_empty() {
        return Err(Problem::invalid("reason: say why"));
    }
    Ok(())
}

async fn told(
    app: &App,
    who: &Who,
    run: Uuid,
    verb: &str,
    number: Option<i64>,
    decision: Decision,
) -> Result<(), Problem> {
    let deed = Deed {
        action: format!("playbook_run.{verb}"),
        kind: "playbook_run".to_owned(),
        subject: run.to_string(),
        detail: json!({"step": number}),
    };
    Ok(app.store.record(deed, &who.cause(decision.reason)).await?)
}

/// Let the step that waits be done
///
/// What acts on a host takes the role `armer`; anything else, `responder`.
#[utoipa::path(post, path = "/playbook-runs/{id}/approve", tag = "playbooks", operation_id = "approve_playbook_run",
    params(("id" = String, Path, description = "The run's id")), request_body = Decision,
    responses((status = 200, body = RunView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn approve(
    State(app): State<App>,
    who: Who,
    Path(run): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<Json<RunView>, Problem> {
    may_do_something(&who)?;
    let run = id("playbook run", &run)?;
    let step = waiting(&app, run).await?;
    may_decide(&who, &step)?;
    needs_reason(&decision)?;
    let at = now();
    let by = who.cause("").actor;
    app.store.approve_step(run, step.number, &by, at).await?;
    told(&app, &who, run, "approve", Some(step.number), decision).await?;
    app.playbooks.resume(run, at).await?;
    whole(&app, run).await
}

/// Do not let the step that waits be done: the run fails
#[utoipa::path(post, path = "/playbook-runs/{id}/reject", tag = "playbooks", operation_id = "reject_playbook_run",
    params(("id" = String, Path, description = "The run's id")), request_body = Decision,
    responses((status = 200, body = RunView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn reject(
    State(app): State<App>,
    who: Who,
    Path(run): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<Json<RunView>, Problem> {
    who.needs_everywhere(Permission::Respond)?;
    let run = id("playbook run", &run)?;
    let step = waiting(&app, run).await?;
    needs_reason(&decision)?;
    let why = format!("{} refused it: {}", who.cause("").actor, decision.reason);
    app.store
        .end_run(run, RunState::Failed, &why, now())
        .await?;
    told(&app, &who, run, "reject", Some(step.number), decision).await?;
    whole(&app, run).await
}

/// End a run: what it has not done is not done any more
#[utoipa::path(post, path = "/playbook-runs/{id}/cancel", tag = "playbooks", operation_id = "cancel_playbook_run",
    params(("id" = String, Path, description = "The run's id")), request_body = Decision,
    responses((status = 200, body = RunView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn cancel(
    State(app): State<App>,
    who: Who,
    Path(run): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<Json<RunView>, Problem> {
    who.needs_everywhere(Permission::Respond)?;
    let run = id("playbook run", &run)?;
    app.store.run(run).await?;
    needs_reason(&decision)?;
    let ended = app
        .store
        .end_run(run, RunState::Cancelled, &decision.reason, now())
        .await?;
    if !ended {
        return Err(Problem::new(Code::Conflict, "it is over already"));
    }
    told(&app, &who, run, "cancel", None, decision).await?;
    whole(&app, run).await
}

/// Refuses those who only look, before they learn what runs there are.
fn may_do_something(who: &Who) -> Result<(), Problem> {
    if who.rights.everywhere(Permission::Arm) {
        return Ok(());
    }
    who.needs_everywhere(Permission::Respond)
}
