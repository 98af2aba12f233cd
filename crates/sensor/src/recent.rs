//! A few of the events that went by: a reload compiles by what occurs in them.

use picket_model::Event;

/// How many are kept. They hold on to the processes they speak of: with long
/// command lines, some megabytes at worst.
const KEPT: usize = 512;
/// One of how many is kept.
const EVERY: usize = 8;

/// A bounded sample of events that nobody needs any more. They are moved in, never
/// copied.
#[derive(Debug, Default)]
pub struct Recent {
    events: Vec<Event>,
    offered: usize,
}

impl Recent {
    /// Takes an event, or lets it go.
    pub fn offer(&mut self, event: Event) {
        self.offered = self.offered.wrapping_add(1);
        if self.offered % EVERY != 0 {
            return;
        }
        if self.events.len() < KEPT {
            self.events.push(event);
        } else {
            self.events[self.offered / EVERY % KEPT] = event;
        }
    }

    /// Hands over what is kept, and begins anew.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::ocsf::event_from_json;

    fn event(number: u64) -> Event {
        event_from_json(br#"{"class_uid":4003,"activity_id":1}"#, number).unwrap()
    }

    #[test]
    fn the_sample_is_bounded_and_follows_what_happens() {
        let mut recent = Recent::default();
        let many = (KEPT * EVERY * 3) as u64;
        (0..many).for_each(|number| recent.offer(event(number)));
        let kept = recent.take();
        assert_eq!(kept.len(), KEPT);
        let numbers = kept.iter().map(|event| event.uid.to_string());
        // Of the last third alone: the others were overwritten.
        let oldest = many - (KEPT * EVERY) as u64;
        let number = |uid: &str| uid.trim_start_matches("line-").parse::<u64>().unwrap();
        assert!(
            numbers
                .map(|uid| number(&uid))
                .all(|number| number >= oldest)
        );
        assert!(recent.take().is_empty());
    }
}
