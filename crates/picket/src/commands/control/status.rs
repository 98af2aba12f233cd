//! `picket status`: what is in force on this host.

use super::{StateArgs, disarm, shown};
use crate::commands::Format;
use crate::control::client::{self, Asked, ControlArgs};
use crate::control::wire::{Reply, Request, Status};
use crate::output;
use anyhow::Result;
use picket_model::text::Escaped;
use picket_sensor::disarm::Marker;
use serde::Serialize;
use std::fmt::Write;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    state: StateArgs,
    /// Show every rule under a policy, also of policies that only simulate
    #[arg(long)]
    all: bool,
    /// How it is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What `--format json` prints.
#[derive(Debug, Serialize)]
struct Report {
    running: bool,
    #[serde(flatten)]
    status: Option<Status>,
    /// Without a sensor: whether blocks were lifted, and what stayed in force.
    #[serde(flatten)]
    without: Option<Without>,
}

#[derive(Debug, Serialize)]
struct Without {
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted: Option<Marker>,
    /// Policies that the kernel still decides by.
    left: Vec<disarm::Policy>,
}

/// Shows it; 1 if no sensor runs.
pub fn run(args: &Args) -> Result<ExitCode> {
    let report = match client::ask(&args.control.control, &Request::Status)? {
        Asked::Reply(Reply::Status(status)) => Report {
            running: true,
            status: Some(*status),
            without: None,
        },
        Asked::Reply(other) => return Err(client::unexpected(&other)),
        Asked::Nobody(why) => Report {
            running: false,
            status: None,
            without: Some(Without {
                why,
                lifted: Marker::read(&args.state.state)?,
                // Whoever may not look sees nothing there.
                left: disarm::in_force().unwrap_or_default(),
            }),
        },
    };
    match args.format {
        Format::Json => {
            let mut out = output::stdout();
            output::json_line(&mut out, &report)?;
            std::io::Write::flush(&mut out)?;
        }
        Format::Text => output::write(&text(&report, args.all))?,
    }
    Ok(ExitCode::from(u8::from(!report.running)))
}

fn text(report: &Report, all: bool) -> String {
    let mut text = String::new();
    if let Some(without) = &report.without {
        let _ = writeln!(text, "sensor    not running: {}", Escaped(&without.why));
        if let Some(marker) = &without.lifted {
            let _ = writeln!(
                text,
                "blocks    LIFTED {marker}; a sensor that starts simulates until `picket arm`"
            );
        }
        for policy in &without.left {
            let _ = writeln!(text, "in force  {policy}");
        }
    }
    if let Some(status) = &report.status {
        force(&mut text, status, all);
    }
    text
}

fn force(text: &mut String, status: &Status, all: bool) {
    let _ = writeln!(text, "sensor    running: {}", shown::sensor(&status.sensor));
    if let Some(fleet) = &status.fleet {
        shown::fleet(text, fleet);
    }
    let _ = writeln!(text, "rules     {}", status.rules);
    let blocking = status
        .policies
        .iter()
        .any(|policy| policy.action == "block");
    let blocks = match (status.disarmed, &status.lifted) {
        (true, Some(marker)) => format!("LIFTED {marker}; policies simulate until `picket arm`"),
        (true, None) => "LIFTED; policies simulate until `picket arm`".to_owned(),
        (false, _) if blocking => "armed".to_owned(),
        (false, _) => "none: no policy blocks".to_owned(),
    };
    let _ = writeln!(text, "blocks    {blocks}");
    let _ = writeln!(text, "policies  {}", status.policies.len());
    for policy in &status.policies {
        let _ = writeln!(
            text,
            "  {}: {}; {}",
            Escaped(&policy.id),
            shown::action(policy),
            shown::budget(policy.budget.as_ref())
        );
    }
    let _ = writeln!(text, "enforcement on this host");
    shown::enforcement(text, &status.enforcement, all);
}
