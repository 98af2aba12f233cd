//! Issues as a file.

use super::super::App;
use super::super::extract::Pairs;
use super::super::issues::{IssuesQuery, filter, views};
use super::super::problem::Problem;
use super::super::who::Who;
use super::{Export, Pages, begin, csv, format, unknown};
use crate::auth::{Permission, Scope};
use axum::extract::State;
use axum::response::Response;
use picket_store::{IssueCursor, IssueFilter, PageSize};
use serde_json::Value;
use std::fmt::Display;

/// Issues read at once.
const PAGE: u32 = 200;

/// The columns of the CSV, as the API names them.
const COLUMNS: [&str; 23] = [
    "id",
    "status",
    "rejection",
    "reason",
    "severity",
    "title",
    "rule",
    "host",
    "namespace",
    "image",
    "assignee",
    "labels",
    "count",
    "first_seen",
    "last_seen",
    "opened_at",
    "due_at",
    "overdue",
    "closed_at",
    "reopened",
    "changed_at",
    "fingerprint",
    "projects",
];

/// Export issues, the last seen first
///
/// Everything that the filters of the list find: as `jsonl`, an issue a line as the list
/// has them, or as `csv`, with a line of names. The body comes as it is read; one that
/// breaks off is not the whole. An issue that new findings are counted in meanwhile may be
/// missing. In the CSV, a cell that a spreadsheet would take for a formula has an
/// apostrophe in front. That somebody exports is in the audit log.
#[utoipa::path(get, path = "/issues/export", tag = "issues", operation_id = "export_issues",
    params(IssuesQuery, ("format" = String, Query, description = "`jsonl` or `csv`")),
    responses((status = 200, description = "One issue a line", content(
            (String = "application/jsonl"), (String = "text/csv"))),
        (status = 400, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn export(
    State(app): State<App>,
    who: Who,
    Pairs(mut pairs): Pairs,
) -> Result<Response, Problem> {
    let scope = who.needs(Permission::Read)?;
    let (as_csv, media_type, file) = match format(&mut pairs)?.as_str() {
        "jsonl" => (false, "application/jsonl", "issues.jsonl"),
        "csv" => (
            true,
            "text/csv; charset=utf-8; header=present",
            "issues.csv",
        ),
        _ => return Err(unknown("jsonl or csv")),
    };
    let asked = pairs.clone();
    let (filter, _, _) = filter(&app, &scope, pairs).await?;
    let pages = IssuePages {
        filter,
        scope,
        as_csv,
        place: Place::Start,
    };
    let export = Export {
        kind: "issue",
        media_type,
        file,
        asked,
    };
    begin(app, who, export, pages).await
}

enum Place {
    Start,
    After(IssueCursor),
    End,
}

struct IssuePages {
    filter: IssueFilter,
    scope: Scope,
    as_csv: bool,
    place: Place,
}

impl Pages for IssuePages {
    async fn next(&mut self, app: &App) -> Result<Option<Vec<u8>>, Problem> {
        let mut lines = Vec::new();
        let before = match self.place {
            Place::Start => {
                if self.as_csv {
                    csv::line(&mut lines, COLUMNS.iter().map(|name| name as &dyn Display));
                }
                None
            }
            Place::After(last) => Some(last),
            Place::End => return Ok(None),
        };
        let size = PageSize::new(PAGE)?;
        let page = app.store.issues(&self.filter, before, size).await?;
        self.place = page.next.map_or(Place::End, Place::After);
        for view in views(app, &self.scope, page.items).await? {
            let issue = serde_json::to_value(view).map_err(Problem::internal)?;
            if self.as_csv {
                issue_line(&mut lines, &issue);
            } else {
                serde_json::to_writer(&mut lines, &issue).map_err(Problem::internal)?;
                lines.push(b'\n');
            }
        }
        Ok(Some(lines))
    }
}

fn issue_line(lines: &mut Vec<u8>, issue: &Value) {
    let cells = COLUMNS.map(|column| match &issue[column] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.join(" ")
        }
        other => other.to_string(),
    });
    csv::line(lines, cells.iter().map(|cell| cell as &dyn Display));
}
