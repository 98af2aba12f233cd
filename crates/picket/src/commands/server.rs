//! `picket server`: the control plane.

use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Says that there is none yet.
pub fn run(_args: &Args) -> Result<ExitCode> {
    bail!("the control plane is not in this version yet; `picket sensor` works without it")
}
