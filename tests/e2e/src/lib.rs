//! What the end-to-end tests are made of.
//!
//! ```text
//! rules in a Scratch ─► Sensor (the picket binary) ─► Findings, with a deadline
//!                            ▲
//!        Cause (programs/, one exact act) in a Cgroup, a Netns, a Container or a Guest
//! ```
//!
//! Nothing here waits by sleeping: a wait is for a line, for a process's end or
//! for a file's content, and has a deadline. Nothing here acts on the host
//! outside what a test made: every guard removes its own at the end.

pub mod binary;
pub mod cause;
pub mod cgroup;
pub mod console;
pub mod container;
pub mod dns;
pub mod finding;
pub mod fleet;
pub mod guest;
pub mod http;
pub mod instance;
pub mod lines;
pub mod netns;
pub mod rules;
pub mod scrape;
pub mod scratch;
pub mod sensor;
pub mod wait;

pub use cause::{Cause, Said};
pub use cgroup::Cgroup;
pub use finding::Finding;
pub use scratch::Scratch;
pub use sensor::Sensor;

/// Ends the test early with a line that says why.
///
/// `skip_unless!(condition, "why")`
#[macro_export]
macro_rules! skip_unless {
    ($condition:expr, $why:expr) => {
        if !$condition {
            $crate::skipped($why);
            return Ok(());
        }
    };
}

/// Says that a test is skipped, and why. Test runners hide what a passing test
/// prints, so the line also goes to the file that `PICKET_SKIPPED` names.
pub fn skipped(why: impl std::fmt::Display) {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {why}\n");
    let _ = std::io::stdout().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("PICKET_SKIPPED") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Says a figure that a test measured. Shown where a runner shows what tests print.
pub fn report(line: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

/// Ends the test early where no probe can be loaded.
#[macro_export]
macro_rules! needs_root {
    () => {
        $crate::skip_unless!($crate::is_root(), "needs root: it loads eBPF programs");
    };
}

/// True for the superuser: without it no probe loads.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
