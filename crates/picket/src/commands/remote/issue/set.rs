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
    let body = body(args);
    ensure!(
        !body.is_empty() || args.note.is_some(),
        "nothing is to be changed: give --status, --assignee, --severity, --due or --note"
    );
    let client = Client::new(&args.remote)?;
    let path = path(&args.id)?;
    let (mut issue, tag) = client.get_tagged(&path)?;
    if !body.is_empty() {
        let mut body = body;
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
