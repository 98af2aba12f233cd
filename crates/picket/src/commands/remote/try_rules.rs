//! `picket rules try`: a rule on what has happened, before it is stored anywhere.

use super::Remote;
use super::client::Client;
use crate::commands::Format;
use crate::output;
use anyhow::{Context, Result};
use picket_model::text::Escaped;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A rule file; it may use the lists and macros that the server has
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Try it on the events of this recording (`picket record --format json`), and not on findings
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// How the answer is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Deserialize)]
struct Report {
    looked_at: usize,
    truncated: bool,
    since: Option<String>,
    matched: usize,
    unjudged: usize,
    by_rule: BTreeMap<String, usize>,
    findings: Vec<Finding>,
    lines: Vec<Line>,
    bad_lines: Vec<BadLine>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    id: String,
    time: String,
    host: String,
    rule: String,
    process: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Line {
    line: usize,
    uid: String,
    rules: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct BadLine {
    line: usize,
    why: String,
}

/// What it matches; 0 if it matches something, 1 if not.
pub fn run(args: &Args) -> Result<ExitCode> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut body = json!({"text": read(&args.file)?});
    if let Some(events) = &args.events {
        body["events"] = read(events)?.into();
    }
    let client = Client::new(&args.remote)?;
    let answer: Value = client.post("/api/v1/workbench/try", &body)?;
    let report = Report::deserialize(&answer)
        .context("the server answers what this picket does not know")?;
    match args.format {
        Format::Json => output::write(&format!("{answer:#}\n"))?,
        Format::Text => output::write(&text(&report))?,
    }
    Ok(ExitCode::from(u8::from(report.matched == 0)))
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let process = finding.process.as_deref().unwrap_or("-");
        let _ = writeln!(
            text,
            "{}  {}  {}: {} (found by {})",
            Escaped(&finding.id),
            Escaped(&finding.time),
            Escaped(&finding.host),
            Escaped(process),
            Escaped(&finding.rule),
        );
    }
    for line in &report.lines {
        let rules = line.rules.join(", ");
        let _ = writeln!(
            text,
            "line {}: event {}: {}",
            line.line,
            Escaped(&line.uid),
            Escaped(&rules)
        );
    }
    for bad in &report.bad_lines {
        let _ = writeln!(
            text,
            "line {} cannot be read: {}",
            bad.line,
            Escaped(&bad.why)
        );
    }
    for (rule, count) in &report.by_rule {
        let _ = writeln!(text, "{}: {count}", Escaped(rule));
    }
    let _ = write!(
        text,
        "{} of {} events match",
        report.matched, report.looked_at
    );
    if report.unjudged > 0 {
        let _ = write!(text, ", of {} it cannot be said", report.unjudged);
    }
    if let (true, Some(since)) = (report.truncated, &report.since) {
        let _ = write!(
            text,
            "; older ones than {} were not looked at",
            Escaped(since)
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_is_said() {
        let finding = json!({"id": "019a", "time": "2026-11-27T10:00:00Z", "host": "web-1\n", "rule": "r", "process": null});
        let report = json!({"looked_at": 10_000, "truncated": true, "since": "2026-11-20T00:00:00Z", "matched": 1,
            "unjudged": 2, "by_rule": {"mine": 1}, "findings": [finding],
            "lines": [{"line": 3, "uid": "e", "rules": ["mine"]}], "bad_lines": [{"line": 4, "why": "no JSON"}]});
        let text = text(&serde_json::from_value(report).unwrap());
        assert_eq!(
            text,
            "019a  2026-11-27T10:00:00Z  web-1\\n: - (found by r)\nline 3: event e: mine\n\
             line 4 cannot be read: no JSON\nmine: 1\n1 of 10000 events match, of 2 it cannot be said; \
             older ones than 2026-11-20T00:00:00Z were not looked at\n"
        );
    }
}
