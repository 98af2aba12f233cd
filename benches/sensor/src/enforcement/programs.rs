//! The kernel programs' own time, from the kernel's statistics on them.

use anyhow::{Context, Result};
use libbpf_rs::query::ProgInfoIter;
use std::path::Path;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The kernel counts until this is dropped.
pub struct Statistics {
    before: String,
    /// Programs of others.
    newest: u32,
}

impl Statistics {
    /// Switches them on; programs that are loaded from now on are looked at.
    pub fn on() -> Result<Statistics> {
        let before = std::fs::read_to_string(SWITCH).context("no statistics on BPF programs")?;
        std::fs::write(Path::new(SWITCH), "1")?;
        let newest = ProgInfoIter::default().map(|program| program.id).max();
        Ok(Statistics {
            before,
            newest: newest.unwrap_or(0),
        })
    }

    /// Nanoseconds that the programs have run for, those of processes alone.
    pub fn process_ns(&self) -> u64 {
        ProgInfoIter::default()
            .filter(|program| program.id > self.newest)
            .filter(|program| program.name.to_string_lossy().starts_with("process_"))
            .map(|program| program.run_time_ns)
            .sum()
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        let _ = std::fs::write(SWITCH, self.before.trim());
    }
}
