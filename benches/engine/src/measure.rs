//! Timing.

use crate::workload::{Neutral, World};
use picket_model::Event;
use std::time::{Duration, Instant};

/// Events made and then evaluated at a time.
const BATCH: usize = 32;

/// Nanoseconds that `evaluate` takes for each event. Events are made a few at a
/// time and then evaluated, as the sensor does it: an event has just been decoded
/// when it is evaluated, so it is in the cache; processes are new in each round.
pub fn hot(neutral: &[Neutral], mut evaluate: impl FnMut(&Event)) -> f64 {
    let mut world = World::default();
    let mut taken = Duration::ZERO;
    for batch in neutral.chunks(BATCH) {
        let events: Vec<Event> = batch.iter().map(|neutral| world.event(neutral)).collect();
        let start = Instant::now();
        for event in &events {
            evaluate(event);
        }
        taken += start.elapsed();
    }
    taken.as_nanos() as f64 / neutral.len() as f64
}

/// Nanoseconds that `evaluate` takes for each of these events.
pub fn each(events: &[Event], mut evaluate: impl FnMut(&Event)) -> f64 {
    let start = Instant::now();
    for event in events {
        evaluate(event);
    }
    start.elapsed().as_nanos() as f64 / events.len().max(1) as f64
}

/// The least of several measurements.
pub fn least(times: usize, mut measure: impl FnMut() -> f64) -> f64 {
    (0..times).map(|_| measure()).fold(f64::INFINITY, f64::min)
}
