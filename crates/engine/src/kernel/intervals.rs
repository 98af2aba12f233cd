//! Sorted bounds, and what holds between them: one look-up answers every test
//! of a number.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What holds of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intervals<T> {
    /// Sorted, each once. Interval `i` lies before `bounds[i]`.
    pub bounds: Vec<T>,
    /// The tests that hold in each interval: one more than there are bounds.
    pub holds: Vec<Vec<u16>>,
}

/// A type whose values follow each other.
pub(super) trait Steps: Copy + Ord {
    /// The least value.
    const ZERO: Self;

    /// The next value; none after the greatest.
    fn after(self) -> Option<Self>;
}

macro_rules! steps {
    ($($type:ty)*) => {$(
        impl Steps for $type {
            const ZERO: Self = 0;

            fn after(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    )*};
}

steps!(u64 u128);

impl<T: Steps> Intervals<T> {
    /// From each test's ranges, which may overlap.
    pub(super) fn new(tests: &[(u16, Vec<RangeInclusive<T>>)]) -> Intervals<T> {
        // Where a range begins (+1), and where it has ended (-1).
        let mut changes: BTreeMap<T, Vec<(u16, i32)>> = BTreeMap::new();
        for (test, ranges) in tests {
            for range in ranges {
                changes.entry(*range.start()).or_default().push((*test, 1));
                if let Some(after) = range.end().after() {
                    changes.entry(after).or_default().push((*test, -1));
                }
            }
        }
        let mut bounds = Vec::with_capacity(changes.len());
        let mut holds = vec![Vec::new()];
        let mut open: BTreeMap<u16, i32> = BTreeMap::new();
        for (at, changes) in changes {
            for (test, change) in changes {
                *open.entry(test).or_default() += change;
            }
            open.retain(|_, ranges| *ranges > 0);
            let now: Vec<u16> = open.keys().copied().collect();
            match holds.last_mut() {
                Some(first) if at == T::ZERO => *first = now,
                Some(last) if *last == now => {}
                _ => {
                    bounds.push(at);
                    holds.push(now);
                }
            }
        }
        Intervals { bounds, holds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_ranges_are_told_apart() {
        let tests = [
            (1, vec![10..=20, 30..=30]),
            (2, vec![15..=u64::MAX]),
            (3, vec![0..=4]),
        ];
        let intervals = Intervals::new(&tests);
        for value in [0, 4, 5, 9, 10, 14, 15, 20, 21, 29, 30, 31, u64::MAX] {
            let interval = intervals.bounds.partition_point(|&bound| bound <= value);
            let expected: Vec<u16> = tests
                .iter()
                .filter(|(_, ranges)| ranges.iter().any(|range| range.contains(&value)))
                .map(|(test, _)| *test)
                .collect();
            assert_eq!(intervals.holds[interval], expected, "{value}");
        }
    }

    #[test]
    fn without_tests_there_is_one_empty_interval() {
        let intervals = Intervals::<u64>::new(&[]);
        assert_eq!((intervals.bounds.len(), intervals.holds.len()), (0, 1));
    }
}
