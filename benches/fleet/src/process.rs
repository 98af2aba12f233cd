//! Processes, as `/proc` shows them.

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;

/// A connection is a file; the children have the same limit.
pub fn raise_file_limit() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: most,
            maximum: most,
        },
    )?;
    Ok(most.unwrap_or(u64::MAX))
}

/// A process at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident bytes now.
    pub resident: u64,
    /// The most that were resident.
    pub peak: u64,
    /// User and system time since its start.
    pub cpu: Duration,
}

pub fn usage(pid: u32) -> Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |key: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(number.with_context(|| format!("no {key} in status"))? << 10)
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("an odd stat")?;
    // Behind the name: state is the first, utime the twelfth, stime the one after.
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that there is.
    Ok(Usage {
        resident: kib("VmRSS:")?,
        peak: kib("VmHWM:")?,
        cpu: Duration::from_millis(ticks * 10),
    })
}

/// Forgets the peak, so that the next one is of what comes now.
pub fn forget_peak(pid: u32) {
    // Where it is not allowed, the peak is that of the whole run.
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}
