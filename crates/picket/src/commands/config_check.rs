//! `picket config check`: whether a server would start with a configuration.

use crate::console;
use anyhow::Result;
use picket_server::config::{Config, ConfigError};
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
