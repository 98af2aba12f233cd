//! `picket policy` and `picket rule`: the way from simulate to block, from a terminal.

mod evidence;
mod stage;

use anyhow::{Result, ensure};
use std::process::ExitCode;

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A response policy.
    Policy,
    /// A rule.
    Rule,
}

impl Subject {
    const fn folder(self) -> &'static str {
        match self {
            Subject::Policy => "policies",
            Subject::Rule => "rules",
        }
    }
}

/// What is done.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show what it would have killed, and what should be known before it is armed
    #[command(after_help = "Examples:\n  picket policy evidence stop-web-shells\n  \
            picket policy evidence stop-web-shells --from 2026-11-01T00:00:00Z --format json")]
    Evidence(evidence::Args),
    /// Let it be simulated: forward from a draft, or back from block
    #[command(
        after_help = "Example:\n  picket policy simulate stop-web-shells --reason 'ticket 7'"
    )]
    Simulate(stage::Simulate),
    /// Let it block, on evidence that was looked at
    #[command(
        after_help = "Example:\n  picket policy arm stop-web-shells --evidence 5f2c… --reason 'a week without a false one'"
    )]
    Arm(stage::Arm),
}

/// Does it.
pub fn run(subject: Subject, command: &Command) -> Result<ExitCode> {
    match command {
        Command::Evidence(args) => evidence::run(subject, args),
        Command::Simulate(args) => stage::simulate(subject, args),
        Command::Arm(args) => stage::arm(subject, args),
    }
}

/// Where it is; what is no name is refused before it is in a URL.
fn path(subject: Subject, name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    ensure!(
        !name.is_empty() && !name.starts_with('.') && name.chars().all(plain),
        "{name:?} is no name: lower case letters, digits and .-_"
    );
    Ok(format!("/api/v1/{}/{name}", subject.folder()))
}
