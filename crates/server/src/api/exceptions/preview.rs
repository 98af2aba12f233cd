//! What an exception would have hidden.

use super::lens::{Lens, Seen, event};
use super::{NewException, rule_of};
use crate::api::App;
use crate::api::definitions::Entry;
use crate::api::extract::{Json, Path};
use crate::api::findings::bodies;
use crate::api::problem::Problem;
use crate::api::values::Time;
use crate::api::who::Who;
use crate::auth::{Permission, Scope};
use axum::extract::State;
use picket_store::{Definition, FindingCursor, FindingFilter, Kind, PageSize, limits};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// Findings that a preview looks at, the newest first.
pub(super) const LOOKED_AT: usize = 10_000;
/// Findings that are named.
const NAMED: usize = 100;
/// Hosts that are named.
const HOSTS: usize = 20;

/// How many findings of a host.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct OfHost {
    /// Its name.
    host: String,
    /// How many would be hidden.
    hidden: usize,
}

/// What an exception would have hidden of the rule's findings, decided by the engine that
/// sensors have.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::api) struct ExceptionPreview {
    /// How many findings were looked at, the newest first.
    looked_at: usize,
    /// There are older ones that were not.
    truncated: bool,
    /// The oldest of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// How many would not have been made,
    pub(super) hidden: usize,
    /// and how many would have been all the same.
    kept: usize,
    /// How many the rule does not match any more, as it is now.
    unmatched: usize,
    /// Of how many it cannot be said: a value that decides is not known, or the finding is
    /// from somewhere else.
    unjudged: usize,
    /// The hosts on which most would be hidden.
    hosts: Vec<OfHost>,
    /// The newest of those that would be hidden,
    hidden_findings: Vec<String>,
    /// and of those that would not.
    kept_findings: Vec<String>,
}

/// Tell which past findings an exception would have hidden
#[utoipa::path(post, path = "/rules/{name}/exceptions/preview", tag = "exceptions", operation_id = "preview_exception",
    params(("name" = String, Path, description = "The rule's name")), request_body = NewException,
    responses((status = 200, body = ExceptionPreview), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(in crate::api) async fn preview(
    State(app): State<App>,
    who: Who,
    Path(rule): Path<String>,
    Json(new): Json<NewException>,
) -> Result<Json<ExceptionPreview>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let rule = rule_of(&app, &who, &rule).await?;
    let (before, after) = super::beside(&app, &new, &rule).await?;
    let shown = looked(&app, &scope, &rule, &new.name, before, after, LOOKED_AT).await?;
    Ok(Json(shown))
}

/// Judges past findings of the rule, as many as that.
pub(super) async fn looked(
    app: &App,
    scope: &Scope,
    rule: &Definition,
    exception: &str,
    before: Vec<Entry>,
    after: Vec<Entry>,
    most: usize,
) -> Result<ExceptionPreview, Problem> {
    debug_assert_eq!(rule.kind, Kind::Rule);
    let name = (rule.name.clone(), exception.to_owned());
    let mut lens = Lens::new(before, after, name.0, name.1).await?;
    let filter = FindingFilter {
        rules: vec![rule.name.clone()],
        projects: scope.clone().projects(),
        ..FindingFilter::default()
    };
    let mut shown = ExceptionPreview::default();
    let mut hosts: HashMap<String, usize> = HashMap::new();
    let mut cursor: Option<FindingCursor> = None;
    loop {
        let size = PageSize::new(limits::MAX_PAGE)?;
        let page = app.store.findings(&filter, cursor, size).await?;
        let bodies = bodies(app, &page.items).await?;
        let rows = page.items;
        // Evaluating is quick, reading JSON is not: off the async threads.
        let judged = tokio::task::spawn_blocking(move || {
            let judged: Vec<_> = rows
                .into_iter()
                .map(|row| {
                    let event = bodies.get(&row.id).and_then(event);
                    let seen = event.map_or(Seen::Unjudged, |event| lens.judge(&event));
                    (row, seen)
                })
                .collect();
            (lens, judged)
        });
        let (back, judged) = judged.await.map_err(Problem::internal)?;
        lens = back;
        for (row, seen) in judged {
            shown.looked_at += 1;
            shown.since = Some(Time(row.columns.time));
            let named = match seen {
                Seen::Hidden => {
                    shown.hidden += 1;
                    *hosts.entry(row.columns.host).or_default() += 1;
                    Some(&mut shown.hidden_findings)
                }
                Seen::Kept => {
                    shown.kept += 1;
                    Some(&mut shown.kept_findings)
                }
                Seen::Unmatched => {
                    shown.unmatched += 1;
                    None
                }
                Seen::Unjudged => {
                    shown.unjudged += 1;
                    None
                }
            };
            if let Some(named) = named.filter(|named| named.len() < NAMED) {
                named.push(row.id.to_string());
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        if shown.looked_at >= most {
            shown.truncated = true;
            break;
        }
    }
    let mut hosts: Vec<(String, usize)> = hosts.into_iter().collect();
    hosts.sort_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
    let hosts = hosts.into_iter().take(HOSTS);
    shown.hosts = hosts
        .map(|(host, hidden)| OfHost { host, hidden })
        .collect();
    Ok(shown)
}
