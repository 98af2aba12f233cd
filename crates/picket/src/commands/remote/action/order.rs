//! Giving an order, about a finding or about what its arguments say.

use super::super::client::Client;
use super::{Common, answer, plain};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Of which process.
#[derive(Debug, Clone, clap::Args)]
pub struct OfProcess {
    /// The finding that it is about
    #[arg(long, value_name = "ID", required_unless_present = "sensor", conflicts_with_all = ["sensor", "pid", "start_ns"])]
    finding: Option<String>,
    /// The sensor of its host
    #[arg(long, value_name = "ID", requires_all = ["pid", "start_ns"])]
    sensor: Option<String>,
    /// Its pid
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// When it started, nanoseconds after boot (ext.start_ns in findings)
    #[arg(long, value_name = "NS")]
    start_ns: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// Which file.
#[derive(Debug, Clone, clap::Args)]
pub struct OfFile {
    /// The finding whose executable it is
    #[arg(long, value_name = "ID", required_unless_present = "sensor", conflicts_with_all = ["sensor", "path", "sha256"])]
    finding: Option<String>,
    /// The sensor of its host
    #[arg(long, value_name = "ID", requires_all = ["path", "sha256"])]
    sensor: Option<String>,
    /// Where it is
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// SHA-256 of its content: another file is left alone
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Put it back after so many seconds; left out: it stays away until `picket action undo`
    #[arg(long, value_name = "SECONDS")]
    lease: Option<u32>,
    #[command(flatten)]
    common: Common,
}

/// Which host.
#[derive(Debug, Clone, clap::Args)]
pub struct OfHost {
    /// Its sensor
    #[arg(long, value_name = "ID")]
    sensor: String,
    /// For so many seconds; the kernel lets it back then, whatever became of its sensor
    #[arg(long, value_name = "SECONDS")]
    lease: u32,
    /// An address or network that stays reachable, such as 10.0.0.0/8
    #[arg(long, value_name = "CIDR")]
    allow: Vec<String>,
    /// Names can still be resolved
    #[arg(long)]
    dns: bool,
    #[command(flatten)]
    common: Common,
}

/// Orders something about a process.
pub fn of_process(args: &OfProcess, kind: &str) -> Result<ExitCode> {
    let client = Client::new(&args.common.remote)?;
    let (sensor, pid, start_ns) = match (&args.finding, &args.sensor) {
        (Some(finding), _) => {
            let found = Found::read(&client, finding)?;
            let process = found.process()?;
            let number = |at: &str| process.pointer(at).and_then(Value::as_u64);
            let (pid, start_ns) = (number("/pid"), number("/ext/start_ns"));
            let missing = "the finding does not say which process, and since when it runs";
            (
                found.sensor,
                pid.context(missing)?,
                start_ns.context(missing)?,
            )
        }
        (None, Some(sensor)) => (
            sensor.clone(),
            u64::from(args.pid.unwrap_or_default()),
            args.start_ns.unwrap_or_default(),
        ),
        (None, None) => bail!("give --finding, or --sensor with --pid and --start-ns"),
    };
    let process = json!({"pid": pid, "start_ns": start_ns});
    let action = json!({"kind": kind, "process": process});
    give(&client, &sensor, &action, None, &args.common)
}

/// Orders a file away.
pub fn of_file(args: &OfFile) -> Result<ExitCode> {
    let client = Client::new(&args.common.remote)?;
    let (sensor, path, file) = match (&args.finding, &args.sensor) {
        (Some(finding), _) => {
            let found = Found::read(&client, finding)?;
            if found.ocsf.pointer("/evidences/0/container/uid").is_some() {
                bail!("the file is one of a container, whose paths are not the host's");
            }
            let process = found.process()?;
            let missing = "the finding does not say which file was executed";
            let path = process.pointer("/file/path").and_then(Value::as_str);
            let file = json!({
                "inode": process.pointer("/ext/inode").context(missing)?,
                "mtime_ns": process.pointer("/ext/mtime_ns").context(missing)?,
            });
            (
                found.sensor.clone(),
                path.context(missing)?.to_owned(),
                file,
            )
        }
        (None, Some(sensor)) => (
            sensor.clone(),
            args.path.clone().unwrap_or_default(),
            json!({"sha256": args.sha256}),
        ),
        (None, None) => bail!("give --finding, or --sensor with --path and --sha256"),
    };
    let action = json!({"kind": "quarantine_file", "path": path, "file": file});
    give(&client, &sensor, &action, args.lease, &args.common)
}

/// Orders a host cut off.
pub fn of_host(args: &OfHost) -> Result<ExitCode> {
    let client = Client::new(&args.common.remote)?;
    let action = json!({"kind": "isolate_host", "allow": args.allow, "dns": args.dns});
    give(
        &client,
        &args.sensor,
        &action,
        Some(args.lease),
        &args.common,
    )
}

fn give(
    client: &Client,
    sensor: &str,
    action: &Value,
    lease: Option<u32>,
    common: &Common,
) -> Result<ExitCode> {
    let path = format!("/api/v1/sensors/{}/actions", plain(sensor)?);
    let mut body = json!({"action": action, "reason": common.reason});
    if let Some(lease) = lease {
        body["lease_seconds"] = lease.into();
    }
    let given = client.post(&path, &body)?;
    answer(client, &given, common)
}

/// What a finding says.
struct Found {
    sensor: String,
    ocsf: Value,
}

impl Found {
    fn read(client: &Client, id: &str) -> Result<Found> {
        let mut finding = client.get(&format!("/api/v1/findings/{}", plain(id)?))?;
        let sensor = finding["sensor"].as_str().unwrap_or_default().to_owned();
        Ok(Found {
            sensor,
            ocsf: finding["ocsf"].take(),
        })
    }

    /// Of an exec it is the new image, else the one that acted.
    fn process(&self) -> Result<&Value> {
        let new = self.ocsf.pointer("/evidences/0/process");
        let acting = || self.ocsf.pointer("/evidences/0/actor/process");
        new.or_else(acting)
            .context("the finding is about no process")
    }
}
