//! `picket stats`: what a running sensor has counted, and what its rules cost.

use super::shown;
use crate::commands::Format;
use crate::control::client::{self, Asked, ControlArgs};
use crate::control::wire::{Counted, Reply, Request};
use crate::rule_files::counted;
use crate::{console, output};
use anyhow::{Result, bail};
use picket_model::text::Escaped;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    control: ControlArgs,
    /// Again every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
    /// Show every rule, also those that no event brought into question
    #[arg(long)]
    all: bool,
    /// How it is written to stdout: text, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Shows it once, or again and again.
pub fn run(args: &Args) -> Result<ExitCode> {
    loop {
        let stats = match client::ask(&args.control.control, &Request::Stats)? {
            Asked::Reply(Reply::Stats(stats)) => stats,
            Asked::Reply(other) => return Err(client::unexpected(&other)),
            Asked::Nobody(why) => bail!("{why} (picket up and picket sensor start one)"),
        };
        let mut out = output::stdout();
        match args.format {
            Format::Json => output::json_line(&mut out, &stats)?,
            Format::Text => {
                // Home, and clear what is below.
                let clear = args.watch.is_some() && std::io::stdout().is_terminal();
                let begin = if clear { "\x1b[H\x1b[J" } else { "" };
                write!(out, "{begin}{}", text(&stats, args.all))?;
            }
        }
        out.flush()?;
        drop(out);
        match args.watch {
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
            None => return Ok(ExitCode::SUCCESS),
        }
        if args.format == Format::Text && !std::io::stdout().is_terminal() {
            output::write("\n")?;
        }
    }
}

fn text(stats: &Counted, all: bool) -> String {
    let mut text = format!(
        "sensor: {}\n{}\n",
        shown::sensor(&stats.sensor),
        stats.counters
    );
    let is_shown = |asked: u64| all || asked > 0;
    let rules = || stats.rules.iter().filter(|rule| is_shown(rule.candidates));
    let width = rules()
        .map(|rule| rule.rule.len())
        .max()
        .unwrap_or(0)
        .max(4);
    if rules().next().is_some() {
        let _ = writeln!(
            text,
            "\n{:<width$} {:>12} {:>12} {:>9} {:>9} {:>10} {:>9}",
            "rule", "events", "candidates", "matches", "undecided", "sampled ns", "ns/event"
        );
    }
    let colour = console::colour_on_stdout();
    for rule in rules() {
        let _ = write!(
            text,
            "{:<width$} {:>12} {:>12} {:>9} {:>9} {:>10} {:>9.1}",
            Escaped(&rule.rule).to_string(),
            rule.events,
            rule.candidates,
            rule.matches,
            rule.undecided,
            rule.timed_ns,
            rule.ns_per_event
        );
        text.push_str(match (rule.over_budget, colour) {
            (true, true) => "  \x1b[1;33mover budget\x1b[0m\n",
            (true, false) => "  over budget\n",
            (false, _) => "\n",
        });
    }
    let hidden = stats.rules.len() - rules().count();
    if hidden > 0 {
        let _ = writeln!(
            text,
            "{} came into no question (--all shows them)",
            counted(hidden, "rule", "rules")
        );
    }
    let _ = writeln!(
        text,
        "counts of rules are since they were put in force; a rule may take {} ns of an event of its classes",
        stats.rule_budget_ns
    );
    text.push_str("\nenforcement on this host\n");
    shown::enforcement(&mut text, &stats.enforcement, all);
    text
}
