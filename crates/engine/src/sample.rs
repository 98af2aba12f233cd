//! Some of the events that passed, for the next compilation to learn from.

use picket_model::Event;

/// Every n-th event, the last of them. Each holds on to its processes' records,
/// so a sample keeps as many alive as it has events.
#[derive(Debug, Clone)]
pub struct Sample {
    events: Vec<Event>,
    most: usize,
    /// Which is the oldest, once there are as many as it keeps.
    oldest: usize,
    every: u64,
    until_next: u64,
}

impl Sample {
    /// Keeps at most so many events (1,000 teach nearly all there is to learn): one
    /// out of `every`.
    pub fn new(most: usize, every: u64) -> Sample {
        Sample {
            events: Vec::new(),
            most,
            oldest: 0,
            every: every.max(1),
            until_next: 1,
        }
    }

    /// Takes note of an event; most are passed over, which costs next to nothing.
    #[inline]
    pub fn offer(&mut self, event: &Event) {
        self.until_next -= 1;
        if self.until_next == 0 {
            self.until_next = self.every;
            self.keep(event);
        }
    }

    fn keep(&mut self, event: &Event) {
        if self.events.len() < self.most {
            self.events.push(event.clone());
        } else if let Some(place) = self.events.get_mut(self.oldest) {
            *place = event.clone();
            self.oldest = (self.oldest + 1) % self.most;
        }
    }

    /// What is kept, in no particular order: [`crate::CompileOptions::sample`].
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Choices;

    fn times(sample: &Sample) -> Vec<i64> {
        let mut times: Vec<i64> = sample.events().iter().map(|event| event.time_ns).collect();
        times.sort();
        times
    }

    #[test]
    fn it_has_the_last_of_every_so_manieth_event() {
        let events = Choices::new(&[]).events(1);
        let mut sample = Sample::new(3, 2);
        let mut expected = Vec::new();
        for time_ns in 0..20 {
            let event = Event {
                time_ns,
                ..events[0].clone()
            };
            sample.offer(&event);
            if time_ns % 2 == 0 {
                expected.push(time_ns);
            }
            let last = expected.len().saturating_sub(3);
            assert_eq!(times(&sample), expected[last..]);
        }
        let mut none = Sample::new(0, 1);
        none.offer(&events[0]);
        assert!(none.events().is_empty());
    }
}
