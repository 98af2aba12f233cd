//! Timing.

use std::time::Instant;

/// Nanoseconds that `run` takes for each of `count`.
pub fn per(count: usize, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / count.max(1) as f64
}

/// The median of several measurements.
pub fn median(times: usize, mut measure: impl FnMut() -> f64) -> f64 {
    let mut measured: Vec<f64> = (0..times).map(|_| measure()).collect();
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}
