//! `picket policy evidence`.

use super::super::Remote;
use super::super::client::Client;
use super::{Subject, path};
use crate::commands::Format;
use crate::output;
use anyhow::{Result, ensure};
use picket_model::text::Escaped;
use serde::Deserialize;
use std::fmt::Write;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Findings from this time on; left out: as long as this version stands
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Findings before this time; left out: until now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How it is written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Deserialize)]
struct Shown {
    digest: String,
    evidence: Page,
}

#[derive(Debug, Deserialize)]
struct Page {
    kind: String,
    name: String,
    version: i64,
    stage: String,
    since: String,
    #[serde(default)]
    projects: Option<Vec<String>>,
    actions: Actions,
    first: Option<String>,
    last: Option<String>,
    hosts: Ranking,
    processes: Ranking,
    users: Ranking,
    images: Ranking,
    rules: Vec<RuleShare>,
    samples: Vec<Sample>,
    gaps: Vec<Gap>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Deserialize)]
struct Actions {
    would_kill: u64,
    killed: u64,
    withheld: u64,
    failed: u64,
}

#[derive(Debug, Deserialize)]
struct Ranking {
    different: usize,
    top: Vec<Share>,
}

#[derive(Debug, Deserialize)]
struct Share {
    name: String,
    parent: Option<String>,
    count: u64,
}

#[derive(Debug, Deserialize)]
struct RuleShare {
    rule: String,
    count: u64,
    version: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    finding: String,
    time: String,
    host: String,
    process: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Gap {
    sensor: String,
    rule: String,
    mode: String,
    detail: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Warning {
    code: String,
    detail: String,
}

/// Shows.
pub fn run(subject: Subject, args: &Args) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let mut path = format!("{}/evidence", path(subject, &args.name)?);
    let mut sign = '?';
    for (name, time) in [("from", &args.from), ("until", &args.until)] {
        if let Some(time) = time {
            // In a URL as it is; the server reads it.
            let plain = |c: char| c.is_ascii_digit() || "TZ:.-".contains(c);
            ensure!(
                time.chars().all(plain),
                "--{name}: {time:?} is no time such as 2026-11-26T08:00:00Z"
            );
            path = format!("{path}{sign}{name}={time}");
            sign = '&';
        }
    }
    let answer = client.get(&path)?;
    match args.format {
        Format::Json => output::write(&format!("{answer:#}\n"))?,
        Format::Text => output::write(&serde_json::from_value::<Shown>(answer)?.text())?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Shown {
    fn text(&self) -> String {
        let page = &self.evidence;
        let mut text = format!(
            "{} {} version {}, at {} since {}\n",
            page.kind,
            Escaped(&page.name),
            page.version,
            page.stage,
            page.since
        );
        let _ = match &page.projects {
            None => Ok(()),
            Some(projects) => {
                let names = projects.join(", ");
                writeln!(text, "in the projects that you see: {}", Escaped(&names))
            }
        };
        let actions = &page.actions;
        let _ = writeln!(
            text,
            "would have killed {} processes ({} withheld, {} failed, {} killed)",
            actions.would_kill, actions.withheld, actions.failed, actions.killed
        );
        if let (Some(first), Some(last)) = (&page.first, &page.last) {
            let _ = writeln!(text, "from {first} to {last}");
        }
        for (title, ranking) in [
            ("processes", &page.processes),
            ("hosts", &page.hosts),
            ("users", &page.users),
            ("images", &page.images),
        ] {
            ranking.write(title, &mut text);
        }
        if !page.rules.is_empty() {
            text.push_str("rules\n");
        }
        for rule in &page.rules {
            let version = match rule.version {
                Some(version) => format!("version {version}"),
                None => "there no more".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {:>7}  {} ({version})",
                rule.count,
                Escaped(&rule.rule)
            );
        }
        if !page.samples.is_empty() {
            text.push_str("findings to look at\n");
        }
        for sample in &page.samples {
            let process = sample.process.as_deref().unwrap_or("?");
            let (host, process) = (Escaped(&sample.host), Escaped(process));
            let _ = writeln!(
                text,
                "  {}  {}  {host}  {process}",
                sample.finding, sample.time
            );
        }
        for gap in &page.gaps {
            let detail = gap.detail.as_deref().unwrap_or_default();
            let (rule, mode) = (Escaped(&gap.rule), Escaped(&gap.mode));
            let _ = writeln!(
                text,
                "gap: sensor {}: {rule}: {mode} {}",
                gap.sensor,
                Escaped(detail)
            );
        }
        for warning in &page.warnings {
            let detail = Escaped(&warning.detail);
            let _ = writeln!(text, "warning[{}]: {detail}", warning.code);
        }
        let _ = writeln!(
            text,
            "to arm it on this, within a day:\n  picket {} arm {} --evidence {} --reason …",
            page.kind,
            Escaped(&page.name),
            self.digest
        );
        text
    }
}

impl Ranking {
    fn write(&self, title: &str, text: &mut String) {
        if self.top.is_empty() {
            return;
        }
        let more = self.different.saturating_sub(self.top.len());
        let _ = match more {
            0 => writeln!(text, "{title}"),
            more => writeln!(text, "{title} (and {more} others)"),
        };
        for share in &self.top {
            let name = if share.name.is_empty() {
                "?"
            } else {
                &share.name
            };
            let parent = share.parent.as_deref();
            let parent = parent.map_or(String::new(), |parent| {
                format!(" started by {}", Escaped(parent))
            });
            let _ = writeln!(text, "  {:>7}  {}{parent}", share.count, Escaped(name));
        }
    }
}
