//! `picket apply`: a folder becomes what stands on the server.

use super::client::Client;
use super::{Remote, files, tell};
use crate::commands::Format;
use crate::{console, output};
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// How far what is new or changed may go. To `block` things are moved one by one, each
/// with a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// On no sensor.
    Draft,
    /// On sensors; nothing is blocked.
    Simulate,
}

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rule files and folders
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Tell alone what would change
    #[arg(long)]
    dry_run: bool,
    /// Delete what stands in none of the files
    #[arg(long)]
    prune: bool,
    /// How far what is in the files may go at least; left out: new rules and policies are drafts
    #[arg(long, value_enum)]
    stage: Option<Stage>,
    /// Why; it stands in the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// How the changes are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Applies.
pub fn run(args: &Args) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let body = json!({
        "files": files(&args.paths)?,
        "dry_run": args.dry_run,
        "prune": args.prune,
        "stage": args.stage.map(|stage| match stage {
            Stage::Draft => "draft",
            Stage::Simulate => "simulate",
        }),
        "reason": args.reason,
    });
    let (applied, answer) = match super::apply(&client, &body)? {
        Ok(answered) => answered,
        Err(code) => return Ok(code),
    };
    match args.format {
        Format::Json => output::write(&format!("{answer:#}\n"))?,
        Format::Text => {
            tell(&applied.diagnostics);
            let lines: String = applied.changes.iter().map(super::Change::line).collect();
            output::write(&lines)?;
            let verb = if args.dry_run {
                "would change"
            } else {
                "changed"
            };
            console::line(&format!(
                "{verb}: {}; as it is already: {}",
                applied.changes.len(),
                applied.unchanged
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
