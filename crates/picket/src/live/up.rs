//! `picket up`: everything on this host.
//!
//! ```text
//! this host's sensor ─ stdout
//!        │ spool, mutual TLS on loopback          browser, curl, picket apply
//!        ▼                                                   │
//!      server: fleet ─► embedded store ◄─ API at --listen ◄──┘
//! ```

use super::Format;
use super::embedded::Embedded;
use super::metrics::MetricsAddress;
use super::outputs::Outputs;
use super::sensor::Session;
use super::setup::RulePaths;
use crate::console;
use crate::control::Place;
use anyhow::{Context, Result};
use picket_model::ClassSet;
use picket_sensor::costs::RULE_BUDGET_NS;
use picket_sensor::takeover::OnExit;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where Picket keeps what it needs between runs; rules in DIR/rules are loaded too
    #[arg(long, value_name = "DIR", default_value = "/var/lib/picket")]
    pub data: PathBuf,
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// More rule files and folders
    #[arg(long = "rules", value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// The control socket that `picket status` and `picket stats` ask; `none`: there is none.
    /// Left out, it is /run/picket/sensor.sock, or beside that if another sensor has it
    #[arg(long, value_name = "PATH")]
    pub control: Option<Place>,
    /// How findings are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Serve the sensor's /metrics, /healthz and /readyz over HTTP: a port (this host alone can ask)
    /// or IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<MetricsAddress>,
}

/// Runs it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let own_rules = args.data.join("rules");
    std::fs::create_dir_all(&own_rules).with_context(|| {
        format!(
            "cannot create {}: run as root, or give --data DIR",
            own_rules.display()
        )
    })?;
    let server = Embedded::start(&args.data, args.listen)?;
    let membership = server.membership(&args.data)?;
    let session = Session {
        rules: RulePaths {
            paths: args.rules.clone(),
            optional: vec![own_rules.clone()],
            builtin: true,
            projects: Vec::new(),
            bundle: None,
            builtin_in_bundle: true,
            feeds: None,
        },
        enforce_in: None,
        protect: Vec::new(),
        ring_mib: super::sensor::RING_MIB,
        format: args.format,
        wants_events: false,
        always: ClassSet::EMPTY,
        tap: None,
        out: Box::new(std::io::stdout()),
        duration: None,
        control: args.control.clone().unwrap_or(Place::Usual),
        state: Some(args.data.clone()),
        rule_budget_ns: RULE_BUDGET_NS,
        instance: Some(super::sensor::INSTANCE.into()),
        on_exit: OnExit::Lift,
        outputs: Outputs::default(),
        fleet: Some(membership),
        metrics: args.metrics,
        when_ready: Box::new(move |told| {
            console::line(&format!(
                "picket is up on this host with {told}\n  findings appear below as they happen\n  \
                 rules of your own: {} (loaded as they are saved)\n  \
                 what is in force and how it is enforced here: picket status; what rules cost: picket stats\n  \
                 what this kernel lets it do: picket doctor\n  \
                 there is no console in this version; stop with Ctrl-C",
                own_rules.display()
            ));
        }),
    };
    let ended = session.run();
    server.stop();
    ended
}
