//! A sensor that is part of a fleet: what is kept between runs, and the wiring.

use super::reload::Request;
use super::setup::{HostContext, RulePaths};
use crate::console;
use anyhow::{Context, Result};
use crossbeam_channel::{Sender, bounded};
use picket_model::process::ProcessKey;
use picket_proto::fleet::JoinToken;
use picket_proto::order;
use picket_sensor::actions::{self, Actions, Lineage};
use picket_sensor::enforce::Powers;
use picket_sensor::fleet::{
    Bell, BundleRules, Config, Host, Identity, Kept, Line, Report, ServerUrl, Told, start,
};
use picket_sensor::live::Control;
use picket_sensor::loader::RuleSet;
use picket_sensor::spool::Spool;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the event thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which fleet, and where its things lie.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The server.
    pub server: ServerUrl,
    /// What lets this sensor in.
    pub join: JoinToken,
    /// Identity, bundle and spool.
    pub folder: PathBuf,
    /// What the spool may hold.
    pub spool_bytes: u64,
    /// What the server may order to be done on this host.
    pub actions: Vec<order::Kind>,
    /// Findings are written to stdout as well.
    pub shown: bool,
}

/// A token, or the file that holds it: arguments can be read by everybody on a host.
pub fn join_token(text: &str) -> Result<JoinToken> {
    let read = Path::new(text)
        .is_file()
        .then(|| std::fs::read_to_string(text).with_context(|| format!("cannot read {text}")))
        .transpose()?;
    JoinToken::parse(read.as_deref().unwrap_or(text)).context("--join")
}

/// What was opened of it.
pub struct Joined {
    membership: Membership,
    /// Where findings go.
    pub spool: Arc<Spool>,
    bell: Bell,
    kept: Kept,
}

impl Joined {
    /// Opens spool and last bundle.
    pub fn open(membership: Membership) -> Result<Joined> {
        let folder = &membership.folder;
        let bell = Bell::default();
        let ringer = bell.clone();
        let spool_folder = folder.join("spool");
        let spool = Spool::open(&spool_folder, membership.spool_bytes, move || ringer.ring())
            .with_context(|| format!("cannot open the spool in {}", spool_folder.display()))?;
        let identity = Identity::load(folder)?;
        let kept = match Kept::load(folder, identity.as_ref()) {
            Ok(kept) => kept,
            Err(error) => {
                console::error(&format!(
                    "the bundle of the run before is not in force: {error}; the server is asked for it"
                ));
                Kept::remembering(folder)?
            }
        };
        Ok(Joined {
            spool: Arc::new(spool),
            bell,
            kept,
            membership,
        })
    }

    /// Whether findings are written to stdout as well.
    pub fn shown(&self) -> bool {
        self.membership.shown
    }

    /// The rules to begin with: those on this host, and the last good bundle's.
    pub fn load(&mut self, rules: &mut RulePaths, host: &HostContext) -> Result<RuleSet> {
        rules.bundle = self.kept.rules();
        let loaded = rules.load(Some(host), &[]);
        match (loaded, self.kept.current()) {
            (Err(error), Some(current)) => {
                console::error(&format!(
                    "the bundle of {} version {} of the run before is not in force: {error:#}",
                    current.scope, current.version
                ));
                self.kept.give_up();
                rules.bundle = None;
                rules.load(Some(host), &[])
            }
            (loaded, None) => loaded,
            (Ok(set), Some(current)) => {
                console::line(&format!(
                    "bundle of {} version {} is in force, as it was before",
                    current.scope, current.version
                ));
                Ok(set)
            }
        }
    }

    /// Starts the line to the server.
    pub fn start(
        self,
        hostname: &str,
        powers: &Powers,
        requests: Sender<Request>,
        control: Sender<Control>,
    ) -> Result<Line> {
        let config = Config {
            server: self.membership.server,
            join: self.membership.join,
            folder: self.membership.folder,
            hostname: hostname.to_owned(),
            facts: facts(powers),
            version: env!("CARGO_PKG_VERSION"),
        };
        let host = Arc::new(ThisSensor { requests, control });
        let bell = self.bell.clone();
        let actions = Actions::start(actions::Setup {
            folder: config.folder.clone(),
            allowed: self.membership.actions,
            server: config.server.clone(),
            lineage: host.clone(),
            ring: Box::new(move || bell.ring()),
        });
        let actions = match actions {
            Ok(actions) => Some(Arc::new(actions)),
            Err(why) => {
                console::error(&format!(
                    "orders of the server are not carried out: their journal cannot be used: {why}"
                ));
                None
            }
        };
        start(config, self.spool, self.bell, self.kept, host, actions)
            .context("cannot start the server's thread")
    }
}

fn facts(powers: &Powers) -> serde_json::Value {
    let system = rustix::system::uname();
    let names = |set: picket_model::ClassSet| -> Vec<&str> {
        picket_model::EventClass::ALL
            .into_iter()
            .filter(|class| set.contains(*class))
            .map(picket_model::EventClass::name)
            .collect()
    };
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "kernel": system.release().to_string_lossy(),
        "machine": system.machine().to_string_lossy(),
        "refuses": names(powers.refuses),
        "kills_in_cgroups": powers.kills_in_cgroups,
        "kills_by_pidfd": powers.pidfd,
        "unseen": names(powers.unseen),
    })
}

/// This process, as the line's thread knows it.
struct ThisSensor {
    requests: Sender<Request>,
    control: Sender<Control>,
}

impl ThisSensor {
    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Control) -> Option<T> {
        let (answer, answered) = bounded(1);
        self.control.send(request(answer)).ok()?;
        answered.recv_timeout(PATIENCE).ok()
    }
}

impl Lineage for ThisSensor {
    fn descendants(&self, of: ProcessKey) -> Vec<ProcessKey> {
        // Without an answer, what /proc tells is what is known.
        self.ask(|answer| Control::Descendants(of, answer))
            .unwrap_or_default()
    }
}

impl Host for ThisSensor {
    fn apply(&self, rules: BundleRules) -> Result<(), String> {
        let (answer, answered) = bounded(1);
        let stopping = || "the sensor is stopping".to_owned();
        self.requests
            .send(Request::Bundle(rules, answer))
            .map_err(|_| stopping())?;
        answered.recv().map_err(|_| stopping())?
    }

    fn report(&self) -> Option<Report> {
        let measured = self.ask(Control::Measure)?.ok()?;
        let status = self.ask(Control::Status)?.ok()?;
        let over = measured.rules.iter().filter(|cost| cost.over_budget);
        let unseen = picket_model::EventClass::ALL
            .into_iter()
            .filter(|class| status.powers.unseen.contains(*class));
        Some(Report {
            over_budget: over.map(|cost| cost.rule.id.clone()).collect(),
            stats: measured.stats,
            disarmed: status.disarmed,
            rules: status.states,
            unseen: unseen.map(|class| class.name().to_owned()).collect(),
        })
    }

    fn tell(&self, told: Told) {
        match told {
            Told::Line(text) => console::line(&text),
            Told::Warning(text) => console::warning(&text),
        }
    }
}
