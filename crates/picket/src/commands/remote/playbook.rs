//! `picket playbook`: what is done by itself, on a server.

use super::Remote;
use super::client::{Client, Refused, encoded};
use crate::commands::Format;
use crate::{console, output};
use anyhow::{Context, Result};
use picket_model::text::Escaped;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const PLAYBOOKS: &str = "/api/v1/playbooks";
const RUNS: &str = "/api/v1/playbook-runs";

/// What is done.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List playbooks, and how far each may go
    #[command(after_help = "Example:\n  picket playbook list --token-file ~/.picket-token")]
    List(Shared),
    /// Show a playbook, as JSON
    #[command(after_help = "Example:\n  picket playbook show answer > answer.json")]
    Show(Named),
    /// Make a playbook of a file, or change it; a new one is a draft
    #[command(
        after_help = "Example:\n  picket playbook put answer -f answer.json --reason 'ticket 7'\n\nThe file:\n  \
            {\"trigger\": {\"on\": [\"issue_opened\"], \"severity\": \"high\"},\n   \
            \"steps\": [{\"action\": {\"webhook\": {\"url\": \"https://siem.example/hook\", \"secret\": \"siem\"}}}]}"
    )]
    Put(Put),
    /// Move a playbook: draft, simulate (its runs are shown, not done) or block (it runs)
    #[command(
        after_help = "Example:\n  picket playbook stage answer simulate --reason 'to look at'"
    )]
    Stage(Stage),
    /// Show what a playbook would do about an issue or a finding, and do nothing
    #[command(after_help = "Example:\n  picket playbook dry-run answer --issue 019aa3f0-…")]
    DryRun(DryRun),
    /// List runs, the newest first
    #[command(after_help = "Example:\n  picket playbook runs --state waiting_approval")]
    Runs(Runs),
    /// Show a run with its steps
    #[command(after_help = "Example:\n  picket playbook run 019aa3f0-…")]
    Run(Named),
    /// Let the step be done that a run waits with
    #[command(after_help = "Example:\n  picket playbook approve 019aa3f0-… --reason 'it is one'")]
    Approve(Decide),
    /// Refuse it: the run ends
    #[command(after_help = "Example:\n  picket playbook reject 019aa3f0-… --reason 'a test'")]
    Reject(Decide),
}

/// How it is written, and by whom it is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Shared {
    /// How it is written to stdout: lists as json are one a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments with a name or an id.
#[derive(Debug, Clone, clap::Args)]
pub struct Named {
    /// Its name, or a run's id
    #[arg(value_name = "NAME or ID")]
    name: String,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `put`.
#[derive(Debug, Clone, clap::Args)]
pub struct Put {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The playbook, as JSON
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `stage`.
#[derive(Debug, Clone, clap::Args)]
pub struct Stage {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to: draft, simulate or block
    #[arg(value_name = "STAGE")]
    stage: String,
    /// Why; to let it run takes one
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `dry-run`.
#[derive(Debug, Clone, clap::Args)]
pub struct DryRun {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// About this issue
    #[arg(long, value_name = "ID", required_unless_present = "finding")]
    issue: Option<String>,
    /// About this finding
    #[arg(long, value_name = "ID")]
    finding: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `runs`.
#[derive(Debug, Clone, clap::Args)]
pub struct Runs {
    /// Of this playbook
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,
    /// In this state, such as waiting_approval or failed
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `approve` and `reject`.
#[derive(Debug, Clone, clap::Args)]
pub struct Decide {
    /// The run's id
    #[arg(value_name = "ID")]
    id: String,
    /// Why; it stands in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    shared: Shared,
}

/// Does it.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::List(shared) => {
            let page = client(shared)?.get(&format!("{PLAYBOOKS}?limit=500"))?;
            list(&page, shared.format, "there are no playbooks", |one| {
                format!(
                    "{:<9} {}  {}",
                    word(one, "stage"),
                    word(one, "name"),
                    word(&one["playbook"], "description")
                )
            })
        }
        Command::Show(args) => {
            let one = client(&args.shared)?.get(&path(&args.name))?;
            match args.shared.format {
                Format::Json => output::write(&format!("{one:#}\n"))?,
                Format::Text => output::write(&format!("{:#}\n", one["playbook"]))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Put(args) => put(args),
        Command::Stage(args) => {
            let client = client(&args.shared)?;
            let path = path(&args.name);
            let (_, tag) = client.get_tagged(&path)?;
            let body = json!({"stage": args.stage, "reason": args.reason});
            let one = client.post_tagged(&format!("{path}/stage"), &tag, &body)?;
            stands(&one, args.shared.format)
        }
        Command::DryRun(args) => {
            let mut body = json!({});
            for (key, id) in [("issue", &args.issue), ("finding", &args.finding)] {
                if let Some(id) = id {
                    body[key] = json!(id);
                }
            }
            let path = format!("{}/dry-run", path(&args.name));
            let shown = client(&args.shared)?.post(&path, &body)?;
            output::write(&format!("{:#}\n", shown["steps"]))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Runs(args) => {
            let mut path = format!("{RUNS}?limit={}", args.limit);
            for (key, value) in [("playbook", &args.playbook), ("state", &args.state)] {
                if let Some(value) = value {
                    let _ = write!(path, "&{key}={}", encoded(value));
                }
            }
            let page = client(&args.shared)?.get(&path)?;
            list(&page, args.shared.format, "there are no runs", |one| {
                format!(
                    "{}  {:<16} {}  {} upon {}",
                    word(one, "id"),
                    word(one, "state"),
                    word(one, "created_at"),
                    word(one, "playbook"),
                    word(one, "event")
                )
            })
        }
        Command::Run(args) => {
            let path = format!("{RUNS}/{}", encoded(&args.name));
            whole(&client(&args.shared)?.get(&path)?, args.shared.format)
        }
        Command::Approve(args) => decide(args, "approve"),
        Command::Reject(args) => decide(args, "reject"),
    }
}

fn client(shared: &Shared) -> Result<Client> {
    Client::new(&shared.remote)
}

fn path(name: &str) -> String {
    format!("{PLAYBOOKS}/{}", encoded(name))
}

fn put(args: &Put) -> Result<ExitCode> {
    let file = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {file}"))?;
    let playbook: Value =
        serde_json::from_str(&text).with_context(|| format!("{file} is no JSON"))?;
    let client = client(&args.shared)?;
    let path = path(&args.name);
    let body = json!({"playbook": playbook, "reason": args.reason});
    let one = match client.get_tagged(&path) {
        Ok((_, tag)) => client.put(&path, &tag, &body)?,
        Err(Refused::Problem(problem)) if problem["status"] == 404 => {
            let mut body = body;
            body["name"] = json!(args.name);
            client.post(PLAYBOOKS, &body)?
        }
        Err(why) => return Err(why.into()),
    };
    stands(&one, args.shared.format)
}

fn decide(args: &Decide, verb: &str) -> Result<ExitCode> {
    let path = format!("{RUNS}/{}/{verb}", encoded(&args.id));
    let run = client(&args.shared)?.post(&path, &json!({"reason": args.reason}))?;
    whole(&run, args.shared.format)
}

fn stands(one: &Value, format: Format) -> Result<ExitCode> {
    match format {
        Format::Json => output::write(&format!("{one:#}\n"))?,
        Format::Text => output::write(&format!(
            "playbook {} is at {}, version {}\n",
            word(one, "name"),
            word(one, "stage"),
            one["version"]
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(run: &Value, format: Format) -> Result<ExitCode> {
    if format == Format::Json {
        output::write(&format!("{run:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!(
        "{}: {} upon {}\n",
        word(run, "playbook"),
        word(run, "state"),
        word(run, "event")
    );
    for step in run["steps"].as_array().into_iter().flatten() {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {} {:<18} {:<16} {}",
            step["number"],
            word(step, "action"),
            word(step, "state"),
            word(step, "detail")
        );
    }
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn word(item: &Value, key: &str) -> String {
    Escaped(item[key].as_str().unwrap_or_default()).to_string()
}

fn list(
    page: &Value,
    format: Format,
    none: &str,
    line: impl Fn(&Value) -> String,
) -> Result<ExitCode> {
    let items = page["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if items.is_empty() {
        console::note(none);
    }
    let mut text = String::new();
    for item in items {
        let _ = match format {
            Format::Json => writeln!(text, "{item}"),
            Format::Text => writeln!(text, "{}", line(item)),
        };
    }
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}
