//! What is ordered to be done on hosts.
//!
//! To look at a process takes the right to respond; what changes a host, the right to
//! arm; to take something back, the right to respond: where the sensor is, in each of its
//! projects.

use super::App;
use super::extract::{Json, Path, Query};
use super::problem::{Code, Problem};
use super::sensors::seen;
use super::values::{Page, PageQuery, Time, cursor, id, now, page_size, part, parts};
use super::who::Who;
use crate::auth::Permission;
use crate::fleet::{ORDER_SECONDS, new_order, undoing};
use axum::extract::State;
use axum::http::StatusCode;
use picket_proto::order::{Action, Kind, MAX_LIFE_SECONDS};
use picket_store::{HostAction, HostActionFilter, HostActionState, new_id};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A process of one host.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneProcess {
    /// Its pid, as the host has it: in a finding, `actor.process.pid`.
    #[schema(minimum = 2)]
    pid: u32,
    /// When it started, nanoseconds after boot: in a finding, `ext.start_ns`.
    start_ns: u64,
    /// The host's boot, as `/proc/sys/kernel/random/boot_id` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
}

/// A file: by its content, or as findings know an executable, by inode and time of change.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneFile {
    /// SHA-256 of its content, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Its inode: in a finding, `ext.inode` of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inode: Option<u64>,
    /// When its content changed last, nanoseconds since the epoch: in a finding, `ext.mtime_ns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mtime_ns: Option<u64>,
}

/// What is to be done.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Ordered {
    /// Kill a process and everything that descends from it.
    KillTree {
        /// Which.
        process: OneProcess,
    },
    /// Tell what a process is, has open and stands in.
    CollectForensics {
        /// Which.
        process: OneProcess,
    },
    /// Take a file out of everybody's reach.
    QuarantineFile {
        /// Where it is.
        path: String,
        /// Which one is meant: another file is left alone.
        file: OneFile,
    },
    /// Cut the host off from the network, but for its server.
    IsolateHost {
        /// Addresses and networks that stay reachable.
        #[serde(default)]
        allow: Vec<String>,
        /// Names can still be resolved.
        #[serde(default)]
        dns: bool,
    },
}

/// An order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAction {
    /// What.
    action: Ordered,
    /// After so many seconds it is taken back by itself. Needed to cut a host off; a file
    /// without it stays away until somebody takes that back.
    #[schema(minimum = 1, maximum = 604_800)]
    lease_seconds: Option<u32>,
    /// It is begun within so many seconds or not at all; 600 if left out.
    #[schema(minimum = 1, maximum = 86_400)]
    expires_seconds: Option<u32>,
    /// Why.
    reason: String,
}

/// Why it is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Undoing {
    /// Why.
    reason: String,
}

/// An order, and what came of it.
#[derive(Serialize, ToSchema)]
pub(super) struct HostActionView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// For whom.
    #[schema(format = "uuid")]
    sensor: String,
    /// `kill_tree`, `collect_forensics`, `quarantine_file`, `isolate_host` or `undo`.
    kind: String,
    /// What was ordered.
    #[schema(value_type = Object)]
    action: Value,
    /// For how long it holds, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_seconds: Option<u32>,
    /// `queued`, `sent`, `done`, `failed`, `refused`, `undone`, or `expired`: its sensor did
    /// not answer in time.
    state: String,
    /// Why so.
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    /// What was done or found.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    result: Value,
    /// Who ordered it.
    actor: String,
    /// Why.
    reason: String,
    /// When.
    created_at: Time,
    /// Until when it can be begun.
    expires_at: Time,
    /// When it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Time>,
    /// When it came to its state, by the sensor's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Time>,
}

impl From<HostAction> for HostActionView {
    fn from(action: HostAction) -> HostActionView {
        HostActionView {
            id: action.order.id.to_string(),
            sensor: action.order.sensor.to_string(),
            kind: action.order.kind,
            action: action.order.action,
            lease_seconds: action.order.lease_seconds,
            state: action.state.name().to_owned(),
            why: action.why,
            result: action.result,
            actor: action.actor,
            reason: action.reason,
            created_at: Time(action.created_at),
            expires_at: Time(action.order.expires_at),
            sent_at: action.sent_at.map(Time),
            ended_at: action.ended_at.map(Time),
        }
    }
}

fn reason(text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::invalid("reason: say why"));
    }
    Ok(())
}

/// Order something to be done on a host
///
/// The order is signed and sent when the sensor is connected; `GET /host-actions/{id}`
/// tells what came of it.
#[utoipa::path(post, path = "/sensors/{id}/actions", tag = "host actions", operation_id = "order_host_action",
    params(("id" = String, Path, description = "The sensor's id")), request_body = NewAction,
    responses((status = 202, body = HostActionView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn order(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
    Json(new): Json<NewAction>,
) -> Result<(StatusCode, Json<HostActionView>), Problem> {
    let (sensor, id) = seen(&app, &who, &text).await?;
    let action = serde_json::to_value(&new.action).and_then(serde_json::from_value::<Action>);
    let action = action.map_err(Problem::internal)?;
    let needed = match action.kind() {
        Kind::CollectForensics => Permission::Respond,
        _ => Permission::Arm,
    };
    who.needs_in(needed, sensor.project_ids())?;
    reason(&new.reason)?;
    let seconds = new.expires_seconds.unwrap_or(ORDER_SECONDS);
    if seconds > MAX_LIFE_SECONDS {
        let why = format!("expires_seconds: at most {MAX_LIFE_SECONDS}");
        return Err(Problem::invalid(why));
    }
    let order = new_order(new_id(), id, &action, new.lease_seconds, seconds, now());
    let order = order.map_err(Problem::invalid)?;
    let given = app
        .store
        .order_action(order, &who.cause(new.reason))
        .await?;
    Ok((StatusCode::ACCEPTED, Json(given.into())))
}

/// List what was ordered on a host, the newest first
#[utoipa::path(get, path = "/sensors/{id}/actions", tag = "host actions", operation_id = "list_sensor_host_actions",
    params(("id" = String, Path, description = "The sensor's id"), PageQuery),
    responses((status = 200, body = Page<HostActionView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_sensor(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<HostActionView>>, Problem> {
    let (_, id) = seen(&app, &who, &text).await?;
    let filter = HostActionFilter {
        sensors: Some(vec![id]),
        state: None,
    };
    listed(&app, &filter, &page).await
}

/// List what was ordered on any host, the newest first
#[utoipa::path(get, path = "/host-actions", tag = "host actions", operation_id = "list_host_actions", params(PageQuery),
    responses((status = 200, body = Page<HostActionView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<HostActionView>>, Problem> {
    who.needs_everywhere(Permission::Read)?;
    listed(&app, &HostActionFilter::default(), &page).await
}

async fn listed(
    app: &App,
    filter: &HostActionFilter,
    page: &PageQuery,
) -> Result<Json<Page<HostActionView>>, Problem> {
    let before = match &page.cursor {
        None => None,
        Some(cursor) => {
            let [time, id] = parts(cursor)?;
            Some((part(&time)?, part(&id)?))
        }
    };
    let size = page_size(page.limit)?;
    let found = app.store.host_actions(filter, before, size).await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(Into::into).collect(),
        next: found
            .next
            .map(|(time, id)| cursor(&[&time.to_string(), &id.to_string()])),
    }))
}

async fn visible(app: &App, who: &Who, text: &str) -> Result<HostAction, Problem> {
    who.needs(Permission::Read)?;
    let action = app.store.host_action(id("host action", text)?).await?;
    let sensor = action.order.sensor.to_string();
    // Of a sensor that one may not see, there is nothing.
    match seen(app, who, &sensor).await {
        Ok(_) => Ok(action),
        Err(problem) if problem.is_not_found() => Err(Problem::not_found("host action", text)),
        Err(problem) => Err(problem),
    }
}

/// Get an order, and what came of it
#[utoipa::path(get, path = "/host-actions/{id}", tag = "host actions", operation_id = "get_host_action",
    params(("id" = String, Path, description = "The order's id")),
    responses((status = 200, body = HostActionView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<Json<HostActionView>, Problem> {
    Ok(Json(visible(&app, &who, &text).await?.into()))
}

/// Take back what was ordered: let a host back to the network, put a file back
#[utoipa::path(post, path = "/host-actions/{id}/undo", tag = "host actions", operation_id = "undo_host_action",
    params(("id" = String, Path, description = "The order's id")), request_body = Undoing,
    responses((status = 202, body = HostActionView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn undo(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
    Json(undoing_it): Json<Undoing>,
) -> Result<(StatusCode, Json<HostActionView>), Problem> {
    let action = visible(&app, &who, &text).await?;
    let (sensor, _) = seen(&app, &who, &action.order.sensor.to_string()).await?;
    who.needs_in(Permission::Respond, sensor.project_ids())?;
    reason(&undoing_it.reason)?;
    let kinds = [Kind::IsolateHost, Kind::QuarantineFile];
    if !kinds.iter().any(|kind| kind.name() == action.order.kind) {
        let why = format!("{} cannot be taken back", action.order.kind);
        return Err(Problem::new(Code::Conflict, why));
    }
    let over = [
        HostActionState::Undone,
        HostActionState::Failed,
        HostActionState::Refused,
    ];
    if over.contains(&action.state) {
        let why = format!(
            "it is {}: there is nothing to take back",
            action.state.name()
        );
        return Err(Problem::new(Code::Conflict, why));
    }
    let order = undoing(&action, now()).map_err(Problem::invalid)?;
    let given = app
        .store
        .order_action(order, &who.cause(undoing_it.reason))
        .await?;
    Ok((StatusCode::ACCEPTED, Json(given.into())))
}
