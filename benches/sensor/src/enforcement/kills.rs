//! From the start of an exec to the decision, as the sensor tells it.

use super::{Cgroup, undisturbed};
use crate::sensor::Sensor;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Executions a measurement.
const EXECUTIONS: usize = 5_000;

/// Microseconds.
pub struct Latency {
    pub executions: usize,
    pub killed: usize,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// Enters the cgroup, executes the victim, and prints how many were killed.
pub fn execute(victim: &str, cgroup: &Path) -> Result<()> {
    const SIGKILL: i32 = 9;
    std::fs::write(cgroup.join("cgroup.procs"), "0")?;
    let mut killed = 0;
    for _ in 0..EXECUTIONS {
        let status = Command::new(victim).status();
        killed += usize::from(status.is_ok_and(|status| status.signal() == Some(SIGKILL)));
    }
    Ok(writeln!(std::io::stdout(), "{killed}")?)
}

/// Executes the victim again and again under a rule that kills it.
pub fn measure(
    picket: &Path,
    rules: &Path,
    victim: &Path,
    cgroup: &Cgroup,
    folder: &Path,
) -> Result<Latency> {
    let findings = folder.join("findings.jsonl");
    let args = super::args(rules, cgroup);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sensor = Sensor::start_to(picket, &args, Stdio::from(File::create(&findings)?))?;
    let victim = victim.display().to_string();
    let killed = undisturbed::run(&["--victims", &victim, &cgroup.path.display().to_string()])?;
    let killed = killed.trim().parse().context("no number of the killed")?;
    sensor.stop()?;
    let mut latencies = Vec::new();
    for line in std::fs::read_to_string(&findings)?.lines() {
        let finding: serde_json::Value = serde_json::from_str(line)?;
        let latency = finding.pointer("/ext/responses/0/latency_ns");
        latencies.extend(latency.and_then(serde_json::Value::as_u64));
    }
    ensure!(
        latencies.len() * 10 > EXECUTIONS * 9,
        "{} of {EXECUTIONS} findings tell a latency",
        latencies.len()
    );
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        let nanoseconds = latencies.get(index.min(latencies.len() - 1));
        nanoseconds
            .map(|nanoseconds| *nanoseconds as f64 / 1e3)
            .context("no latency")
    };
    Ok(Latency {
        executions: EXECUTIONS,
        killed,
        p50: at(0.5)?,
        p99: at(0.99)?,
        p999: at(0.999)?,
    })
}
