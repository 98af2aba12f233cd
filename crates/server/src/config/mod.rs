//! The server's configuration: what stands in the file, and what comes of it.
//!
//! ```text
//! file ─ toml ─► raw::File ─ defaults, checks ─► Config
//! ```

mod oidc;
mod playbooks;
mod raw;

pub(crate) use oidc::is_safe_url;
pub use oidc::{GroupRole, Oidc};
pub use playbooks::{Playbooks, Smtp};

use crate::fleet::FleetConfig;
use picket_model::severity::Severity;
use picket_outputs::Output;
use picket_store::{Keep, Location, Micros};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a server keeps its files if nobody says otherwise.
pub const DATA: &str = "/var/lib/picket-server";
/// Where it listens if nobody says otherwise.
pub const LISTEN: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    8443,
));

/// Where sensors come in if nobody says otherwise.
pub const SENSORS: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    SENSORS_PORT,
));
/// The port where sensors look for a server.
const SENSORS_PORT: u16 = 8444;
/// Where a log-in provider sends people back to.
const OIDC_CALLBACK: &str = "/api/v1/session/oidc/callback";
/// Where the authority's keys lie, below the data folder.
const FLEET: &str = "fleet";

/// Every key, with its default or an example, in comments.
pub const DEFAULT: &str = include_str!("default.toml");

/// The level at which nothing is logged unless something is wrong.
pub const QUIET: tracing::Level = tracing::Level::WARN;

/// A server's configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder for what the server makes itself: keys, certificates, SQLite.
    pub data: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// The database.
    pub store: Location,
    /// Encryption at the API.
    pub tls: Tls,
    /// Limits at the API.
    pub api: ApiLimits,
    /// A second listener for `/healthz`, `/readyz` and `/metrics`, without encryption
    /// and log-in.
    pub ops: Option<SocketAddr>,
    /// What is logged, and how.
    pub log: Log,
    /// How long findings stay.
    pub findings: Retention,
    /// How long people have for issues, and how long closed ones stay.
    pub issues: Issues,
    /// How long the graph keeps what is not seen any more.
    pub graph: Duration,
    /// What playbooks may reach.
    pub playbooks: Playbooks,
    /// How sensors are served.
    pub fleet: FleetConfig,
    /// Who else is told of findings.
    pub outputs: Vec<Output>,
    /// Who else logs people in.
    pub oidc: Option<Oidc>,
    /// Where traces go.
    pub traces: Option<Traces>,
}

/// Encryption at the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// With a certificate that the server makes at its first start.
    SelfSigned,
    /// With this one.
    Files {
        /// The chain, PEM.
        certificate: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
    /// None. Only on a loopback address.
    Off,
}

/// Limits at the API.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApiLimits {
    /// Requests a second of one address, over time.
    pub requests_per_second: f64,
    /// How many may come at once.
    pub burst: f64,
    /// Failed log-ins a minute, of one address and of one name.
    pub log_ins_per_minute: f64,
    /// How long one request may take.
    pub request: Duration,
    /// How long a log-in lasts.
    pub session: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Live streams at once.
    pub streams: usize,
}

impl Default for ApiLimits {
    fn default() -> ApiLimits {
        ApiLimits {
            requests_per_second: 50.0,
            burst: 200.0,
            log_ins_per_minute: 10.0,
            request: Duration::from_secs(30),
            session: Duration::from_secs(12 * 3600),
            connections: 2000,
            streams: 200,
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least important level.
    pub level: tracing::Level,
    /// One JSON object a line.
    pub json: bool,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// A collector that takes OTLP over gRPC.
    pub endpoint: String,
    /// Of so many requests, 0 to 1.
    pub share: f64,
}

/// How long findings stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Older ones go.
    pub age: Duration,
    /// The oldest go when there are more.
    pub keep: Keep,
}

/// How long the graph keeps what is not seen any more, if nobody says.
const GRAPH: Duration = Duration::from_secs(90 * 24 * 3600);

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            age: Duration::from_secs(90 * 24 * 3600),
            keep: Keep {
                findings: None,
                bytes: Some(20 << 30),
            },
        }
    }
}

/// How long people have for issues, and how long closed ones stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issues {
    /// Hours until it should be closed, of each severity, the mildest first.
    pub due_hours: [u32; Severity::ALL.len()],
    /// Closed ones of which nothing was seen for so long go.
    pub keep: Duration,
}

impl Default for Issues {
    fn default() -> Issues {
        Issues {
            due_hours: [30 * 24, 7 * 24, 3 * 24, 24, 4],
            keep: Duration::from_secs(365 * 24 * 3600),
        }
    }
}

impl Issues {
    /// How long people have for an issue of this severity.
    pub fn due_after(&self, severity: Severity) -> Micros {
        let known = Severity::ALL.iter().zip(self.due_hours);
        let hours = known
            .filter(|(known, _)| **known == severity)
            .map(|(_, hours)| hours)
            .next()
            .unwrap_or_default();
        Micros::from(hours) * 3_600_000_000
    }
}

/// What is wrong with a configuration: as text, with the file's name, the line and
/// the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{path}:{line}:{column}: {what}", path = path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What, naming the key.
        what: String,
    },
}

impl Config {
    /// What an empty file gives, with everything under one folder.
    pub fn in_folder(data: &Path) -> Config {
        Config {
            data: data.to_owned(),
            listen: LISTEN,
            store: Location::Sqlite(data.join("picket.db")),
            tls: Tls::SelfSigned,
            api: ApiLimits::default(),
            ops: None,
            log: Log {
                level: tracing::Level::INFO,
                json: false,
            },
            findings: Retention::default(),
            issues: Issues::default(),
            graph: GRAPH,
            playbooks: Playbooks::default(),
            fleet: FleetConfig::new(data.join(FLEET), SENSORS),
            outputs: Vec::new(),
            oidc: None,
            traces: None,
        }
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Config::parse(path, &text)
    }

    /// As [`Config::read`], of a text that stands in that file.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        raw::resolve(text).map_err(|wrong| {
            let (line, column) = wrong.place(text);
            ConfigError::Wrong {
                path: path.to_owned(),
                line,
                column,
                what: wrong.what,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let error = Config::parse(Path::new("server.toml"), text).unwrap_err();
        error.to_string()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = Config::parse(Path::new("server.toml"), "").unwrap();
        assert_eq!(config.listen, LISTEN);
        assert_eq!(config.tls, Tls::SelfSigned);
        assert_eq!(
            config.store,
            Location::Sqlite(Path::new(DATA).join("picket.db"))
        );
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            data = "/srv/picket"
            listen = "127.0.0.1:9000"
            store = "postgres://picket@db/picket"
            [tls]
            mode = "off"
            [api]
            requests_per_second = 5
            burst = 10.5
            log_ins_per_minute = 3
            request_seconds = 7
            session_hours = 1
            connections = 5
            streams = 2
            [ops]
            listen = "127.0.0.1:9001"
            [log]
            level = "debug"
            format = "json"
            [findings]
            keep_days = 7
            keep_count = 1000
            keep_gib = 2
            [graph]
            keep_days = 8
            [fleet]
            listen = "127.0.0.1:9002"
            heartbeat_seconds = 5
            [fleet.plan]
            watch_seconds = 7
            canary = { share = { percent = 5 } }
            [traces]
            endpoint = "http://127.0.0.1:4317"
            share = 0.25
            [oidc]
            issuer = "https://sso.example"
            client_id = "picket"
            client_secret_file = "/etc/picket/oidc.secret"
            redirect = "https://picket.example/api/v1/session/oidc/callback"
            authorities = "/etc/picket/sso.pem"
            scopes = ["groups"]
            groups_claim = "roles"
            name_claim = "email"
            [[oidc.roles]]
            group = "security"
            role = "author"
            project = "payments"
            [[outputs]]
            name = "siem"
            kind = "syslog"
            url = "tls://siem.example"
        "#;
        let config = Config::parse(Path::new("server.toml"), text).unwrap();
        assert_eq!(config.tls, Tls::Off);
        assert_eq!(config.api.requests_per_second, 5.0);
        assert_eq!(config.api.request, Duration::from_secs(7));
        assert_eq!(config.findings.age, Duration::from_secs(7 * 24 * 3600));
        assert_eq!(config.findings.keep.findings, Some(1000));
        assert_eq!(config.findings.keep.bytes, Some(2 << 30));
        assert_eq!(config.graph, Duration::from_secs(8 * 24 * 3600));
        assert_eq!(config.fleet.listen, "127.0.0.1:9002".parse().unwrap());
        assert_eq!(config.fleet.plan.watch_seconds, 7);
        assert!(config.log.json);
        assert_eq!(config.traces.unwrap().share, 0.25);
        assert_eq!(config.outputs[0].name, "siem");
        let oidc = config.oidc.unwrap();
        assert_eq!(oidc.roles[0].project.as_deref(), Some("payments"));
        assert_eq!(oidc.name_claim, "email");
        assert_eq!(config.ops, Some("127.0.0.1:9001".parse().unwrap()));
    }

    /// With what is commented out in force.
    fn uncommented(text: &str) -> String {
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with([' ', '~']) => key,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_default_that_is_shown_is_the_default() {
        let shown = |text: &str| {
            let config = Config::parse(Path::new("server.toml"), text);
            config.map(|config| format!("{config:?}")).unwrap()
        };
        let nothing = shown("");
        assert_eq!(shown(DEFAULT), nothing);
        let (defaults, examples) = DEFAULT.split_once("# --- Off unless").unwrap();
        assert_eq!(shown(&uncommented(defaults)), nothing);
        assert_ne!(shown(&uncommented(&format!("# {examples}"))), nothing);
        let whole = Config::parse(Path::new("server.toml"), &uncommented(DEFAULT)).unwrap();
        assert!(whole.oidc.is_some() && whole.traces.is_some() && whole.ops.is_some());
    }

    #[test]
    fn errors_name_line_and_key() {
        for (text, at, says) in [
            ("lisen = \"x\"", "server.toml:1:1:", "lisen"),
            ("\nlisten = \"x\"", "server.toml:2:10:", "listen"),
            ("[api]\nburst = \"x\"", "server.toml:2:9:", "burst"),
            ("[api]\nburst = -1", "server.toml:2:9:", "api.burst"),
            (
                "[api]\nconnections = 0",
                "server.toml:2:15:",
                "api.connections",
            ),
            ("[log]\nlevel = \"loud\"", "server.toml:2:9:", "log.level"),
            ("store = \"mysql://u:pw@h\"", "server.toml:1:9:", "store"),
            (
                "listen = \"0.0.0.0:1\"\n[tls]\nmode = \"off\"",
                "server.toml:3:8:",
                "tls.mode",
            ),
            (
                "[tls]\nkey = \"k.pem\"",
                "server.toml:2:7:",
                "tls.certificate",
            ),
            ("[ops]\nlisten = 5", "server.toml:2:10:", "listen"),
            (
                "[findings]\nkeep_days = 0",
                "server.toml:2:13:",
                "findings.keep_days",
            ),
            (
                "[graph]\nkeep_days = 0",
                "server.toml:2:13:",
                "graph.keep_days",
            ),
            (
                "[fleet]\nheartbeat_seconds = 0",
                "server.toml:2:21:",
                "fleet.heartbeat_seconds",
            ),
            ("[fleet.plan]\nwatch = 1", "server.toml:2:1:", "watch"),
            (
                "[[outputs]]\nname = \"a\"\nkind = \"mail\"",
                "server.toml:3:8:",
                "outputs.kind",
            ),
            ("data = \n", "server.toml:1:", "data"),
            (
                "[traces]\nendpoint = \"x:4317\"",
                "server.toml:2:12:",
                "traces.endpoint",
            ),
            ("[traces]\nshare = 1", "server.toml:2:9:", "traces.endpoint"),
            (
                "[traces]\nendpoint = \"http://x:4317\"\nshare = 2",
                "server.toml:3:9:",
                "traces.share",
            ),
            (
                "[oidc]\nissuer = \"https://a\"",
                "server.toml:1:1:",
                "client_id",
            ),
            (
                "[oidc]\nissuer = \"http://a\"\nclient_id = \"a\"\nredirect = \"https://a\"",
                "server.toml:2:10:",
                "oidc.issuer",
            ),
            (
                "[oidc]\nissuer = \"https://a\"\nclient_id = \"a\"\nredirect = \"https://a\"",
                "server.toml:4:12:",
                "/api/v1/session/oidc/callback",
            ),
            (
                "[oidc]\nissuer = \"https://a\"\nclient_id = \"a\"\n\
                 redirect = \"https://a/api/v1/session/oidc/callback\"",
                "server.toml:2:10:",
                "[[oidc.roles]]",
            ),
            (
                "[oidc]\nissuer = \"https://a\"\nclient_id = \"a\"\n\
                 redirect = \"https://a/api/v1/session/oidc/callback\"\n\
                 [[oidc.roles]]\ngroup = \"a\"\nrole = \"root\"",
                "server.toml:7:8:",
                "role",
            ),
        ] {
            let error = wrong(text);
            assert!(error.starts_with(at), "{text:?}: {error}");
            assert!(error.contains(says), "{text:?}: {error}");
            assert!(!error.contains("pw@"), "{error}");
        }
    }
}
