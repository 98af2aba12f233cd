//! `picket issue`: what people work on, from a terminal.

mod list;
mod set;
mod show;

use super::client::{Client, Refused};
use anyhow::{Result, ensure};
use picket_model::text::Escaped;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

/// What is done.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List issues, the last seen first
    #[command(
        after_help = "Examples:\n  picket issue list --token-file ~/.picket-token\n  \
            picket issue list --status open --severity high --severity critical --overdue\n  \
            picket issue list --all --format json | jq -r '.host' | sort | uniq -c"
    )]
    List(list::Args),
    /// Show an issue, with its notes and latest findings
    #[command(after_help = "Example:\n  picket issue show 019aa3f0-5c1e-7c44-9d1b-0d6a7be1d3c2")]
    Show(show::Args),
    /// Change an issue: its status, who works on it, how bad it is, when it is due
    #[command(
        after_help = "Examples:\n  picket issue set ID --status in_progress --assignee anna\n  \
            picket issue set ID --status rejected --rejection false_positive --reason 'a health check'\n  \
            picket issue set ID --note 'asked the shop team'"
    )]
    Set(set::Args),
}

/// Does it.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Set(args) => set::run(args),
    }
}

/// An issue, as far as it is written for people.
#[derive(Debug, Deserialize)]
struct Issue {
    id: String,
    status: String,
    rejection: Option<String>,
    #[serde(default)]
    reason: String,
    severity: String,
    title: String,
    rule: String,
    host: String,
    namespace: Option<String>,
    image: Option<String>,
    assignee: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    count: u64,
    first_seen: String,
    last_seen: String,
    due_at: String,
    overdue: bool,
    closed_at: Option<String>,
    reopened: u64,
    #[serde(default)]
    projects: Vec<String>,
}

impl Issue {
    /// The status, and that it is late.
    fn stands(&self) -> String {
        let status = Escaped(&self.status);
        match (&self.rejection, self.overdue) {
            (Some(why), _) => format!("{status} ({})", Escaped(why)),
            (None, true) => format!("{status}, overdue"),
            (None, false) => status.to_string(),
        }
    }

    /// On several lines.
    fn whole(&self) -> String {
        let mut text = format!("{}\n", Escaped(&self.title));
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(text, "  {name:<10} {}", Escaped(value));
            }
        };
        line("id", &self.id);
        line("status", &self.stands());
        line("reason", &self.reason);
        line("severity", &self.severity);
        line("assignee", self.assignee.as_deref().unwrap_or("nobody"));
        if !self.labels.is_empty() {
            line("labels", &self.labels.join(" "));
        }
        line("due", &self.due_at);
        line("closed", self.closed_at.as_deref().unwrap_or_default());
        line("rule", &self.rule);
        line("host", &self.host);
        line("namespace", self.namespace.as_deref().unwrap_or_default());
        line("image", self.image.as_deref().unwrap_or_default());
        line("projects", &self.projects.join(", "));
        line("findings", &self.count.to_string());
        line("first seen", &self.first_seen);
        line("last seen", &self.last_seen);
        if self.reopened > 0 {
            line("reopened", &format!("{} times", self.reopened));
        }
        text
    }
}

/// The path of an issue; what is no id is refused before it is in a URL.
fn path(id: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_hexdigit() || c == '-';
    ensure!(
        !id.is_empty() && id.len() <= 36 && id.chars().all(plain),
        "{id:?} is no issue's id: `picket issue list` shows them"
    );
    Ok(format!("/api/v1/issues/{id}"))
}

/// Every page of a list, up to so many items.
fn pages(client: &Client, path: &str, most: usize) -> Result<Vec<Value>, Refused> {
    let mut items = Vec::new();
    let mut next: Option<String> = None;
    let sign = if path.contains('?') { '&' } else { '?' };
    while items.len() < most {
        let limit = (most - items.len()).min(500);
        let cursor = next.map_or(String::new(), |next| format!("&cursor={next}"));
        let mut page = client.get(&format!("{path}{sign}limit={limit}{cursor}"))?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        next = page["next"].as_str().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    Ok(items)
}
