//! Findings as a file.

use super::super::App;
use super::super::extract::Pairs;
use super::super::findings::{FindingsQuery, bodies, question};
use super::super::problem::Problem;
use super::super::search::{Search, sifted};
use super::super::values::Time;
use super::super::who::Who;
use super::{Export, Pages, begin, csv, format, unknown};
use crate::auth::Permission;
use axum::extract::State;
use axum::response::Response;
use picket_store::{FindingCursor, FindingFilter, FindingRow, PageSize};
use std::fmt::Display;

/// Findings read at once: with the whole of each, some megabytes.
const PAGE: u32 = 100;

/// The columns of the CSV.
const COLUMNS: [&str; 14] = [
    "id",
    "uid",
    "sensor",
    "time",
    "received_at",
    "severity",
    "disposition",
    "rule",
    "host",
    "container",
    "image",
    "user",
    "process",
    "fingerprint",
];

/// Export findings, the newest first
///
/// Everything that the filters of the list find: as `ocsf-jsonl`, one OCSF Detection
/// Finding a line, or as `csv`, their columns, with a line of names. The body comes as it
/// is read; one that breaks off is not the whole. What arrives meanwhile and is newer is
/// not in it. In the CSV, a cell that a spreadsheet would take for a formula has an
/// apostrophe in front. That somebody exports is in the audit log.
#[utoipa::path(get, path = "/findings/export", tag = "findings", operation_id = "export_findings",
    params(FindingsQuery, ("format" = String, Query, description = "`ocsf-jsonl` or `csv`")),
    responses((status = 200, description = "One finding a line", content(
            (String = "application/jsonl"), (String = "text/csv"))),
        (status = 400, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn export(
    State(app): State<App>,
    who: Who,
    Pairs(mut pairs): Pairs,
) -> Result<Response, Problem> {
    let scope = who.needs(Permission::Read)?;
    let (as_csv, media_type, file) = match format(&mut pairs)?.as_str() {
        "ocsf-jsonl" => (false, "application/jsonl", "findings.jsonl"),
        "csv" => (
            true,
            "text/csv; charset=utf-8; header=present",
            "findings.csv",
        ),
        _ => return Err(unknown("ocsf-jsonl or csv")),
    };
    let asked = pairs.clone();
    let question = question(&app, &scope, pairs).await?;
    let pages = FindingPages {
        filter: question.filter,
        search: question.search,
        as_csv,
        place: Place::Start,
    };
    let export = Export {
        kind: "finding",
        media_type,
        file,
        asked,
    };
    begin(app, who, export, pages).await
}

enum Place {
    Start,
    After(FindingCursor),
    End,
}

struct FindingPages {
    filter: FindingFilter,
    search: Option<Search>,
    as_csv: bool,
    place: Place,
}

impl Pages for FindingPages {
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
        let mut page = app.store.findings(&self.filter, before, size).await?;
        self.place = page.next.map_or(Place::End, Place::After);
        page.items = sifted(&mut self.search, app, page.items).await?;
        if self.as_csv {
            page.items.iter().for_each(|row| row_line(&mut lines, row));
            return Ok(Some(lines));
        }
        let mut whole = bodies(app, &page.items).await?;
        for ocsf in page.items.iter().filter_map(|row| whole.remove(&row.id)) {
            serde_json::to_writer(&mut lines, &ocsf).map_err(Problem::internal)?;
            lines.push(b'\n');
        }
        Ok(Some(lines))
    }
}

fn row_line(lines: &mut Vec<u8>, row: &FindingRow) {
    let columns = &row.columns;
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let cells: [&dyn Display; COLUMNS.len()] = [
        &row.id,
        &row.uid,
        &row.sensor,
        &Time(columns.time),
        &Time(row.received_at),
        &columns.severity.name(),
        &columns.disposition.name().to_lowercase(),
        &columns.rule,
        &columns.host,
        &optional(&columns.container),
        &optional(&columns.image),
        &optional(&columns.user),
        &optional(&columns.process),
        &columns.fingerprint.value,
    ];
    csv::line(lines, cells);
}
