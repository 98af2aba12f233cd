//! Sensors without a kernel: the real line to the server, and a host that only
//! pretends to enforce.

use anyhow::{Context, Result};
use picket_proto::fleet::JoinToken;
use picket_sensor::fleet::{
    Bell, BundleRules, Config, Host, Identity, Kept, Line, Report, Told, start,
};
use picket_sensor::spool::Spool;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What the host makes of its bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Will {
    /// Takes them.
    Obey,
    /// Cannot take those with this word in them.
    Fail(&'static str),
    /// Takes them, and says that so many findings came of those with this word.
    Flood(&'static str, u64),
    /// Takes them, and says that a rule costs too much in those with this word.
    Slow(&'static str),
}

/// What was told of it and to it.
#[derive(Debug, Default)]
struct Seen {
    applied: Vec<String>,
    told: Vec<String>,
    findings: u64,
    floods: bool,
    slow: bool,
}

struct Pretending {
    will: Will,
    seen: Arc<Mutex<Seen>>,
}

fn with<T>(seen: &Mutex<Seen>, work: impl FnOnce(&mut Seen) -> T) -> T {
    work(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Host for Pretending {
    fn apply(&self, rules: BundleRules) -> Result<(), String> {
        let text: Vec<String> = rules
            .sources
            .iter()
            .map(|source| String::from_utf8_lossy(&source.bytes).into_owned())
            .collect();
        let text = text.join("\n");
        with(&self.seen, |seen| {
            match self.will {
                Will::Fail(word) if text.contains(word) => return Err("it will not".to_owned()),
                Will::Flood(word, count) => {
                    seen.findings += count;
                    seen.floods = text.contains(word);
                }
                Will::Slow(word) => seen.slow = text.contains(word),
                _ => {}
            }
            seen.applied.push(text);
            Ok(())
        })
    }

    fn report(&self) -> Option<Report> {
        let mut report = Report::default();
        with(&self.seen, |seen| {
            if seen.slow {
                report.over_budget.push("slow".to_owned());
            }
            // The first report of a bundle is where its findings are counted from.
            report.stats.matches.insert("any".to_owned(), seen.findings);
            if seen.floods {
                seen.findings += 1_000;
            }
        });
        Some(report)
    }

    fn tell(&self, told: Told) {
        let (Told::Line(text) | Told::Warning(text)) = told;
        with(&self.seen, |seen| seen.told.push(text));
    }
}

/// One of them.
pub struct Simulated {
    line: Option<Line>,
    spool: Arc<Spool>,
    seen: Arc<Mutex<Seen>>,
}

impl Simulated {
    /// Starts one whose things lie in that folder.
    pub fn start(folder: &Path, url: &str, token: &str, will: Will) -> Result<Simulated> {
        let identity = Identity::load(folder)?;
        let kept = Kept::load(folder, identity.as_ref())?;
        let bell = Bell::default();
        let ringer = bell.clone();
        let spool = Spool::open(&folder.join("spool"), 1 << 20, move || ringer.ring())?;
        let spool = Arc::new(spool);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let name = folder.file_name().context("a folder has a name")?;
        let config = Config {
            server: url.parse()?,
            join: JoinToken::parse(token)?,
            folder: folder.to_owned(),
            hostname: name.to_string_lossy().into_owned(),
            facts: serde_json::json!({"simulated": true}),
            version: "test",
        };
        let host = Arc::new(Pretending {
            will,
            seen: seen.clone(),
        });
        let line = start(config, spool.clone(), bell, kept, host, None)?;
        Ok(Simulated {
            line: Some(line),
            spool,
            seen,
        })
    }

    /// What findings are pushed to.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The text of every bundle that it has applied.
    pub fn applied(&self) -> Vec<String> {
        with(&self.seen, |seen| seen.applied.clone())
    }

    /// What people would have read.
    pub fn told(&self) -> Vec<String> {
        with(&self.seen, |seen| seen.told.clone())
    }

    /// Ends it well.
    pub fn stop(mut self) {
        if let Some(line) = self.line.take() {
            line.stop();
        }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.stop();
        }
    }
}
