//! Waiting for records.

use picket_model::ClassSet;
use picket_model::record::{Body, Exec, Record};
use picket_probe::{ProbeConfig, ProbeError, Probes, decode};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test waits for it only when it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// Loaded programs, and what they have said so far.
pub struct Watch {
    pub probes: Probes,
    pub seen: Vec<Record>,
}

impl Watch {
    /// `None`, and a word why, where the kernel does not let us.
    pub fn start(config: ProbeConfig) -> Option<Watch> {
        match Probes::load(&config) {
            Ok(probes) => Some(Watch {
                probes,
                seen: Vec::new(),
            }),
            Err(error @ ProbeError::Missing { .. }) => {
                skipped(&error.to_string());
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub fn classes(classes: impl IntoIterator<Item = picket_model::EventClass>) -> Option<Watch> {
        let classes: ClassSet = classes.into_iter().collect();
        let watch = Watch::start(ProbeConfig {
            classes,
            ..ProbeConfig::default()
        })?;
        if watch.probes.unavailable().is_empty() {
            return Some(watch);
        }
        for lost in watch.probes.unavailable() {
            skipped(&lost.to_string());
        }
        None
    }

    /// Reads what is there.
    pub fn gather(&mut self, timeout: Duration) {
        let seen = &mut self.seen;
        self.probes
            .poll(timeout, &mut |bytes| {
                seen.push(decode(bytes).expect("a record of our own"))
            })
            .expect("poll");
    }

    /// The first record for which `wanted` gives something, already seen or to come.
    pub fn wait<T>(&mut self, what: &str, wanted: impl Fn(&Record) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut checked = 0;
        loop {
            while let Some(record) = self.seen.get(checked) {
                if let Some(found) = wanted(record) {
                    return found;
                }
                checked += 1;
            }
            assert!(
                Instant::now() < deadline,
                "{what} was not seen among {} records; dropped: {}; errors: {}",
                self.seen.len(),
                self.probes.drops().expect("drops"),
                self.probes.errors().expect("errors"),
            );
            self.gather(Duration::from_millis(100));
        }
    }

    /// The exec record of that process.
    pub fn exec_of(&mut self, pid: u32) -> (Record, Exec) {
        self.wait(&format!("the exec of {pid}"), |record| match &record.body {
            Body::Exec(exec) if record.task.key.pid == pid => {
                Some((record.clone(), (**exec).clone()))
            }
            _ => None,
        })
    }
}

#[allow(clippy::print_stderr)] // What the test did not test must be seen.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
