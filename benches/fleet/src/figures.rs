//! Figures out of many durations.

use std::fmt;
use std::time::Duration;

/// How long many of a thing took.
pub struct Spread(Vec<Duration>);

impl Spread {
    pub fn of(mut durations: Vec<Duration>) -> Spread {
        durations.sort_unstable();
        Spread(durations)
    }

    /// The time within which so many of a hundred were done.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(at).copied().unwrap_or_default()
    }

    pub fn last(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, most] = [50, 99].map(|percent| self.percentile(percent).as_secs_f64());
        let last = self.last().as_secs_f64();
        write!(f, "p50 {median:.2} s, p99 {most:.2} s, last {last:.2} s")
    }
}

/// Bytes as people read them.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Bytes of each.
pub fn kibibytes_each(bytes: u64, count: usize) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0 / count.max(1) as f64)
}
