//! `picket policy simulate` and `picket policy arm`.

use super::super::Remote;
use super::super::client::Client;
use super::{Subject, path};
use crate::output;
use anyhow::Result;
use picket_model::text::Escaped;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Simulate {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Why; it stays in the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Arm {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The digest that `evidence` showed
    #[arg(long, value_name = "DIGEST")]
    evidence: String,
    /// Why it may block from now on; it stays in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// Lets it be simulated.
pub fn simulate(subject: Subject, args: &Simulate) -> Result<ExitCode> {
    let body = json!({"stage": "simulate", "reason": args.reason});
    set(subject, &args.name, &args.remote, &body)
}

/// Lets it block.
pub fn arm(subject: Subject, args: &Arm) -> Result<ExitCode> {
    let body = json!({"stage": "block", "reason": args.reason, "evidence": args.evidence});
    set(subject, &args.name, &args.remote, &body)
}

fn set(subject: Subject, name: &str, remote: &Remote, body: &Value) -> Result<ExitCode> {
    let client = Client::new(remote)?;
    let path = path(subject, name)?;
    let (_, tag) = client.get_tagged(&path)?;
    let set = client.post_tagged(&format!("{path}/stage"), &tag, body)?;
    let said = |field: &str| set[field].as_str().unwrap_or_default().to_owned();
    let version = &set["version"];
    output::write(&format!(
        "{} {} is at {}, version {version}\n",
        Escaped(&said("kind")),
        Escaped(&said("name")),
        Escaped(&said("stage"))
    ))?;
    Ok(ExitCode::SUCCESS)
}
