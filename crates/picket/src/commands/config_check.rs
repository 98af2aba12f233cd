//! `picket config`: whether a server would start with a configuration, and what one may say.

use crate::{console, output};
use anyhow::Result;
use picket_server::config::{Config, ConfigError, DEFAULT};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Reads it; says what is wrong, with the place.
pub fn run(args: &Args) -> Result<ExitCode> {
    match Config::read(&args.file) {
        Ok(_) => {
            console::line(&format!("{}: fine", args.file.display()));
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong @ ConfigError::Wrong { .. }) => {
            console::error(&wrong.to_string());
            Ok(ExitCode::from(1))
        }
        Err(unreadable) => Err(unreadable.into()),
    }
}

/// Writes every key with its default to stdout.
pub fn show_default() -> Result<ExitCode> {
    output::write(DEFAULT)?;
    Ok(ExitCode::SUCCESS)
}
