//! From an exec to the signal that ends it.

use super::trace::Trace;
use super::{Cgroup, undisturbed};
use crate::sensor::Sensor;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

/// Executions a measurement.
const EXECUTIONS: usize = 10_000;

/// Microseconds.
pub struct Latency {
    pub executions: usize,
    pub killed: usize,
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
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
pub fn measure(picket: &Path, rules: &Path, victim: &Path, cgroup: &Cgroup) -> Result<Latency> {
    let trace = Trace::begin()?;
    let args = super::args(rules, cgroup);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sensor = Sensor::start(picket, &args)?;
    let victim = victim.display().to_string();
    let killed = undisturbed::run(&["--victims", &victim, &cgroup.path.display().to_string()])?;
    let killed = killed.trim().parse().context("no number of the killed")?;
    sensor.stop()?;
    let mut latencies = trace.kills(&victim)?;
    ensure!(
        latencies.len() >= killed,
        "the trace tells of {} of {killed} kills",
        latencies.len()
    );
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        let latency = latencies.get(index.min(latencies.len().saturating_sub(1)));
        latency.copied().context("nobody was killed")
    };
    Ok(Latency {
        executions: EXECUTIONS,
        killed,
        p50: at(0.5)?,
        p99: at(0.99)?,
        p999: at(0.999)?,
    })
}
