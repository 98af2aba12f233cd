//! `picket issue list`.

use super::super::Remote;
use super::super::client::{Client, encoded};
use super::{Issue, pages};
use crate::commands::Format;
use crate::{console, output};
use anyhow::Result;
use picket_model::text::Escaped;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Of this status: open, in_progress, resolved, rejected; left out: what is not closed
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Closed ones too
    #[arg(long, conflicts_with = "status")]
    all: bool,
    /// Of this severity
    #[arg(long, value_name = "SEVERITY")]
    severity: Vec<String>,
    /// Of this rule
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// On this host
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// In this project
    #[arg(long, value_name = "NAME")]
    project: Vec<String>,
    /// That this user works on
    #[arg(long, value_name = "NAME")]
    assignee: Vec<String>,
    /// That nobody works on
    #[arg(long, conflicts_with = "assignee")]
    unassigned: bool,
    /// With this label
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// That should have been closed by now
    #[arg(long)]
    overdue: bool,
    /// Whose title, rule or host holds this text
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// How they are written to stdout; as json, one issue a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Lists.
pub fn run(args: &Args) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let items = pages(
        &client,
        &format!("/api/v1/issues?{}", query(args)),
        args.limit,
    )?;
    let mut text = String::new();
    for item in items {
        match args.format {
            Format::Json => text += &format!("{item}\n"),
            Format::Text => text += &line(&serde_json::from_value(item)?),
        }
    }
    if text.is_empty() && matches!(args.format, Format::Text) {
        console::line("no issues");
    }
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(issue: &Issue) -> String {
    format!(
        "{}  {:<13} {:<20} {:>7}  {}  {}: {}\n",
        Escaped(&issue.id),
        Escaped(&issue.severity).to_string(),
        issue.stands(),
        issue.count,
        Escaped(&issue.last_seen),
        Escaped(&issue.host),
        Escaped(&issue.title),
    )
}

fn query(args: &Args) -> String {
    let unfinished = ["open", "in_progress"].map(str::to_owned).to_vec();
    let statuses = if args.status.is_empty() && !args.all {
        &unfinished
    } else {
        &args.status
    };
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, values) in [
        ("status", statuses),
        ("severity", &args.severity),
        ("rule", &args.rule),
        ("host", &args.host),
        ("project", &args.project),
        ("assignee", &args.assignee),
        ("label", &args.label),
    ] {
        pairs.extend(values.iter().map(|value| (name, value.as_str())));
    }
    if args.unassigned {
        pairs.push(("assignee", ""));
    }
    if args.overdue {
        pairs.push(("overdue", "true"));
    }
    if let Some(text) = &args.text {
        pairs.push(("text", text));
    }
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}
