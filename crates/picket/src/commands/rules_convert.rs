//! `picket rules convert`: any rule format to native YAML.

use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rule files, and folders of *.yaml and *.yml
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

/// Native YAML to stdout.
pub fn run(args: &Args) -> Result<ExitCode> {
    bail!("{:?}", args.paths)
}
