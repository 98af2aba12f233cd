//! Sensors, and how rules stand on them.

use super::App;
use super::definitions::named;
use super::extract::{Json, Pairs, Path, Query};
use super::problem::{Code, Problem};
use super::projects::project_id;
use super::values::{Page, PageQuery, Time, cursor, id, page_size, single};
use super::who::{Who, lacks};
use crate::auth::{Permission, Scope};
use crate::intake::ProjectBook;
use axum::extract::State;
use axum::http::StatusCode;
use picket_store::{Kind, Labels, Sensor, SensorFilter, SensorRule, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Pages of the store that one answer looks through, at most.
const LOOKED_THROUGH: usize = 20;

/// A sensor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SensorView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its host's name.
    pub(super) host: String,
    /// What its owner named it.
    pub(super) labels: BTreeMap<String, String>,
    /// The projects it is in.
    projects: Vec<String>,
    /// What it says of its host: kernel, system, capabilities.
    facts: Value,
    /// When it joined.
    enrolled_at: Time,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Time>,
    /// Its last heartbeat; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<HeartbeatView>,
    #[serde(skip)]
    project_ids: Vec<Uuid>,
}

/// What a sensor last said of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeartbeatView {
    /// When.
    at: Time,
    /// The bundle it goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<AppliedView>,
    /// How it is.
    health: Value,
    /// What it saw, and what it lost.
    coverage: Value,
}

/// Which bundle a sensor goes by.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AppliedView {
    /// The bundle's scope.
    scope: String,
    /// The bundle's version.
    version: i64,
}

/// How a rule stands on a sensor.
#[derive(Serialize, ToSchema)]
pub(super) struct RuleStatusView {
    /// The sensor.
    #[schema(format = "uuid")]
    sensor: String,
    /// The rule.
    rule: String,
    /// What is done about a match there, or that the rule cannot be evaluated.
    mode: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// When the sensor said so.
    reported_at: Time,
}

/// New labels.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLabels {
    /// All of them: those that are left out are gone.
    labels: BTreeMap<String, String>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Why.
    #[serde(default)]
    pub(super) reason: String,
}

/// Which sensors. Several `label`s must all be there.
#[derive(Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and words are for the description")]
pub(super) struct SensorsQuery {
    /// Those of this project.
    #[param(required = false)]
    project: Option<String>,
    /// Those on this host name.
    #[param(required = false)]
    host: Option<String>,
    /// Those with this label, `NAME=VALUE`; may come again.
    #[param(required = false)]
    label: Vec<String>,
    /// The revoked ones, or the others.
    #[param(required = false)]
    revoked: Option<bool>,
    /// Those not heard of since this time.
    #[param(required = false)]
    silent_since: Option<Time>,
    /// How many at most; 100 if left out.
    #[param(required = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(required = false)]
    cursor: Option<String>,
}

/// Which states of a rule.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RuleOnSensorsQuery {
    /// Those in this mode.
    mode: Option<String>,
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl SensorView {
    pub(super) fn of(sensor: Sensor, book: &ProjectBook) -> SensorView {
        let projects = book.of_sensor(&sensor.host, &sensor.labels);
        let (project_ids, projects): (Vec<_>, Vec<_>) = projects
            .into_iter()
            .map(|(id, name)| (id, name.to_owned()))
            .unzip();
        SensorView {
            id: sensor.id.to_string(),
            host: sensor.host,
            labels: sensor.labels,
            projects,
            facts: sensor.facts,
            enrolled_at: Time(sensor.enrolled_at),
            revoked_at: sensor.revoked_at.map(Time),
            heartbeat: sensor.heartbeat.map(|heartbeat| HeartbeatView {
                at: Time(heartbeat.at),
                bundle: heartbeat.bundle.map(|bundle| AppliedView {
                    scope: bundle.scope,
                    version: bundle.version,
                }),
                health: heartbeat.health,
                coverage: heartbeat.coverage,
            }),
            project_ids,
        }
    }

    /// Its projects.
    pub(super) fn project_ids(&self) -> &[Uuid] {
        &self.project_ids
    }

    /// Whether it is in one of the projects.
    pub(super) fn is_in(&self, scope: &Scope) -> bool {
        *scope == Scope::All || self.project_ids.iter().any(|id| scope.covers(*id))
    }
}

struct Wanted {
    filter: SensorFilter,
    labels: Labels,
    project: Option<Uuid>,
    limit: Option<u32>,
    before: Option<Uuid>,
}

async fn wanted(app: &App, scope: &Scope, pairs: Vec<(String, String)>) -> Result<Wanted, Problem> {
    let mut wanted = Wanted {
        filter: SensorFilter::default(),
        labels: Labels::new(),
        project: None,
        limit: None,
        before: None,
    };
    for (name, value) in pairs {
        let bad = |why: &str| Problem::new(Code::BadRequest, format!("{name}: {why}"));
        match name.as_str() {
            "project" => {
                let project = project_id(app, &value).await?;
                if !scope.covers(project) {
                    return Err(Problem::not_found("project", &value));
                }
                wanted.project = Some(project);
            }
            "host" => wanted.filter.host = Some(value),
            "label" => {
                let (name, value) = value
                    .split_once('=')
                    .ok_or_else(|| bad("write NAME=VALUE"))?;
                wanted.labels.insert(name.to_owned(), value.to_owned());
            }
            "revoked" => {
                wanted.filter.revoked = Some(value.parse().map_err(|_| bad("true or false"))?);
            }
            "silent_since" => {
                let time: Time = value.parse().map_err(|why: String| bad(&why))?;
                wanted.filter.silent_since = Some(time.0);
            }
            "limit" => wanted.limit = Some(value.parse().map_err(|_| bad("a number"))?),
            "cursor" => wanted.before = single(Some(&value))?,
            _ => return Err(bad("there is no such filter")),
        }
    }
    Ok(wanted)
}

/// List sensors, the last to join first
///
/// A page may hold fewer than asked for, and still have a next one.
#[utoipa::path(get, path = "/sensors", tag = "sensors", operation_id = "list_sensors", params(SensorsQuery),
    responses((status = 200, body = Page<SensorView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Pairs(pairs): Pairs,
) -> Result<Json<Page<SensorView>>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let wanted = wanted(&app, &scope, pairs).await?;
    let size = page_size(wanted.limit)?;
    let rows = wanted.limit.unwrap_or(100) as usize;
    let book = ProjectBook::read(&*app.store).await?;
    let (mut items, mut before) = (Vec::new(), wanted.before);
    let mut next = None;
    'pages: for _ in 0..LOOKED_THROUGH {
        let page = app.store.sensors(&wanted.filter, before, size).await?;
        for sensor in page.items {
            let here = sensor.id;
            let view = SensorView::of(sensor, &book);
            let labelled = |(name, value): (&String, &String)| view.labels.get(name) == Some(value);
            let fits = view.is_in(&scope)
                && wanted.labels.iter().all(labelled)
                && wanted
                    .project
                    .is_none_or(|project| view.project_ids.contains(&project));
            if !fits {
                continue;
            }
            items.push(view);
            if items.len() == rows {
                next = Some(here);
                break 'pages;
            }
        }
        next = page.next;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(Json(Page {
        items,
        next: next.map(|id| cursor(&[&id.to_string()])),
    }))
}

/// The sensor, if it may be seen.
pub(super) async fn seen(app: &App, who: &Who, text: &str) -> Result<(SensorView, Uuid), Problem> {
    let scope = who.needs(Permission::Read)?;
    let id = id("sensor", text)?;
    let sensor = app.store.sensor(id).await?;
    let book = ProjectBook::read(&*app.store).await?;
    let view = SensorView::of(sensor, &book);
    if view.is_in(&scope) {
        Ok((view, id))
    } else {
        Err(Problem::not_found("sensor", text))
    }
}

/// Show a sensor
#[utoipa::path(get, path = "/sensors/{id}", tag = "sensors", operation_id = "get_sensor",
    params(("id" = String, Path, description = "The sensor's id")),
    responses((status = 200, body = SensorView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<SensorView>, Problem> {
    Ok(Json(seen(&app, &who, &id).await?.0))
}

/// Label a sensor
///
/// Labels say which projects it is in, and so which rules it gets.
#[utoipa::path(put, path = "/sensors/{id}/labels", tag = "sensors", operation_id = "label_sensor",
    params(("id" = String, Path, description = "The sensor's id")), request_body = NewLabels,
    responses((status = 200, body = SensorView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn label(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
    Json(new): Json<NewLabels>,
) -> Result<Json<SensorView>, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let id = id("sensor", &text)?;
    app.store
        .label_sensor(id, new.labels, &who.cause(new.reason))
        .await?;
    Ok(Json(seen(&app, &who, &text).await?.0))
}

/// Revoke a sensor: its certificates are worth nothing from now on
#[utoipa::path(post, path = "/sensors/{id}/revoke", tag = "sensors", operation_id = "revoke_sensor",
    params(("id" = String, Path, description = "The sensor's id")), request_body = Reason,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Json(reason): Json<Reason>,
) -> Result<StatusCode, Problem> {
    let scope = who.needs(Permission::Respond)?;
    let (sensor, id) = seen(&app, &who, &id).await?;
    if !sensor.is_in(&scope) {
        return Err(lacks(Permission::Respond, " in one of its projects"));
    }
    app.store
        .revoke_sensor(id, &who.cause(reason.reason))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn status(rule: SensorRule) -> RuleStatusView {
    RuleStatusView {
        sensor: rule.sensor.to_string(),
        rule: rule.status.rule,
        mode: rule.status.mode,
        detail: rule.status.detail,
        reported_at: Time(rule.reported_at),
    }
}

/// Show how the rules stand on a sensor
#[utoipa::path(get, path = "/sensors/{id}/rules", tag = "sensors", operation_id = "list_sensor_rules",
    params(("id" = String, Path, description = "The sensor's id"), PageQuery),
    responses((status = 200, body = Page<RuleStatusView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn rules(
    State(app): State<App>,
    who: Who,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<RuleStatusView>>, Problem> {
    let (_, id) = seen(&app, &who, &id).await?;
    let after = single::<String>(page.cursor.as_deref())?;
    let found = app
        .store
        .rules_on_sensor(id, after, page_size(page.limit)?)
        .await?;
    Ok(Json(Page {
        items: found.items.into_iter().map(status).collect(),
        next: found.next.map(|rule| cursor(&[&rule])),
    }))
}

/// Show how a rule stands on the sensors
#[utoipa::path(get, path = "/rules/{name}/sensors", tag = "rules", operation_id = "list_rule_sensors",
    params(("name" = String, Path, description = "The rule's name"), RuleOnSensorsQuery),
    responses((status = 200, body = Page<RuleStatusView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_rule(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(query): Query<RuleOnSensorsQuery>,
) -> Result<Json<Page<RuleStatusView>>, Problem> {
    let scope = who.needs(Permission::Read)?;
    // Rules that no definition here says, such as the built-in ones, are told of too.
    match named(&app, Kind::Rule, &name).await {
        Ok(rule) if !who.rights.may_see(&rule.content.projects) => {
            return Err(Problem::not_found("rule", &name));
        }
        Ok(_) => {}
        Err(problem) if problem.is_not_found() => {}
        Err(problem) => return Err(problem),
    }
    let after = single::<Uuid>(query.cursor.as_deref())?;
    let size = page_size(query.limit)?;
    let found = app
        .store
        .sensors_with_rule(&name, query.mode.as_deref(), after, size)
        .await?;
    let mut items = Vec::new();
    let book = ProjectBook::read(&*app.store).await?;
    for rule in found.items {
        if scope != Scope::All {
            let sensor = app.store.sensor(rule.sensor).await?;
            if !SensorView::of(sensor, &book).is_in(&scope) {
                continue;
            }
        }
        items.push(status(rule));
    }
    Ok(Json(Page {
        items,
        next: found.next.map(|id| cursor(&[&id.to_string()])),
    }))
}
