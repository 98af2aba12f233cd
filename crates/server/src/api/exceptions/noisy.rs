//! Rules that flood, and the smallest exceptions that would quiet them.

use super::lens::event;
use super::propose::known;
use crate::api::App;
use crate::api::extract::{Json, Query};
use crate::api::problem::Problem;
use crate::api::values::{Time, now};
use crate::api::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_model::{Event, field::Field};
use picket_store::{FindingFilter, Micros, PageSize, RuleRate, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

const HOUR: Micros = 3_600_000_000;
/// Of which time findings are counted: a day.
const WINDOW: Micros = 24 * HOUR;
/// Findings an hour above which a rule is noisy, where nobody says.
const PER_HOUR: u32 = 100;
/// Rules that are told of.
const MOST: usize = 20;
/// Pages of a rule's newest findings that exceptions are made of.
const PAGES: usize = 4;
/// Exceptions of one rule,
const SMALLEST: usize = 3;
/// and tuples of one.
const TUPLES: usize = 20;
/// What is done, by what, where: the sets of fields that exceptions are made of.
const SETS: [&[&str]; 9] = [
    &[
        "process.cmd_line",
        "actor.process.path",
        "container.image.name",
    ],
    &["process.cmd_line"],
    &["process.path", "actor.process.path", "container.image.name"],
    &["process.path", "actor.process.path"],
    &["process.path", "container.image.name"],
    &["actor.process.path", "file.path"],
    &["actor.process.path", "dst_endpoint.ip"],
    &["actor.process.path", "query.hostname"],
    &["actor.process.path"],
];

/// From when on a rule is noisy.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct NoisyQuery {
    /// With more findings an hour than this; 100 if left out.
    #[param(minimum = 1)]
    per_hour: Option<u32>,
}

/// An exception that would quiet a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Quieting {
    /// The fields that are compared,
    fields: Vec<String>,
    /// and what they are.
    #[schema(value_type = Vec<Vec<Object>>)]
    values: Vec<Vec<Value>>,
    /// How many of the findings looked at it would hide.
    hides: usize,
    /// How many an hour would be left.
    left_per_hour: f64,
}

/// A rule that floods.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct NoisyRule {
    /// The rule.
    rule: String,
    /// Its findings that were counted: of the last day, and of all rules the newest 100,000.
    findings: i64,
    /// An hour, from the first of them to the last.
    per_hour: f64,
    /// On how many hosts.
    hosts: i64,
    /// When the first of them happened.
    since: Time,
    /// Its newest findings that exceptions are made of.
    looked_at: usize,
    /// Exceptions that would bring it down to the measure, the smallest first.
    exceptions: Vec<Quieting>,
}

/// List rules that flood, with the smallest exceptions that would quiet each
#[utoipa::path(get, path = "/noisy-rules", tag = "exceptions", operation_id = "list_noisy_rules", params(NoisyQuery),
    responses((status = 200, body = Vec<NoisyRule>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(in crate::api) async fn list(
    State(app): State<App>,
    who: Who,
    Query(query): Query<NoisyQuery>,
) -> Result<Json<Vec<NoisyRule>>, Problem> {
    who.needs_everywhere(Permission::Read)?;
    let measure = f64::from(query.per_hour.unwrap_or(PER_HOUR).max(1));
    let rates = app.store.rule_rates(now() - WINDOW).await?;
    let noisy = rates.into_iter().filter(|rate| per_hour(rate) > measure);
    let mut told = Vec::new();
    for rate in noisy.take(MOST) {
        told.push(quieted(&app, rate, measure).await?);
    }
    Ok(Json(told))
}

/// Of a burst, as if it were all of an hour.
fn per_hour(rate: &RuleRate) -> f64 {
    let hours = (rate.last - rate.first).max(HOUR) as f64 / HOUR as f64;
    rate.findings as f64 / hours
}

async fn quieted(app: &App, rate: RuleRate, measure: f64) -> Result<NoisyRule, Problem> {
    let filter = FindingFilter {
        rules: vec![rate.rule.clone()],
        ..FindingFilter::default()
    };
    let (mut events, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES {
        let size = PageSize::new(limits::MAX_PAGE)?;
        let page = app.store.findings(&filter, cursor, size).await?;
        let ids: Vec<_> = page.items.iter().map(|row| row.id).collect();
        let bodies = app.store.findings_ocsf(&ids).await?;
        let read = tokio::task::spawn_blocking(move || -> Vec<Event> {
            bodies.iter().filter_map(|(_, ocsf)| event(ocsf)).collect()
        });
        events.extend(read.await.map_err(Problem::internal)?);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let rated = per_hour(&rate);
    Ok(NoisyRule {
        exceptions: smallest(&events, rated, measure),
        looked_at: events.len(),
        per_hour: rated,
        rule: rate.rule,
        findings: rate.findings,
        hosts: rate.hosts,
        since: Time(rate.first),
    })
}

/// For each set of fields the fewest tuples that quiet the rule; of those, the fewest
/// tuples, then what hides least. A list of all that was seen would hold for nothing new.
fn smallest(events: &[Event], rate: f64, measure: f64) -> Vec<Quieting> {
    let mut found: Vec<Quieting> = SETS
        .iter()
        .filter_map(|names| of_set(events, names, rate, measure))
        .collect();
    found.sort_by_key(|one| (one.values.len(), one.hides, Reverse(one.fields.len())));
    found.truncate(SMALLEST);
    found
}

fn of_set(events: &[Event], names: &[&str], rate: f64, measure: f64) -> Option<Quieting> {
    let fields: Option<Vec<Field>> = names.iter().map(|name| Field::from_name(name)).collect();
    let fields = fields?;
    let mut counts: HashMap<String, (usize, Vec<Value>)> = HashMap::new();
    for event in events {
        let tuple: Option<Vec<Value>> = fields.iter().map(|field| known(event, *field)).collect();
        if let Some(tuple) = tuple {
            let key = Value::from(tuple.clone()).to_string();
            counts.entry(key).or_insert((0, tuple)).0 += 1;
        }
    }
    let mut counts: Vec<(String, (usize, Vec<Value>))> = counts.into_iter().collect();
    counts.sort_by(|one, other| (other.1.0, &one.0).cmp(&(one.1.0, &other.0)));
    let left = |hides: usize| rate * (events.len() - hides) as f64 / events.len() as f64;
    let (mut hides, mut values) = (0, Vec::new());
    for (_, (count, tuple)) in counts.into_iter().take(TUPLES) {
        hides += count;
        values.push(tuple);
        if left(hides) <= measure {
            return Some(Quieting {
                fields: names.iter().map(|name| (*name).to_owned()).collect(),
                values,
                hides,
                left_per_hour: left(hides),
            });
        }
    }
    None
}
