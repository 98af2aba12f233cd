//! When the sensor did not see everything.

use super::files;
use picket_proto::fleet::wire::Interval;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

const FILE: &str = "alive";
/// The last ones are told.
const MAX: usize = 32;

/// Collects intervals; remembers on disk when it was last alive.
#[derive(Debug)]
pub(super) struct Blind {
    path: PathBuf,
    intervals: VecDeque<Interval>,
    lost: u64,
    looked_us: i64,
}

impl Blind {
    /// Begins; the time since the run before has ended is the first interval.
    pub(super) fn begin(folder: &Path, now_us: i64) -> Blind {
        let path = folder.join(FILE);
        let text = files::read(&path).ok().flatten().unwrap_or_default();
        let before: Option<i64> = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let mut blind = Blind {
            path,
            intervals: VecDeque::new(),
            lost: 0,
            looked_us: now_us,
        };
        if let Some(before) = before.filter(|before| *before < now_us) {
            blind.add(before, now_us, "no sensor ran".to_owned());
        }
        blind
    }

    fn add(&mut self, from_us: i64, until_us: i64, why: String) {
        self.intervals.push_back(Interval {
            from_us,
            until_us,
            why,
        });
        while self.intervals.len() > MAX {
            self.intervals.pop_front();
        }
    }

    /// Takes in how many records the kernel has lost so far in this run.
    pub(super) fn look(&mut self, lost: u64, now_us: i64) {
        if lost > self.lost {
            let why = format!("the kernel had no room for {} records", lost - self.lost);
            self.add(self.looked_us, now_us, why);
            self.lost = lost;
        }
        self.looked_us = now_us;
        // If it cannot be written, the next run does not know.
        let _ = std::fs::write(&self.path, now_us.to_string());
    }

    pub(super) fn intervals(&self) -> Vec<Interval> {
        self.intervals.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_the_time_without_a_sensor_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut blind = Blind::begin(folder.path(), 100);
        assert!(blind.intervals().is_empty());
        blind.look(0, 200);
        blind.look(7, 300);
        blind.look(7, 400);
        let told = blind.intervals();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].from_us, told[0].until_us), (200, 300));
        assert!(told[0].why.contains('7'));
        let next = Blind::begin(folder.path(), 900).intervals();
        assert_eq!((next[0].from_us, next[0].until_us), (400, 900));
    }
}
