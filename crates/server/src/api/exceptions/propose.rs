//! Exceptions to begin with: of what findings have in common.

use super::lens::event;
use super::preview::{ExceptionPreview, looked};
use super::{NewException, beside, rule_of};
use crate::api::App;
use crate::api::extract::{Json, Path};
use crate::api::problem::Problem;
use crate::api::values::id;
use crate::api::who::Who;
use crate::auth::{Permission, Scope};
use axum::extract::State;
use picket_model::event::Value as FieldValue;
use picket_model::{Event, field::Field};
use picket_store::{FindingFilter, PageSize, Uuid, limits};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Fields that tell one thing that is done from another, what is most telling first.
const TELLING: [&str; 12] = [
    "process.cmd_line",
    "actor.process.cmd_line",
    "process.path",
    "file.path",
    "query.hostname",
    "dst_endpoint.hostname",
    "dst_endpoint.ip",
    "actor.process.path",
    "process.parent_process.path",
    "container.image.name",
    "k8s.namespace",
    "actor.user.name",
];
/// Sets of them that make an exception, the narrowest first: all that are shared, the
/// first three, the first, and what runs where.
const WIDTHS: [usize; 3] = [TELLING.len(), 3, 1];
const WHERE: [&str; 2] = ["process.path", "container.image.name"];
/// Findings for which what a proposal would hide is counted.
const COUNTED: usize = 2_000;

/// An exception to begin with.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Proposal {
    /// The fields.
    fields: Vec<String>,
    /// What they are in all of the findings.
    #[schema(value_type = Vec<Vec<Object>>)]
    values: Vec<Vec<Value>>,
    /// What it would have hidden.
    preview: ExceptionPreview,
}

/// What could be left alone.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Proposals {
    /// The rule.
    rule: String,
    /// Of how many findings this is made.
    findings: usize,
    /// The narrowest first.
    proposals: Vec<Proposal>,
}

/// Propose exceptions for a finding
#[utoipa::path(get, path = "/findings/{id}/exception-proposals", tag = "exceptions", operation_id = "propose_finding_exceptions",
    params(("id" = String, Path, description = "The finding's id")),
    responses((status = 200, body = Proposals), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(in crate::api) async fn of_finding(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<Json<Proposals>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let id = id("finding", &text)?;
    let row = app.store.finding(id).await?;
    let projects = app.store.finding_projects(id).await?;
    if scope != Scope::All && !projects.iter().any(|project| scope.covers(*project)) {
        return Err(Problem::not_found("finding", &text));
    }
    proposals(&app, &who, &scope, &row.columns.rule, &[id]).await
}

/// Propose exceptions for an issue: what its latest findings have in common
#[utoipa::path(get, path = "/issues/{id}/exception-proposals", tag = "exceptions", operation_id = "propose_issue_exceptions",
    params(("id" = String, Path, description = "The issue's id")),
    responses((status = 200, body = Proposals), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(in crate::api) async fn of_issue(
    State(app): State<App>,
    who: Who,
    Path(text): Path<String>,
) -> Result<Json<Proposals>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let issue = crate::api::issues::seen(&app, &scope, &text).await?;
    let filter = FindingFilter {
        fingerprints: vec![issue.fingerprint.value.clone()],
        projects: scope.clone().projects(),
        ..FindingFilter::default()
    };
    let size = PageSize::new(limits::MAX_PAGE)?;
    let page = app.store.findings(&filter, None, size).await?;
    let ids: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
    proposals(&app, &who, &scope, &issue.rule, &ids).await
}

async fn proposals(
    app: &App,
    who: &Who,
    scope: &Scope,
    rule: &str,
    findings: &[Uuid],
) -> Result<Json<Proposals>, Problem> {
    let rule = rule_of(app, who, rule).await?;
    let bodies = app.store.findings_ocsf(findings).await?;
    let shared = tokio::task::spawn_blocking(move || {
        let events: Vec<Event> = bodies.iter().filter_map(|(_, ocsf)| event(ocsf)).collect();
        shared(&events)
    });
    let shared = shared.await.map_err(Problem::internal)?;
    let mut sets: Vec<Vec<(&str, Value)>> = Vec::new();
    let mut add = |set: Vec<(&'static str, Value)>| {
        if !set.is_empty() && !sets.contains(&set) {
            sets.push(set);
        }
    };
    for width in WIDTHS {
        add(shared.iter().take(width).cloned().collect());
    }
    let here = shared.iter().filter(|(name, _)| WHERE.contains(name));
    add(here.cloned().collect());
    let mut proposals = Vec::new();
    for set in sets {
        let (fields, values): (Vec<String>, Vec<Value>) = set
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .unzip();
        let new = NewException {
            name: "proposed".to_owned(),
            fields,
            comps: None,
            values: vec![values],
            expires_at: None,
            owner: None,
            reason: String::new(),
        };
        let (before, after) = beside(app, &new, &rule).await?;
        // Not every field is one of every class that the rule is about.
        let Ok(preview) = looked(app, scope, &rule, &new.name, before, after, COUNTED).await else {
            continue;
        };
        proposals.push(Proposal {
            fields: new.fields,
            values: new.values,
            preview,
        });
    }
    Ok(Json(Proposals {
        rule: rule.name,
        findings: findings.len(),
        proposals,
    }))
}

/// The fields that are known and the same in all of them.
fn shared(events: &[Event]) -> Vec<(&'static str, Value)> {
    let Some((first, rest)) = events.split_first() else {
        return Vec::new();
    };
    TELLING
        .into_iter()
        .filter_map(|name| {
            let field = Field::from_name(name)?;
            let value = known(first, field)?;
            let same = |event: &Event| known(event, field).as_ref() == Some(&value);
            rest.iter().all(same).then_some((name, value))
        })
        .collect()
}

/// A field's value as an exception writes it.
pub(super) fn known(event: &Event, field: Field) -> Option<Value> {
    match event.value(field).known()? {
        FieldValue::Str(text) => Some(json!(text)),
        FieldValue::Int(number) => Some(json!(number)),
        FieldValue::Ip(address) => Some(json!(address.to_string())),
        FieldValue::Bool(_) | FieldValue::List(_) => None,
    }
}
