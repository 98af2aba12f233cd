//! `picket diff`: what `picket apply` would change, line by line.

use super::client::Client;
use super::{Remote, files};
use crate::commands::Format;
use crate::output;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rule files and folders
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Look also for what stands in none of the files
    #[arg(long)]
    prune: bool,
    /// How the differences are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Compares; 1 if something differs.
pub fn run(args: &Args) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let body = json!({"files": files(&args.paths)?, "dry_run": true, "prune": args.prune});
    let (applied, answer) = match super::apply(&client, &body)? {
        Ok(answered) => answered,
        // What cannot be compared is no difference.
        Err(_) => return Ok(ExitCode::from(crate::WRONG)),
    };
    match args.format {
        Format::Json => output::write(&format!("{answer:#}\n"))?,
        Format::Text => {
            let text: String = applied
                .changes
                .iter()
                .map(|change| format!("{}{}", change.line(), change.diff))
                .collect();
            output::write(&text)?;
        }
    }
    Ok(ExitCode::from(u8::from(!applied.changes.is_empty())))
}
