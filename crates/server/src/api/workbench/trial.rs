//! A rule that is not stored, on events that have happened: of stored findings, or of a
//! recording.

use super::super::App;
use super::super::exceptions::{Judge, event};
use super::super::extract::Json;
use super::super::findings::{FindingView, bodies, view};
use super::super::problem::Problem;
use super::super::values::Time;
use super::super::who::Who;
use super::Draft;
use crate::auth::{Permission, Scope};
use axum::extract::State;
use picket_model::{Event, ocsf};
use picket_store::{FindingCursor, FindingFilter, FindingRow, PageSize, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Findings looked at, the newest first.
const LOOKED_AT: usize = 10_000;
/// Matches that are shown, and lines that cannot be read.
const SHOWN: usize = 100;

/// A rule file to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct TrialRequest {
    /// What stands in it.
    #[schema(max_length = 1048576)]
    text: String,
    /// Events of a recording, OCSF, one a line (`picket record --format json`). Left out: those
    /// of the findings that are stored.
    events: Option<String>,
}

/// A line of the recording that matched.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct MatchedLine {
    /// Which, from 1.
    line: usize,
    /// The event's id.
    uid: String,
    /// The rules that match it.
    rules: Vec<String>,
}

/// A line of the recording that cannot be read.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct BadLine {
    /// Which, from 1.
    line: usize,
    /// Why.
    why: String,
}

/// What it would have matched.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::api) struct TrialReport {
    /// How many events were looked at.
    looked_at: usize,
    /// There are older findings that were not looked at.
    truncated: bool,
    /// When the oldest event happened that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// How many of them match.
    matched: usize,
    /// Of how many it cannot be said: a value that decides is not known, or the event cannot
    /// be read.
    unjudged: usize,
    /// How many each rule matches.
    by_rule: BTreeMap<String, usize>,
    /// Findings that match, the newest of them.
    findings: Vec<FindingView>,
    /// Lines that match, the first of them.
    lines: Vec<MatchedLine>,
    /// Lines that cannot be read, the first of them.
    bad_lines: Vec<BadLine>,
}

/// Try a rule file that is being written: which stored findings or recorded events it matches
///
/// Decided by the engine that sensors have. Nothing is stored. An event of a finding is one
/// that some rule matched already: what no rule ever matched is in no finding.
#[utoipa::path(post, path = "/workbench/try", tag = "workbench", operation_id = "try_draft", request_body = TrialRequest,
    responses((status = 200, body = TrialReport), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn try_it(
    State(app): State<App>,
    who: Who,
    Json(asked): Json<TrialRequest>,
) -> Result<Json<TrialReport>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let checked = Draft::of(&app, asked.text).await?.sound()?;
    if checked.rules.is_empty() {
        return Err(Problem::invalid("text: there is no rule in it to try"));
    }
    let trial = tokio::task::spawn_blocking(move || Trial::of(checked.rules));
    let trial = trial.await.map_err(Problem::internal)?;
    let report = match asked.events {
        None => trial.on_findings(&app, &scope).await?,
        Some(events) => {
            let on_lines = tokio::task::spawn_blocking(move || trial.on_lines(&events));
            on_lines.await.map_err(Problem::internal)?
        }
    };
    Ok(Json(report))
}

/// Rules in use, and what they gave so far.
struct Trial {
    judge: Judge,
    report: TrialReport,
}

impl Trial {
    fn of(rules: Vec<picket_lang::ir::Rule>) -> Trial {
        Trial {
            judge: Judge::of(rules),
            report: TrialReport::default(),
        }
    }

    /// The rules that match it; it is counted.
    fn judge(&mut self, event: Option<&Event>) -> Vec<String> {
        self.report.looked_at += 1;
        let Some(event) = event else {
            self.report.unjudged += 1;
            return Vec::new();
        };
        let verdicts = self.judge.verdicts(event);
        let (matched, undecided) = (verdicts.matched.clone(), !verdicts.undecided.is_empty());
        let rules: Vec<String> = matched
            .into_iter()
            .map(|index| self.judge.id(index).to_owned())
            .collect();
        if !rules.is_empty() {
            self.report.matched += 1;
        } else if undecided {
            self.report.unjudged += 1;
        }
        for rule in &rules {
            *self.report.by_rule.entry(rule.clone()).or_default() += 1;
        }
        rules
    }

    fn on_lines(mut self, events: &str) -> TrialReport {
        for (number, line) in (1..).zip(events.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            match ocsf::event_from_json(line.as_bytes(), number as u64) {
                Ok(event) => {
                    let rules = self.judge(Some(&event));
                    if !rules.is_empty() && self.report.lines.len() < SHOWN {
                        self.report.lines.push(MatchedLine {
                            line: number,
                            uid: event.uid.to_string(),
                            rules,
                        });
                    }
                }
                Err(why) => {
                    self.judge(None);
                    if self.report.bad_lines.len() < SHOWN {
                        let why = why.to_string();
                        self.report.bad_lines.push(BadLine { line: number, why });
                    }
                }
            }
        }
        self.report
    }

    async fn on_findings(mut self, app: &App, scope: &Scope) -> Result<TrialReport, Problem> {
        let filter = FindingFilter {
            projects: scope.clone().projects(),
            ..FindingFilter::default()
        };
        let mut cursor: Option<FindingCursor> = None;
        loop {
            let size = PageSize::new(limits::MAX_PAGE)?;
            let page = app.store.findings(&filter, cursor, size).await?;
            let bodies = bodies(app, &page.items).await?;
            let rows = page.items;
            // Evaluating is quick, reading JSON is not: off the async threads.
            let judged = tokio::task::spawn_blocking(move || {
                for row in rows {
                    let event = bodies.get(&row.id).and_then(event);
                    self.row(row, event.as_ref());
                }
                self
            });
            self = judged.await.map_err(Problem::internal)?;
            cursor = page.next;
            self.report.truncated = cursor.is_some();
            if cursor.is_none() || self.report.looked_at >= LOOKED_AT {
                return Ok(self.report);
            }
        }
    }

    fn row(&mut self, row: FindingRow, event: Option<&Event>) {
        self.report.since = Some(Time(row.columns.time));
        let matches = !self.judge(event).is_empty();
        if matches && self.report.findings.len() < SHOWN {
            self.report.findings.push(view(row, None));
        }
    }
}
