//! When programs are executed and when they are killed, by the kernel's own trace:
//! what the sensor says of itself is not asked.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::PathBuf;

const TRACEFS: &str = "/sys/kernel/tracing";
/// Room for all that a measurement makes, per processor.
const KIB: &str = "16384";

/// A trace of its own, which ends when this is dropped.
pub struct Trace {
    instance: PathBuf,
}

impl Trace {
    /// Begins it. Programs that are attached later come behind it at the same place.
    pub fn begin() -> Result<Trace> {
        let instance = PathBuf::from(TRACEFS)
            .join("instances")
            .join(format!("picket-bench-{}", std::process::id()));
        std::fs::create_dir(&instance).with_context(|| {
            format!("no tracefs at {TRACEFS} (mount -t tracefs nodev {TRACEFS})")
        })?;
        let trace = Trace { instance };
        for (file, text) in [
            ("trace_clock", "boot"),
            ("buffer_size_kb", KIB),
            ("events/signal/signal_generate/filter", "sig==9"),
            ("events/sched/sched_process_exec/enable", "1"),
            ("events/signal/signal_generate/enable", "1"),
        ] {
            std::fs::write(trace.instance.join(file), text).context(file)?;
        }
        Ok(trace)
    }

    /// Microseconds from each exec of that file to the SIGKILL that its process got.
    pub fn kills(&self, file: &str) -> Result<Vec<u64>> {
        let text = std::fs::read_to_string(self.instance.join("trace"))?;
        let mut executed: HashMap<&str, u64> = HashMap::new();
        let mut found = Vec::new();
        for line in text.lines() {
            let Some((at, event, text)) = parts(line) else {
                continue;
            };
            let pid = word(text, "pid=");
            match (event, pid) {
                ("sched_process_exec", Some(pid)) if word(text, "filename=") == Some(file) => {
                    executed.insert(pid, at);
                }
                ("signal_generate", Some(pid)) => {
                    found.extend(executed.remove(pid).map(|executed| at - executed));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.instance);
    }
}

/// Microseconds, the event's name, and what it says, of a line such as
/// `comm-7 [001] ..... 11.520796: sched_process_exec: filename=/a pid=7 old_pid=7`.
fn parts(line: &str) -> Option<(u64, &str, &str)> {
    let (before, rest) = line.split_once(": ")?;
    let (event, text) = rest.split_once(": ")?;
    let (seconds, micros) = before.rsplit(' ').next()?.split_once('.')?;
    let at = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    Some((at, event, text))
}

fn word<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split(' ').find_map(|word| word.strip_prefix(name))
}
