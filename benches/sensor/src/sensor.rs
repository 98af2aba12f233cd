//! The release binary as a child.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `picket`.
pub struct Sensor {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    /// From start to "ready".
    pub ready: Duration,
}

impl Sensor {
    /// Starts it and waits until it is ready; what it prints is not looked at.
    pub fn start(picket: &Path, args: &[&str]) -> Result<Sensor> {
        let start = Instant::now();
        let mut child = Command::new(picket)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", picket.display()))?;
        let mut stderr = BufReader::new(child.stderr.take().context("no stderr")?);
        let mut said = String::new();
        loop {
            let before = said.len();
            if stderr.read_line(&mut said)? == 0 {
                bail!("the sensor ended before it was ready:\n{said}");
            }
            if said[before..].trim_end() == "ready" {
                return Ok(Sensor {
                    child,
                    stderr,
                    ready: start.elapsed(),
                });
            }
        }
    }

    /// User and system time so far (proc_pid_stat(5), fields 14 and 15).
    pub fn cpu(&self) -> Result<Duration> {
        const TICKS_PER_SECOND: u64 = 100;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    /// A figure of proc_pid_status(5), by its name.
    pub fn memory_mb(&self, name: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = number_after(&status, name).context("no memory figure")?;
        Ok(kib as f64 * 1_024.0 / 1e6)
    }

    /// Stops it; returns its summary.
    pub fn stop(mut self) -> Result<String> {
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.stderr, &mut rest)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the sensor ended with {status}:\n{rest}");
        }
        Ok(rest)
    }
}

/// The number behind a name in a text.
pub fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.split_once(name)?.1.trim_start();
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
