//! A part of this program in a process of its own that nothing ordinary interrupts:
//! what else runs on the machine would be measured too.

use anyhow::{Context, Result, ensure};
use std::process::{Command, Stdio};

/// Runs this program with these arguments under SCHED_FIFO, on one processor; gives
/// what it prints.
pub fn run(args: &[&str]) -> Result<String> {
    let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
    let output = Command::new("chrt")
        .args(["-f", "50", "taskset", "-c", &last.to_string()])
        .arg(std::env::current_exe()?)
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run chrt (util-linux)")?;
    ensure!(
        output.status.success(),
        "{args:?} ended with {}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}
