//! Commands that talk to a server's API.

pub mod action;
pub mod apply;
mod client;
pub mod diff;
pub mod exception;
pub mod export;
pub mod findings;
pub mod graph;
pub mod issue;
pub mod playbook;
pub mod promote;
pub mod try_rules;

use crate::console;
use anyhow::Result;
use client::{Client, Refused};
use picket_sensor::loader;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Which server, and who asks.
#[derive(Debug, Clone, clap::Args)]
pub struct Remote {
    /// The server; left out: $PICKET_SERVER, or https://127.0.0.1:8443
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The file with the API token; left out: $PICKET_TOKEN holds the token itself
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust this certificate, PEM; left out: $PICKET_CA, or those that this host trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// What changes, or would.
#[derive(Debug, Deserialize)]
struct Applied {
    changes: Vec<Change>,
    unchanged: usize,
    #[serde(default)]
    diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize)]
struct Change {
    change: String,
    kind: String,
    name: String,
    stage: Option<String>,
    stage_before: Option<String>,
    diff: String,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    code: String,
    severity: String,
    message: String,
    file: String,
    line: u32,
    column: u32,
    #[serde(default)]
    help: Vec<String>,
}

/// The folders' files, as the API takes them.
fn files(paths: &[PathBuf]) -> Result<Vec<Value>> {
    let sources = loader::read(paths)?;
    sources
        .into_iter()
        .map(|source| {
            let text = String::from_utf8(source.bytes)
                .map_err(|_| anyhow::anyhow!("{}: it is not UTF-8", source.name))?;
            Ok(json!({"name": source.name, "text": text}))
        })
        .collect()
}

/// Asks the server to apply; an answer, or the exit code of a refusal that was told.
fn apply(client: &Client, body: &Value) -> Result<Result<(Applied, Value), ExitCode>> {
    match client.post("/api/v1/apply", body) {
        Ok(answer) => Ok(Ok((serde_json::from_value(answer.clone())?, answer))),
        Err(Refused::Problem(problem)) => {
            console::error(problem["detail"].as_str().unwrap_or("the server refused"));
            let told: Vec<Diagnostic> =
                serde_json::from_value(problem["diagnostics"].clone()).unwrap_or_default();
            tell(&told);
            // Wrong files are the answer; wrong tokens are not.
            let wrong = problem["status"] == 422;
            Ok(Err(ExitCode::from(if wrong { 1 } else { crate::WRONG })))
        }
        Err(Refused::Failed(why)) => Err(why),
    }
}

/// What is wrong or worth knowing, a line for each.
fn tell(diagnostics: &[Diagnostic]) {
    for told in diagnostics {
        let Diagnostic {
            code,
            severity,
            message,
            file,
            line,
            column,
            help,
        } = told;
        console::line(&format!(
            "{file}:{line}:{column}: {severity}[{code}]: {message}"
        ));
        for line in help {
            console::line(&format!("  help: {line}"));
        }
    }
}

impl Change {
    /// On one line.
    fn line(&self) -> String {
        let sign = match self.change.as_str() {
            "create" => '+',
            "delete" => '-',
            _ => '~',
        };
        let stage = match (&self.stage_before, &self.stage) {
            (Some(before), Some(stage)) => format!(" ({before} to {stage})"),
            (None, Some(stage)) => format!(" ({stage})"),
            _ => String::new(),
        };
        format!("{sign} {} {}{stage}\n", self.kind, self.name)
    }
}
