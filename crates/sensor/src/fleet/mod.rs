//! The sensor's line to its server.
//!
//! ```text
//!  picket-output ─► Spool ─► ┐                      ┌─► Host::apply ─► the reload lane
//!                            ├─ session ◄─ TLS ─► server
//!  Host::report ─ heartbeats ┘      ▲               └─► Kept: the last good bundle, on disk
//!                              Identity: key, certificate, what is trusted
//! ```
//! One thread with a small runtime of its own. The event thread never waits for it,
//! nor for the network: findings go by the disk, rules come in by the reload lane.

mod back_off;
mod blind;
mod files;
mod heartbeat;
mod identity;
mod kept;
mod line;
mod session;
mod stream;
mod tls;

pub use identity::{Identity, IdentityError, NewKey};
pub use kept::{Kept, KeptError};
pub use line::{BadUrl, ServerUrl, connect};
pub use tls::{joined, joining};

use crate::actions::Actions;
use crate::enforce::RuleState;
use crate::spool::{Spool, SpoolState};
use crate::stats::Stats;
use picket_lang::Source;
use picket_proto::bundle::Applied;
use picket_proto::fleet::JoinToken;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// The folder below a sensor's state in which all of it lies.
pub const FOLDER: &str = "fleet";

/// How to be part of a fleet.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server is.
    pub server: ServerUrl,
    /// What lets this sensor in, if it is not yet.
    pub join: JoinToken,
    /// Where identity, bundle and spool are kept.
    pub folder: PathBuf,
    /// The host's name.
    pub hostname: String,
    /// What the server is told of the host, a JSON object.
    pub facts: serde_json::Value,
    /// The version of Picket.
    pub version: &'static str,
}

/// Rules that a bundle brings.
#[derive(Debug, Clone)]
pub struct BundleRules {
    /// The rule files.
    pub sources: Vec<Source>,
    /// The projects that this sensor is in.
    pub projects: Vec<String>,
}

/// What the server is told of the sensor.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What was counted in this run.
    pub stats: Stats,
    /// Rules that cost more than a rule may.
    pub over_budget: Vec<String>,
    /// Every block was lifted by hand.
    pub disarmed: bool,
    /// How every rule in force stands here.
    pub rules: Vec<RuleState>,
    /// Event classes of which not every event is seen.
    pub unseen: Vec<String>,
}

/// Something to be told to people on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// As it should be.
    Line(String),
    /// Somebody should look.
    Warning(String),
}

/// The sensor that the line is of. What blocks here blocks no event.
pub trait Host: Send + Sync + 'static {
    /// Puts a bundle's rules in force, whole, or says why they are not.
    fn apply(&self, rules: BundleRules) -> Result<(), String>;
    /// What there is to report; none if the sensor does not get round to it.
    fn report(&self) -> Option<Report>;
    /// Tells people.
    fn tell(&self, told: Told);
}

/// What other threads share with the line.
pub struct Line {
    view: LineView,
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

/// What can be seen of the line from outside.
#[derive(Clone)]
pub struct LineView {
    server: Arc<str>,
    spool: Arc<Spool>,
    kept: Arc<Mutex<Kept>>,
    connected: Arc<AtomicBool>,
}

/// How the line stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineState {
    /// Which server.
    pub server: String,
    /// Whether the server answers.
    pub connected: bool,
    /// The bundle in force.
    pub applied: Option<Applied>,
    /// What waits for the server.
    pub spool: SpoolState,
}

impl LineView {
    /// How it stands now.
    pub fn state(&self) -> LineState {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let applied = kept.current().cloned();
        drop(kept);
        LineState {
            server: self.server.to_string(),
            connected: self.connected.load(Ordering::Relaxed),
            applied,
            spool: self.spool.state(),
        }
    }
}

/// Wakes the line when the spool has something.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Rings it.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Starts the line's thread. Without `actions` no order is carried out.
pub fn start(
    config: Config,
    spool: Arc<Spool>,
    bell: Bell,
    kept: Kept,
    host: Arc<dyn Host>,
    actions: Option<Arc<Actions>>,
) -> std::io::Result<Line> {
    let (stop, stopped) = watch::channel(false);
    // Before the thread, so that an error is one of the start.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .thread_keep_alive(std::time::Duration::from_secs(1))
        .build()?;
    let view = LineView {
        server: config.server.to_string().into(),
        spool,
        kept: Arc::new(Mutex::new(kept)),
        connected: Arc::default(),
    };
    let own = view.clone();
    let thread = std::thread::Builder::new()
        .name("picket-fleet".into())
        .spawn(move || {
            let session = session::Session {
                config,
                spool: own.spool,
                bell: bell.0,
                kept: own.kept,
                connected: own.connected,
                host,
                actions,
                stopped,
            };
            runtime.block_on(session.run());
            // A report that waits for an event thread that has ended holds up nothing.
            runtime.shutdown_background();
        })?;
    Ok(Line { view, stop, thread })
}

impl Line {
    /// How it stands, for whoever wants to look at it.
    pub fn view(&self) -> LineView {
        self.view.clone()
    }

    /// Delivers what can be delivered in a moment, and ends. What is left stays in the
    /// spool.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.thread.join();
        self.view.spool.sync();
    }
}
