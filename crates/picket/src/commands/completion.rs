//! `picket completion`: tab completion for a shell.

use anyhow::Result;
use clap_complete::Shell;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// For which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Writes the shell's script to stdout.
pub fn run(args: &Args, mut command: clap::Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "picket", &mut script);
    crate::output::write(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
