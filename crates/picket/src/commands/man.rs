//! `picket man`: manual pages, for packagers.

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder to write picket.1, picket-sensor.1, … to
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes a page for each command.
pub fn run(args: &Args, command: clap::Command) -> Result<ExitCode> {
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(command, &args.folder))
        .with_context(|| format!("cannot write to {}", args.folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
