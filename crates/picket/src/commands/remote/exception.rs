//! `picket exception`: what rules leave alone, on a server.

use super::Remote;
use super::client::{Client, encoded};
use crate::commands::Format;
use crate::{console, output};
use anyhow::{Context, Result};
use picket_model::text::Escaped;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is done.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List exceptions, with their state: those that do not hold any more too
    #[command(after_help = "Example:\n  picket exception list --token-file ~/.picket-token")]
    List(ListArgs),
    /// List rules that flood, with the smallest exceptions that would quiet each
    #[command(after_help = "Example:\n  picket exception noisy --per-hour 50")]
    Noisy(NoisyArgs),
    /// Propose exceptions: what a finding, or an issue's findings, have in common
    #[command(
        after_help = "Example:\n  picket exception propose --issue 019aa3f0-5c1e-7c44-9d1b-0d6a7be1d3c2"
    )]
    Propose(ProposeArgs),
    /// Tell which past findings an exception would have hidden
    #[command(after_help = "Example:\n  picket exception preview web-shell -f cron.json")]
    Preview(FileArgs),
    /// Make an exception of a rule; it holds at once
    #[command(
        after_help = "Example:\n  picket exception add web-shell -f cron.json\n\nThe file:\n  \
            {\"name\": \"cron\", \"fields\": [\"process.path\"], \"values\": [[\"/usr/bin/dash\"]],\n   \
            \"expires_at\": \"2027-01-31T00:00:00Z\", \"reason\": \"backups\"}"
    )]
    Add(FileArgs),
    /// Delete an exception
    #[command(after_help = "Example:\n  picket exception remove cron")]
    Remove(RemoveArgs),
}

/// Arguments of `list`.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// How they are written to stdout: json is one a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `noisy`.
#[derive(Debug, Clone, clap::Args)]
pub struct NoisyArgs {
    /// With more findings an hour than this
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    per_hour: u32,
    /// How they are written to stdout: json is one a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `propose`.
#[derive(Debug, Clone, clap::Args)]
pub struct ProposeArgs {
    /// For this finding
    #[arg(long, value_name = "ID", required_unless_present = "issue")]
    finding: Option<String>,
    /// For this issue
    #[arg(long, value_name = "ID", conflicts_with = "finding")]
    issue: Option<String>,
    /// How they are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `preview` and `add`.
#[derive(Debug, Clone, clap::Args)]
pub struct FileArgs {
    /// The rule
    #[arg(value_name = "RULE")]
    rule: String,
    /// The exception, as JSON
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// How the answer is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `remove`.
#[derive(Debug, Clone, clap::Args)]
pub struct RemoveArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// Does it.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::List(args) => {
            let all = Client::new(&args.remote)?.get("/api/v1/exceptions")?;
            lines(&all, args.format, "there are no exceptions", |one| {
                format!(
                    "{:<9} {}  rule {}, until {}, {}: {}",
                    word(one, "state"),
                    word(one, "name"),
                    word(one, "rule"),
                    word(one, "expires_at"),
                    word(one, "owner"),
                    word(one, "reason")
                )
            })
        }
        Command::Noisy(args) => {
            let path = format!("/api/v1/noisy-rules?per_hour={}", args.per_hour);
            let all = Client::new(&args.remote)?.get(&path)?;
            lines(&all, args.format, "no rule floods", noisy)
        }
        Command::Propose(args) => propose(args),
        Command::Preview(args) => preview(args),
        Command::Add(args) => {
            let path = format!("/api/v1/rules/{}/exceptions", encoded(&args.rule));
            let made = Client::new(&args.remote)?.post(&path, &read(args)?)?;
            let told =
                |one: &Value| format!("exception {} is {}", word(one, "name"), word(one, "state"));
            write(&made, args.format, told)
        }
        Command::Remove(args) => {
            let client = Client::new(&args.remote)?;
            let path = format!("/api/v1/exceptions/{}", encoded(&args.name));
            let (_, tag) = client.get_tagged(&path)?;
            client.delete(&path, &tag)?;
            console::note(&format!("exception {} is deleted", Escaped(&args.name)));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn propose(args: &ProposeArgs) -> Result<ExitCode> {
    let of = match (&args.finding, &args.issue) {
        (Some(id), _) => format!("findings/{}", encoded(id)),
        (None, id) => format!("issues/{}", encoded(id.as_deref().unwrap_or_default())),
    };
    let path = format!("/api/v1/{of}/exception-proposals");
    let found = Client::new(&args.remote)?.get(&path)?;
    write(&found, args.format, |found| {
        let mut text = format!("rule {}\n", word(found, "rule"));
        for one in found["proposals"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "{}\n  {}", shown(one), figures(&one["preview"]));
        }
        text.trim_end().to_owned()
    })
}

fn preview(args: &FileArgs) -> Result<ExitCode> {
    let path = format!("/api/v1/rules/{}/exceptions/preview", encoded(&args.rule));
    let told = Client::new(&args.remote)?.post(&path, &read(args)?)?;
    write(&told, args.format, |told| {
        let mut text = figures(told);
        for host in told["hosts"].as_array().into_iter().flatten() {
            let _ = write!(text, "\n  {:>6}  {}", host["hidden"], word(host, "host"));
        }
        text
    })
}

fn read(args: &FileArgs) -> Result<Value> {
    let file = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {file}"))?;
    serde_json::from_str(&text).with_context(|| format!("{file} is no JSON"))
}

fn figures(preview: &Value) -> String {
    let older = match preview["truncated"].as_bool() {
        Some(true) => ", older ones were not looked at",
        _ => "",
    };
    format!(
        "hides {} of {} findings, keeps {}; {} do not match the rule any more, {} cannot be judged{older}",
        preview["hidden"],
        preview["looked_at"],
        preview["kept"],
        preview["unmatched"],
        preview["unjudged"]
    )
}

/// Fields and values.
fn shown(one: &Value) -> String {
    let text = format!("fields {}  values {}", one["fields"], one["values"]);
    Escaped(&text).to_string()
}

fn noisy(rule: &Value) -> String {
    let mut text = format!(
        "{}: {:.0} findings an hour on {} hosts since {}",
        word(rule, "rule"),
        rule["per_hour"].as_f64().unwrap_or_default(),
        rule["hosts"],
        word(rule, "since")
    );
    for one in rule["exceptions"].as_array().into_iter().flatten() {
        let left = one["left_per_hour"].as_f64().unwrap_or_default();
        let _ = write!(text, "\n  {} leaves {left:.0} an hour", shown(one));
    }
    text
}

fn word(item: &Value, key: &str) -> String {
    Escaped(item[key].as_str().unwrap_or_default()).to_string()
}

fn lines(
    all: &Value,
    format: Format,
    none: &str,
    line: impl Fn(&Value) -> String,
) -> Result<ExitCode> {
    let items = all.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        console::note(none);
    }
    let mut text = String::new();
    for item in items {
        // Writing to a string does not fail.
        let _ = match format {
            Format::Json => writeln!(text, "{item}"),
            Format::Text => writeln!(text, "{}", line(item)),
        };
    }
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn write(one: &Value, format: Format, text: impl Fn(&Value) -> String) -> Result<ExitCode> {
    match format {
        Format::Json => output::write(&format!("{one:#}\n"))?,
        Format::Text => output::write(&format!("{}\n", text(one)))?,
    }
    Ok(ExitCode::SUCCESS)
}
