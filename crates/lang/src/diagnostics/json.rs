//! Diagnostics as JSON.

use crate::diagnostics::{Diagnostic, Label};
use crate::source::{Lines, Position, Source};
use serde::Serialize;

/// One diagnostic, as programs read it.
#[derive(Serialize)]
struct Report<'d> {
    code: &'static str,
    severity: &'static str,
    message: &'d str,
    #[serde(flatten)]
    place: Place<'d>,
    /// The words under the caret.
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'d str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelReport<'d>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    help: &'d [String],
}

#[derive(Serialize)]
struct LabelReport<'d> {
    message: &'d str,
    #[serde(flatten)]
    place: Place<'d>,
}

#[derive(Serialize)]
struct Place<'d> {
    file: &'d str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

/// The diagnostics as a JSON array, for programs. Lines and columns count from
/// 1, columns in characters; ends are one past the last character.
pub fn render_json(diagnostics: &[Diagnostic], sources: &[Source]) -> String {
    let lines: Vec<_> = sources
        .iter()
        .map(|source| Lines::new(&source.bytes))
        .collect();
    let place = |label: &Label| {
        let (start, end) = positions(label, &lines);
        Place {
            file: sources
                .get(label.span.source)
                .map_or("", |source| &source.name),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        }
    };
    let reports: Vec<_> = diagnostics
        .iter()
        .map(|diagnostic| Report {
            code: diagnostic.code,
            severity: diagnostic.level.name(),
            message: &diagnostic.message,
            place: place(&diagnostic.primary),
            label: &diagnostic.primary.text,
            labels: diagnostic
                .labels
                .iter()
                .map(|label| LabelReport {
                    message: &label.text,
                    place: place(label),
                })
                .collect(),
            help: &diagnostic.help,
        })
        .collect();
    // Strings and numbers always serialise.
    serde_json::to_string_pretty(&reports).unwrap_or_default()
}

fn positions(label: &Label, lines: &[Lines<'_>]) -> (Position, Position) {
    match lines.get(label.span.source) {
        Some(lines) => (
            lines.position(label.span.start),
            lines.position(label.span.end),
        ),
        None => (
            Position { line: 0, column: 0 },
            Position { line: 0, column: 0 },
        ),
    }
}
