//! Timing.

use crate::workload::{Neutral, World};
use picket_model::Event;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Events made and then evaluated at a time.
const BATCH: usize = 32;

/// How often command lines come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// As in the workload, whose first event finds caches empty.
    AsTheyCome,
    /// Each process has one that was there a moment ago.
    Known,
    /// Each process has one that was never there before.
    New,
}

/// Nanoseconds that `evaluate` takes for each event. Events are made a few at a
/// time and then evaluated, as the sensor does it: an event has just been decoded
/// when it is evaluated, so it is in the cache; processes are new in each round.
pub fn hot(neutral: &[Neutral], evaluate: impl FnMut(&Event)) -> f64 {
    hot_with(neutral, Lines::AsTheyCome, evaluate)
}

/// The same for other command lines.
pub fn hot_with(neutral: &[Neutral], lines: Lines, mut evaluate: impl FnMut(&Event)) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut world = World::default();
    let mut taken = Duration::ZERO;
    let mut batch = Vec::with_capacity(BATCH);
    for some in neutral.chunks(BATCH) {
        if lines == Lines::Known {
            for neutral in some {
                evaluate(&world.event(neutral));
            }
        }
        batch.clear();
        batch.extend(some.iter().map(|neutral| match lines {
            Lines::New => {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                world.event(&neutral.with_line_end(&format!(" {number:x}")))
            }
            Lines::AsTheyCome | Lines::Known => world.event(neutral),
        }));
        taken += timed(&batch, &mut evaluate);
    }
    taken.as_nanos() as f64 / neutral.len() as f64
}

/// Nanoseconds that `evaluate` takes for each of these events.
pub fn each(events: &[Event], mut evaluate: impl FnMut(&Event)) -> f64 {
    timed(events, &mut evaluate).as_nanos() as f64 / events.len().max(1) as f64
}

/// A function of its own, for profilers to look into.
#[inline(never)]
fn timed(events: &[Event], evaluate: &mut impl FnMut(&Event)) -> Duration {
    let start = Instant::now();
    for event in events {
        evaluate(event);
    }
    start.elapsed()
}

/// The least of several measurements.
pub fn least(times: usize, mut measure: impl FnMut() -> f64) -> f64 {
    (0..times).map(|_| measure()).fold(f64::INFINITY, f64::min)
}
