//! Roll-outs of bundles.

use super::App;
use super::bundles::{may_see, needs_in_scope};
use super::extract::{Json, Path, Query};
use super::problem::{Code, Problem};
use super::sensors::Reason;
use super::values::{Page, Time, cursor, id, page_size, single};
use super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_store::{Rollout, RolloutState, StoreError, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A roll-out.
#[derive(Serialize, ToSchema)]
pub(super) struct RolloutView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What is rolled out.
    #[schema(format = "uuid")]
    bundle: String,
    /// To whom.
    scope: String,
    /// `canary`, `full`, `halted`, `done`, `rolled_back` or `superseded`.
    state: String,
    /// Goes up with each change.
    version: i64,
    /// Who is first, how fast, and what halts it.
    plan: Value,
    /// How far it is.
    progress: Value,
    /// When it began.
    created_at: Time,
    /// When it last changed.
    changed_at: Time,
    /// Why it stands where it does.
    reason: String,
}

impl From<Rollout> for RolloutView {
    fn from(rollout: Rollout) -> RolloutView {
        RolloutView {
            id: rollout.id.to_string(),
            bundle: rollout.bundle.to_string(),
            scope: rollout.scope,
            state: rollout.state.name().to_owned(),
            version: rollout.version,
            plan: rollout.plan,
            progress: rollout.progress,
            created_at: Time(rollout.created_at),
            changed_at: Time(rollout.changed_at),
            reason: rollout.reason,
        }
    }
}

/// Which roll-outs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RolloutsQuery {
    /// Those of this scope; left out: of every scope that you may see everywhere.
    scope: Option<String>,
    /// Those alone that are under way.
    #[serde(default)]
    #[param(required = false)]
    under_way: bool,
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// List roll-outs, the newest first
#[utoipa::path(get, path = "/rollouts", tag = "bundles", operation_id = "list_rollouts", params(RolloutsQuery),
    responses((status = 200, body = Page<RolloutView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(query): Query<RolloutsQuery>,
) -> Result<Json<Page<RolloutView>>, Problem> {
    match &query.scope {
        Some(scope) => may_see(&app, &who, scope).await?,
        None => who.needs_everywhere(Permission::Read)?,
    }
    let before = single::<Uuid>(query.cursor.as_deref())?;
    let size = page_size(query.limit)?;
    let found = app
        .store
        .rollouts(query.scope.as_deref(), query.under_way, before, size)
        .await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(Into::into).collect(),
        next: found.next.map(|id| cursor(&[&id.to_string()])),
    }))
}

async fn seen(app: &App, who: &Who, text: &str) -> Result<Rollout, Problem> {
    who.needs(Permission::Read)?;
    let rollout = app.store.rollout(id("roll-out", text)?).await?;
    may_see(app, who, &rollout.scope)
        .await
        .map_err(|_| Problem::not_found("roll-out", text))?;
    Ok(rollout)
}

/// Show a roll-out
#[utoipa::path(get, path = "/rollouts/{id}", tag = "bundles", operation_id = "get_rollout",
    params(("id" = String, Path, description = "The roll-out's id")),
    responses((status = 200, body = RolloutView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<RolloutView>, Problem> {
    Ok(Json(seen(&app, &who, &id).await?.into()))
}

/// Where a roll-out goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum GoOn {
    /// With the first sensors: they are watched again.
    #[default]
    Canary,
    /// With all.
    Full,
}

/// How a roll-out goes on, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    /// With whom; left out: the first sensors.
    #[serde(default)]
    to: GoOn,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Moves a roll-out. The servers' directors hear of it by the store.
async fn act(
    app: &App,
    who: &Who,
    id: &str,
    right: Permission,
    state: RolloutState,
    reason: String,
) -> Result<Json<RolloutView>, Problem> {
    who.needs(right)?;
    let rollout = seen(app, who, id).await?;
    needs_in_scope(app, who, right, &rollout.scope).await?;
    let cause = who.cause(reason);
    let (id, version) = (rollout.id, rollout.version);
    let moved = app
        .store
        .move_rollout(id, version, state, rollout.progress, &cause)
        .await
        .map_err(|error| match error {
            // A director was faster.
            StoreError::Conflict { .. } => {
                Problem::new(Code::Conflict, "it has just moved on: look again")
            }
            error => error.into(),
        })?;
    Ok(Json(moved.into()))
}

/// Halt a roll-out: nobody else gets the bundle
#[utoipa::path(post, path = "/rollouts/{id}/halt", tag = "bundles", operation_id = "halt_rollout",
    params(("id" = String, Path, description = "The roll-out's id")), request_body = Reason,
    responses((status = 200, body = RolloutView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn halt(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Json(reason): Json<Reason>,
) -> Result<Json<RolloutView>, Problem> {
    let (right, state) = (Permission::Respond, RolloutState::Halted);
    act(&app, &who, &id, right, state, reason.reason).await
}

/// Let a halted roll-out go on
#[utoipa::path(post, path = "/rollouts/{id}/resume", tag = "bundles", operation_id = "resume_rollout",
    params(("id" = String, Path, description = "The roll-out's id")), request_body = Resume,
    responses((status = 200, body = RolloutView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn resume(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Json(resume): Json<Resume>,
) -> Result<Json<RolloutView>, Problem> {
    let state = match resume.to {
        GoOn::Canary => RolloutState::Canary,
        GoOn::Full => RolloutState::Full,
    };
    act(&app, &who, &id, Permission::Write, state, resume.reason).await
}

/// Take a roll-out back: those who have the bundle get the one before, as a new version
#[utoipa::path(post, path = "/rollouts/{id}/rollback", tag = "bundles", operation_id = "roll_back_rollout",
    params(("id" = String, Path, description = "The roll-out's id")), request_body = Reason,
    responses((status = 200, body = RolloutView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn roll_back(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Json(reason): Json<Reason>,
) -> Result<Json<RolloutView>, Problem> {
    let (right, state) = (Permission::Respond, RolloutState::RolledBack);
    act(&app, &who, &id, right, state, reason.reason).await
}
