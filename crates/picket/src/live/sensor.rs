//! `picket sensor`: watches this host.

use super::Format;
use super::fleet::{Joined, Membership, join_token};
use super::footing::Footing;
use super::metrics::{Endpoint, MetricsAddress, Source};
use super::output::{self, Keeper, Queue};
use super::outputs::Outputs;
use super::reload::{self, Request, Upkeep};
use super::setup::{self, HostContext, RulePaths, Standings, summary};
use crate::console;
use crate::control::desk::Desk;
use crate::control::{DEFAULT_PATH, Place, Socket, server};
use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use picket_model::ClassSet;
use picket_probe::{Pins, ProbeConfig, Probes};
use picket_proto::order;
use picket_sensor::costs::{Costs, RULE_BUDGET_NS};
use picket_sensor::fleet::ServerUrl;
use picket_sensor::live::{self, Live, Looked, Switch, Tap};
use picket_sensor::pipeline::Pipeline;
use picket_sensor::process::IsRuntime;
use picket_sensor::response::{Ledger, PidfdKiller, Protected, ProtectedSet, Responder};
use picket_sensor::stats::Stats;
use picket_sensor::takeover::{OnExit, Takeover};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Room for about 17,000 process lives, several seconds of fork+exec at full
/// speed; its pages count twice in the sensor's resident memory.
pub const RING_MIB: u32 = 8;

/// What a spool holds unless somebody says otherwise.
const SPOOL_MIB: u64 = picket_sensor::spool::DEFAULT_BYTES >> 20;

/// The instance of a sensor that is not told another.
pub const INSTANCE: &str = "default";

/// What becomes of blocks when the sensor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnExitArg {
    /// They are lifted.
    Lift,
    /// They stay in force.
    Keep,
}

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rule files and folders; rules, lists, macros and policies may stand in any of them
    #[arg(long = "rules", value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Add the built-in rules (the default when neither --rules nor --server is given)
    #[arg(long)]
    pub builtin_rules: bool,
    /// A file that names feeds of malicious addresses and domains; what they list is matched under
    /// the categories malicious_ioc.ip and malicious_ioc.domain
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub feeds: Option<PathBuf>,
    /// How findings are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// Act only on processes inside this cgroup2 folder; detect everywhere
    #[arg(long, value_name = "CGROUP")]
    pub enforce_in: Option<PathBuf>,
    /// Also never act on this executable (an absolute path) or on any process of this name
    #[arg(long, value_name = "PATH or NAME")]
    pub protect: Vec<String>,
    /// A project this sensor belongs to; rules and policies of other projects are not armed
    #[arg(long = "project", value_name = "NAME")]
    pub projects: Vec<String>,
    /// What becomes of blocks in the kernel when the sensor ends or dies: they are lifted, or they
    /// stay in force and the next sensor of this instance takes over
    #[arg(long, value_enum, default_value_t = OnExitArg::Lift)]
    pub on_exit: OnExitArg,
    /// Name of this sensor's place in the kernel, where used budgets (and blocks that stay) wait for
    /// its next run
    #[arg(long, value_name = "NAME", default_value = INSTANCE)]
    pub instance: String,
    /// Ring buffer between kernel and sensor, in MiB, a power of two
    #[arg(long, value_name = "MIB", default_value_t = RING_MIB, value_parser = ring_size)]
    pub ring: u32,
    /// The control socket that `picket status` and `picket stats` ask; `none`: there is none.
    /// Left out, it is /run/picket/sensor.sock, or beside that if another sensor has it
    #[arg(long, value_name = "PATH")]
    pub control: Option<Place>,
    /// Where the marker lies that says that blocks were lifted by `picket disarm`
    #[arg(long, value_name = "DIR", default_value = picket_sensor::disarm::STATE)]
    pub state: PathBuf,
    /// Warn of a rule that takes more nanoseconds than this of each event of its classes
    #[arg(long, value_name = "NS", default_value_t = RULE_BUDGET_NS, value_parser = clap::value_parser!(u64).range(1..))]
    pub rule_budget: u64,
    /// The server that gives rules and takes findings, such as https://picket.example:8444; key,
    /// last bundle and spool are kept below --state
    #[arg(long, value_name = "URL", requires = "join")]
    pub server: Option<ServerUrl>,
    /// The token to join it with, or a file that holds it; once joined, the sensor goes by its own key
    #[arg(long, value_name = "TOKEN or FILE", requires = "server")]
    pub join: Option<String>,

    /// What the server may order to be done on this host: all, none, or some of kill_tree,
    /// collect_forensics, quarantine_file and isolate_host
    #[arg(long, value_name = "LIST", default_value = "all", requires = "server", value_parser = actions)]
    pub actions: Actions,
    /// Findings kept on disk while the server is away, in MiB; what is too much is dropped, the
    /// oldest of the lowest severity first
    #[arg(long, value_name = "MIB", default_value_t = SPOOL_MIB, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub spool: u64,
    /// A file that says where findings go beside stdout: syslog, files, webhooks, OTLP logs. What
    /// was not told yet waits below --state, up to --spool for each
    #[arg(long, value_name = "FILE")]
    pub outputs: Option<PathBuf>,
    /// Serve /metrics, /healthz and /readyz over HTTP: a port (this host alone can ask) or IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<MetricsAddress>,
}

fn ring_size(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(size) if size.is_power_of_two() && size <= 1_024 => Ok(size),
        _ => Err("give a power of two from 1 to 1024".into()),
    }
}

/// What the server may order.
#[derive(Debug, Clone)]
pub struct Actions(Vec<order::Kind>);

fn actions(text: &str) -> Result<Actions, String> {
    match text {
        "all" => Ok(Actions(order::KINDS.to_vec())),
        "none" => Ok(Actions(Vec::new())),
        list => {
            let kinds = list.split(',').map(|name| name.trim().parse());
            Ok(Actions(kinds.collect::<Result<_, String>>()?))
        }
    }
}

/// Runs it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let fleet = match (&args.server, &args.join) {
        (Some(server), Some(join)) => Some(Membership {
            server: server.clone(),
            join: join_token(join)?,
            actions: args.actions.0.clone(),
            folder: args.state.join(picket_sensor::fleet::FOLDER),
            spool_bytes: args.spool << 20,
            shown: false,
        }),
        _ => None,
    };
    let rules = RulePaths {
        paths: args.rules.clone(),
        optional: Vec::new(),
        builtin: args.builtin_rules || (args.rules.is_empty() && fleet.is_none()),
        projects: args.projects.clone(),
        bundle: None,
        builtin_in_bundle: false,
        feeds: args.feeds.clone(),
    };
    let session = Session {
        rules,
        enforce_in: args.enforce_in.clone(),
        protect: args
            .protect
            .iter()
            .map(|text| Protected::parse(text))
            .collect(),
        ring_mib: args.ring,
        format: args.format,
        wants_events: false,
        always: ClassSet::EMPTY,
        tap: None,
        out: Box::new(std::io::stdout()),
        duration: None,
        control: args.control.clone().unwrap_or(Place::Usual),
        state: Some(args.state.clone()),
        rule_budget_ns: args.rule_budget,
        instance: Some(args.instance.clone()),
        on_exit: match args.on_exit {
            OnExitArg::Lift => OnExit::Lift,
            OnExitArg::Keep => OnExit::Keep,
        },
        when_ready: Box::new(|_| {}),
        fleet,
        outputs: match &args.outputs {
            None => Outputs::default(),
            Some(file) => Outputs::open(file, &args.state, args.spool << 20)?,
        },
        metrics: args.metrics,
    };
    session.run()
}

/// One run on the live kernel.
pub struct Session {
    /// Where rules come from.
    pub rules: RulePaths,
    /// The enforcement scope.
    pub enforce_in: Option<PathBuf>,
    /// Additions to the protected set.
    pub protect: Vec<Protected>,
    /// Ring buffer size.
    pub ring_mib: u32,
    /// How findings are written.
    pub format: Format,
    /// Every event is written, not findings alone.
    pub wants_events: bool,
    /// Classes watched whatever the rules need.
    pub always: ClassSet,
    /// A recorder of raw records.
    pub tap: Option<Tap>,
    /// Where output goes.
    pub out: Box<dyn Write + Send>,
    /// Stop after that long.
    pub duration: Option<Duration>,
    /// Where it can be asked.
    pub control: Place,
    /// Where the marker of lifted blocks lies; none: there is nothing to lift.
    pub state: Option<PathBuf>,
    /// What a rule may take of each event of its classes, nanoseconds.
    pub rule_budget_ns: u64,
    /// The sensor's place in the kernel; none for a run that acts on nothing.
    pub instance: Option<String>,
    /// What becomes of blocks when it ends.
    pub on_exit: OnExit,
    /// Called with the line that says what is armed.
    pub when_ready: Box<dyn FnOnce(&str)>,
    /// The fleet that it is part of.
    pub fleet: Option<Membership>,
    /// Who else is told of findings.
    pub outputs: Outputs,
    /// Where metrics are served.
    pub metrics: Option<MetricsAddress>,
}

impl Session {
    /// Runs until a signal or the end of its time; prints the counters.
    pub fn run(self) -> Result<ExitCode> {
        let (requester, requests) = requests(self.duration)?;
        let source = Arc::new(Source::default());
        // First: a probe sees that it starts, and an address that is taken stops it
        // before anything is armed.
        let endpoint = serve_metrics(self.metrics, &source)?;
        let mut rules = self.rules.clone();
        let mut fleet = self.fleet.map(Joined::open).transpose()?;
        let watch = reload::watch(&rules);
        let host = setup::this_host()?;
        let protected = ProtectedSet::new(std::process::id(), host.mount_namespace, self.protect);
        let context = HostContext {
            protected: protected.clone(),
            hostname: host.hostname.clone(),
        };
        let set = match &mut fleet {
            Some(fleet) => fleet.load(&mut rules, &context)?,
            None => rules.load(Some(&context), &[])?,
        };
        let watch = watch.unwrap_or_else(|why| {
            console::warning(&why);
            None
        });
        let told = summary(&set);
        let upkeep = Upkeep::of(&set);
        let colour = console::colour_on_stdout();
        let mut keepers = self.outputs.keepers();
        if let Some(fleet) = &fleet {
            keepers.push(Keeper::for_server(fleet.spool.clone()));
        }
        let (queue, writer) = match &fleet {
            Some(fleet) if !fleet.shown() => output::start_spooling(keepers)?,
            _ => output::start(self.out, self.format, colour, keepers)?,
        };
        let outputs = self.outputs.start()?;

        let footing = match &self.instance {
            Some(instance) => Footing::claim(instance, self.on_exit)?,
            None => Footing::default(),
        };
        let budgets = footing.pins.as_ref().map(Pins::budgets);
        let takeover = Takeover::new(footing.pins, self.on_exit)?;
        let needed = live::needed(&set).union(self.always);
        let probes = Probes::load(&ProbeConfig {
            ring_bytes: self.ring_mib << 20,
            classes: needed,
            scope: self.enforce_in.clone(),
            urgent: live::urgent(&set),
            connect_status: live::needs_connect_status(&set),
            budgets,
            ..ProbeConfig::default()
        })?;
        if let Some(concern) = footing.concern.filter(|_| !set.policies.is_empty()) {
            console::warning(&concern);
        }
        if takeover.found_any() {
            console::note("blocks of the run before are in force: this one takes over");
        }
        if takeover.found_disarmed() {
            probes.set_disarmed(true)?;
        }
        let socket = match Socket::open(&self.control) {
            // Nobody asked for this very place: no reason to leave the host unwatched.
            Err(error) if self.control == Place::Usual => {
                console::warning(&format!("no control socket: {error:#}"));
                None
            }
            opened => opened?,
        };
        for missing in probes.unavailable() {
            console::warning(&missing.to_string());
        }
        let killer = PidfdKiller::new(Some(probes.disarm_switch()?));
        let mut responder = Responder::new(
            &set.policies,
            protected.clone(),
            Ledger::Kernel(probes.budgets()?),
            Some(Box::new(killer)),
        );
        if responder.blocks() && self.enforce_in.is_none() {
            console::note("a policy blocks, on the whole host (--enforce-in CGROUP narrows it)");
        }
        for policy in responder.newly_used_up(live::boot_ns() / 1_000_000) {
            console::warning(&format!(
                "policy {policy} used up its budget before this run: it simulates, until its pause is \
                 over or somebody arms it again (picket arm {policy})"
            ));
        }
        let mut assembler = setup::live_assembler(&host);
        assembler.set_is_runtime(IsRuntime(Box::new(move |process| {
            protected.is_runtime(process)
        })));
        let mut pipeline: Pipeline<Queue> =
            Pipeline::new(assembler, set, responder, queue, self.wants_events);
        pipeline.watch_costs(Costs::new(self.rule_budget_ns));
        let (control, controlled) = unbounded();
        let mut live = Live {
            probes,
            pipeline,
            control: controlled,
            tap: self.tap,
            always: self.always,
            switch: Switch::new(self.state.clone()),
            takeover,
            looked: Looked::default(),
        };
        live.prime()?;
        let powers = live.powers();
        Standings::of(live.pipeline.rules()).tell_shortfalls(&powers);
        let events = std::thread::Builder::new()
            .name("picket-events".into())
            .spawn(move || live.run())
            .context("cannot start the event thread")?;
        if let Some(socket) = &socket {
            let source = source.clone();
            let line = Box::new(move || source.line());
            serve(socket, Desk::new(control.clone(), self.state, line))?;
        }
        source.armed(control.clone());
        (self.when_ready)(&told);
        console::line(&format!("watching with {told}"));
        console::line("ready");
        let line = fleet
            .map(|fleet| fleet.start(&host.hostname, &powers, requester, control.clone()))
            .transpose()?;

        if let Some(line) = &line {
            source.joined(line.view());
        }

        reload::serve(rules, &context, watch.as_ref(), upkeep, requests, &control);
        let stats = join(events, "the event thread")??;
        join(writer, "the output thread")??;
        outputs.stop();
        drop(endpoint);
        if let Some(line) = line {
            line.stop();
        }
        finish(&stats);
        Ok(ExitCode::SUCCESS)
    }
}

/// Serves metrics, if that is asked for.
fn serve_metrics(
    address: Option<MetricsAddress>,
    source: &Arc<Source>,
) -> Result<Option<Endpoint>> {
    let Some(MetricsAddress(address)) = address else {
        return Ok(None);
    };
    let endpoint = Endpoint::start(address, source.clone())?;
    let address = endpoint.address();
    console::line(&format!("metrics: http://{address}/metrics"));
    if !address.ip().is_loopback() {
        console::note("metrics are not encrypted, and whoever reaches that address can read them");
    }
    Ok(Some(endpoint))
}

/// Answers at the control socket.
fn serve(socket: &Socket, desk: Desk) -> Result<()> {
    if socket.moved {
        let path = socket.path.display();
        console::warning(&format!(
            "another sensor answers at {DEFAULT_PATH}: ask this one with --control {path}"
        ));
    }
    server::start(socket, Arc::new(move |request| desk.answer(request)))
        .context("cannot start the control thread")
}

fn join<T>(thread: std::thread::JoinHandle<T>, what: &str) -> Result<T> {
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("{what} panicked: please report this"))
}

fn finish(stats: &Stats) {
    console::line(&stats.to_string());
}

/// Signals and the end of time, as requests.
fn requests(duration: Option<Duration>) -> Result<(Sender<Request>, Receiver<Request>)> {
    let (sender, requests) = bounded(16);
    let requester = sender.clone();
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot handle signals")?;
    if let Some(duration) = duration {
        let sender = sender.clone();
        std::thread::spawn(move || {
            std::thread::sleep(duration);
            let _ = sender.send(Request::Stop);
        });
    }
    std::thread::Builder::new()
        .name("picket-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                let request = if signal == SIGHUP {
                    Request::Reload
                } else {
                    Request::Stop
                };
                if sender.send(request).is_err() {
                    return;
                }
            }
        })?;
    Ok((requester, requests))
}
