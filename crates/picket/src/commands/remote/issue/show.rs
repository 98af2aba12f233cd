//! `picket issue show`.

use super::super::Remote;
use super::super::client::Client;
use super::{Issue, pages, path};
use crate::commands::Format;
use crate::output;
use anyhow::Result;
use picket_model::text::Escaped;
use serde_json::{Value, json};
use std::fmt::Write;
use std::process::ExitCode;

/// Notes that are shown, at most.
const NOTES: usize = 500;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// So many of its latest findings
    #[arg(long, value_name = "N", default_value_t = 10)]
    findings: usize,
    /// How it is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Shows.
pub fn run(args: &Args) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let path = path(&args.id)?;
    let issue = client.get(&path)?;
    let notes = pages(&client, &format!("{path}/notes"), NOTES)?;
    let findings = pages(&client, &format!("{path}/findings"), args.findings)?;
    match args.format {
        Format::Json => {
            let whole = json!({"issue": issue, "notes": notes, "findings": findings});
            output::write(&format!("{whole:#}\n"))?;
        }
        Format::Text => {
            let mut text = serde_json::from_value::<Issue>(issue)?.whole();
            let said = |item: &Value, name: &str| {
                let said = item[name].as_str().unwrap_or_default();
                Escaped(said).to_string()
            };
            for note in &notes {
                let (at, author) = (said(note, "at"), said(note, "author"));
                let _ = writeln!(text, "note by {author}, {at}:\n  {}", said(note, "text"));
            }
            for finding in &findings {
                let _ = writeln!(
                    text,
                    "finding {}  {}  {}  {}",
                    said(finding, "id"),
                    said(finding, "time"),
                    said(finding, "disposition"),
                    said(finding, "process"),
                );
            }
            output::write(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
