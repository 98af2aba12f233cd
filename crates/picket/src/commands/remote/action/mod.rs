//! `picket action`: something done on a host, by order.

mod order;
mod show;

use super::Remote;
use super::client::{Client, Refused};
use crate::commands::Format;
use crate::{console, output};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often it is asked whether there is an answer.
const EVERY: Duration = Duration::from_millis(250);

/// What is done.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Kill a process of a host, and everything that descends from it
    #[command(
        name = "kill-tree",
        after_help = "Examples:\n  picket action kill-tree --finding 019aa3f0-5c1e-7c44-9d1b-0d6a7be1d3c2 --reason 'web shell'\n  \
            picket action kill-tree --sensor 019a… --pid 4242 --start-ns 8412330000000 --reason 'case 7'"
    )]
    KillTree(order::OfProcess),
    /// Tell what a process of a host is, has open and stands in
    #[command(
        after_help = "Example:\n  picket action forensics --finding 019aa3f0-5c1e-7c44-9d1b-0d6a7be1d3c2 --reason 'case 7' --format json"
    )]
    Forensics(order::OfProcess),
    /// Take a file of a host out of everybody's reach
    #[command(
        after_help = "Example:\n  picket action quarantine --sensor 019a… --path /tmp/x --sha256 9f86… --reason 'case 7'"
    )]
    Quarantine(order::OfFile),
    /// Cut a host off from the network, but for its server, for a while
    #[command(
        after_help = "Example:\n  picket action isolate --sensor 019a… --lease 3600 --allow 10.0.0.5 --reason 'case 7'"
    )]
    Isolate(order::OfHost),
    /// List what was ordered, the newest first
    #[command(after_help = "Example:\n  picket action list --sensor 019a…")]
    List(show::ListArgs),
    /// Show an order, and what came of it
    #[command(after_help = "Example:\n  picket action show 019aa3f0-5c1e-7c44-9d1b-0d6a7be1d3c2")]
    Show(show::OneArgs),
    /// Take an order back: let a host back to the network, put a file back
    #[command(after_help = "Example:\n  picket action undo 019aa3f0-… --reason 'it is clean'")]
    Undo(UndoArgs),
}

/// What every order has.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Why; it stands in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long its answer is waited for, seconds; it is carried out all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// How it is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `undo`.
#[derive(Debug, Clone, clap::Args)]
pub struct UndoArgs {
    /// The order's id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

/// Does it.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::KillTree(args) => order::of_process(args, "kill_tree"),
        Command::Forensics(args) => order::of_process(args, "collect_forensics"),
        Command::Quarantine(args) => order::of_file(args),
        Command::Isolate(args) => order::of_host(args),
        Command::List(args) => show::list(args),
        Command::Show(args) => show::one(args),
        Command::Undo(args) => {
            let client = Client::new(&args.common.remote)?;
            let path = format!("/api/v1/host-actions/{}/undo", plain(&args.id)?);
            let body = json!({"reason": args.common.reason});
            let given = client.post(&path, &body)?;
            answer(&client, &given, &args.common)
        }
    }
}

/// An id as it goes into a URL.
fn plain(id: &str) -> Result<&str> {
    let plain = |c: char| c.is_ascii_hexdigit() || c == '-';
    ensure!(
        !id.is_empty() && id.len() <= 36 && id.chars().all(plain),
        "{id:?} is no id"
    );
    Ok(id)
}

/// Waits for what comes of an order, and writes it; 1 if it was not carried out.
fn answer(client: &Client, given: &Value, common: &Common) -> Result<ExitCode> {
    let id = plain(given["id"].as_str().unwrap_or_default())?;
    let until = Instant::now() + Duration::from_secs(common.wait);
    let mut told = false;
    let ended = loop {
        let action = read(client, id)?;
        let open = matches!(action["state"].as_str(), Some("queued" | "sent"));
        if !open || Instant::now() >= until {
            break action;
        }
        if !told {
            console::note(&format!("ordered as {id}; waiting for its sensor"));
            told = true;
        }
        std::thread::sleep(EVERY);
    };
    match common.format {
        Format::Json => output::write(&format!("{ended:#}\n"))?,
        Format::Text => output::write(&show::whole(&ended))?,
    }
    let bad = matches!(
        ended["state"].as_str(),
        Some("failed" | "refused" | "expired")
    );
    Ok(ExitCode::from(u8::from(bad)))
}

fn read(client: &Client, id: &str) -> Result<Value, Refused> {
    client.get(&format!("/api/v1/host-actions/{id}"))
}
