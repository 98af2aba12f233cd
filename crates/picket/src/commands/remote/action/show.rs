//! Orders, as people read them.

use super::super::Remote;
use super::super::client::Client;
use super::{plain, read};
use crate::commands::Format;
use crate::{console, output};
use anyhow::Result;
use picket_model::text::Escaped;
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

/// Arguments of `list`.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// On the host of this sensor alone
    #[arg(long, value_name = "ID")]
    sensor: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// How they are written to stdout: json is one a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `show`.
#[derive(Debug, Clone, clap::Args)]
pub struct OneArgs {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// How it is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

/// Lists them.
pub fn list(args: &ListArgs) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let path = match &args.sensor {
        Some(sensor) => format!("/api/v1/sensors/{}/actions", plain(sensor)?),
        None => "/api/v1/host-actions".to_owned(),
    };
    let page = client.get(&format!("{path}?limit={}", args.limit))?;
    let items = page["items"].as_array().cloned().unwrap_or_default();
    if items.is_empty() {
        console::note("nothing was ordered");
    }
    let mut text = String::new();
    for item in &items {
        // Writing to a string does not fail.
        let _ = match args.format {
            Format::Json => writeln!(text, "{item}"),
            Format::Text => writeln!(
                text,
                "{}  {:<8} {:<17} {}  {}",
                word(item, "id"),
                word(item, "state"),
                word(item, "kind"),
                word(item, "created_at"),
                word(item, "reason")
            ),
        };
    }
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows one.
pub fn one(args: &OneArgs) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let action = read(&client, plain(&args.id)?)?;
    match args.format {
        Format::Json => output::write(&format!("{action:#}\n"))?,
        Format::Text => output::write(&whole(&action))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn word(item: &Value, key: &str) -> String {
    Escaped(item[key].as_str().unwrap_or_default()).to_string()
}

/// On several lines.
pub fn whole(action: &Value) -> String {
    let mut text = format!("{}: {}\n", word(action, "kind"), word(action, "state"));
    for key in [
        "id",
        "sensor",
        "why",
        "actor",
        "reason",
        "created_at",
        "sent_at",
        "ended_at",
    ] {
        let value = word(action, key);
        if !value.is_empty() {
            let _ = writeln!(text, "  {key:<10} {value}");
        }
    }
    if let Some(seconds) = action["lease_seconds"].as_u64() {
        let _ = writeln!(text, "  {:<10} {seconds} s", "lease");
    }
    for key in ["action", "result"] {
        if action[key].is_object() {
            let _ = writeln!(text, "{key}\n{:#}", action[key]);
        }
    }
    text
}
