//! A fixed piece of memory that is written round and round.

/// Runs of items; when there is no room, the oldest are written over.
#[derive(Debug, Default)]
pub(crate) struct Ring<T> {
    /// Grows until it is written round for the first time.
    items: Vec<T>,
    room: usize,
    /// How many items have been passed since the beginning, gaps included.
    head: u64,
}

impl<T: Copy + Default> Ring<T> {
    /// Room for so many items.
    pub(crate) fn new(room: usize) -> Ring<T> {
        Ring {
            items: Vec::with_capacity(room),
            room,
            head: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.head = 0;
    }

    /// Adds a run, made of these parts, and gives its place. It must be shorter
    /// than the ring.
    pub(crate) fn push(&mut self, parts: &[&[T]]) -> u64 {
        let (place, mut at) = self.make_room(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.items[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        place
    }

    /// Adds a run that is there once more, and gives its new place.
    pub(crate) fn push_again(&mut self, place: u64, length: usize) -> u64 {
        let from = (place % self.room.max(1) as u64) as usize;
        let (place, at) = self.make_room(length);
        self.items.copy_within(from..from + length, at);
        place
    }

    /// The place of the next run of that length, and where it stands.
    fn make_room(&mut self, length: usize) -> (u64, usize) {
        let mut at = (self.head % self.room.max(1) as u64) as usize;
        if at + length > self.room {
            // A run does not cross the end.
            self.head += (self.room - at) as u64;
            at = 0;
        }
        if self.items.len() < at + length {
            self.items.resize(at + length, T::default());
        }
        let place = self.head;
        self.head += length as u64;
        (place, at)
    }

    /// Whether a run that is there will be written over before half of the others.
    #[inline]
    pub(crate) fn is_in_older_half(&self, place: u64) -> bool {
        self.head - place > self.room as u64 / 2
    }

    /// The run of that place and length, if it has not been written over.
    #[inline]
    pub(crate) fn get(&self, place: u64, length: usize) -> Option<&[T]> {
        let room = self.room as u64;
        if place + length as u64 > self.head || place + room < self.head {
            return None;
        }
        let at = place.checked_rem(room)? as usize;
        self.items.get(at..at + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_are_there_and_the_others_are_not() {
        let mut ring: Ring<u32> = Ring::new(100);
        let mut places = Vec::new();
        for number in 0..500 {
            let run = run_of(number);
            let (left, right) = run.split_at(run.len() / 2);
            places.push(ring.push(&[left, right]));
            for (earlier, &place) in places.iter().enumerate() {
                let expected = run_of(earlier as u32);
                if let Some(kept) = ring.get(place, expected.len()) {
                    assert_eq!(kept, expected);
                }
                // Twelve items a run at most, and twelve lost at the end at most.
                let recent = places.len() - earlier <= 7;
                assert!(!recent || ring.get(place, expected.len()).is_some());
            }
        }
        assert!(ring.get(places[0], 0).is_none());
        ring.clear();
        assert!(ring.get(places[499], run_of(499).len()).is_none());
    }

    #[test]
    fn a_run_that_is_pushed_again_outlives_others() {
        let mut ring: Ring<u32> = Ring::new(64);
        let mut hot = ring.push(&[&[1, 2, 3]]);
        for number in 0..400 {
            ring.push(&[&run_of(number)]);
            if ring.is_in_older_half(hot) {
                hot = ring.push_again(hot, 3);
            }
            assert_eq!(ring.get(hot, 3), Some(&[1, 2, 3][..]), "{number}");
        }
    }

    fn run_of(number: u32) -> Vec<u32> {
        (0..number % 13).map(|n| number + n).collect()
    }

    #[test]
    fn an_empty_ring_has_nothing() {
        let ring: Ring<u8> = Ring::default();
        assert_eq!(ring.get(0, 0), None);
        assert_eq!(ring.get(3, 1), None);
    }
}
