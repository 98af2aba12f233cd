//! `picket issue set`.

use super::super::Remote;
use super::super::client::Client;
use super::{Issue, path};
use crate::commands::Format;
use crate::output;
use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// Where the work stands: open, in_progress, resolved, rejected
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Why it is rejected: false_positive, accepted_risk, duplicate, other
    #[arg(long, value_name = "WHY", requires = "status")]
    rejection: Option<String>,
    /// Who works on it
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
    /// Nobody works on it
    #[arg(long, conflicts_with = "assignee")]
    unassign: bool,
    /// How bad it is, whatever its findings say
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    /// Until when it should be closed, such as 2026-12-01T08:00:00Z
    #[arg(long, value_name = "TIME")]
    due: Option<String>,
    /// A label to add
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// A label to take away
    #[arg(long, value_name = "LABEL")]
    unlabel: Vec<String>,
    /// Why; it stays with the status, and in the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Add a note
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// How the issue is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Changes.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut body = body(args);
    let labels = !args.label.is_empty() || !args.unlabel.is_empty();
    ensure!(
        !body.is_empty() || labels || args.note.is_some(),
        "nothing is to be changed: give --status, --assignee, --severity, --due, --label, --unlabel or --note"
    );
    let client = Client::new(&args.remote)?;
    let path = path(&args.id)?;
    let (mut issue, tag) = client.get_tagged(&path)?;
    if labels {
        body.insert("labels".to_owned(), json!(labelled(&issue, args)));
    }
    if !body.is_empty() {
        body.insert("reason".to_owned(), json!(args.reason));
        issue = client.patch(&path, &tag, &body.into())?;
    }
    if let Some(note) = &args.note {
        client.post(&format!("{path}/notes"), &json!({"text": note}))?;
    }
    match args.format {
        Format::Json => output::write(&format!("{issue:#}\n"))?,
        Format::Text => output::write(&serde_json::from_value::<Issue>(issue)?.whole())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The labels that it is to have.
fn labelled(issue: &Value, args: &Args) -> Vec<String> {
    let has = issue["labels"].as_array().into_iter().flatten();
    let has = has.filter_map(Value::as_str).map(str::to_owned);
    let mut labels: Vec<String> = has.chain(args.label.iter().cloned()).collect();
    labels.retain(|label| !args.unlabel.contains(label));
    labels
}

fn body(args: &Args) -> Map<String, Value> {
    let mut body = Map::new();
    for (name, value) in [
        ("status", &args.status),
        ("rejection", &args.rejection),
        ("assignee", &args.assignee),
        ("severity", &args.severity),
        ("due_at", &args.due),
    ] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    if args.unassign {
        body.insert("assignee".to_owned(), Value::Null);
    }
    body
}
