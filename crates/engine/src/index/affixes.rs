//! Prefixes and suffixes, looked up by a text's first or last bytes.

use crate::index::hash::{HashIndex, mix};

/// Keys are this long at most.
const KEY: usize = 8;
/// What is the same in upper and lower case.
const NO_CASE: u64 = 0x2020_2020_2020_2020;

/// Which end of a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    First,
    Last,
}

impl End {
    /// The outermost bytes of a text, the very outermost lowest; zero-filled.
    #[inline]
    fn bytes(self, text: &[u8]) -> u64 {
        let mut chunk = [0; KEY];
        let bytes = match (self, text.first_chunk::<KEY>(), text.last_chunk::<KEY>()) {
            (End::First, Some(first), _) => u64::from_le_bytes(*first),
            (End::Last, _, Some(last)) => u64::from_be_bytes(*last),
            (End::First, ..) => {
                chunk[..text.len()].copy_from_slice(text);
                u64::from_le_bytes(chunk)
            }
            (End::Last, ..) => {
                chunk[KEY - text.len()..].copy_from_slice(text);
                u64::from_be_bytes(chunk)
            }
        };
        bytes | NO_CASE
    }
}

/// Prefixes, or suffixes, by their outermost bytes, whatever their case.
#[derive(Debug, Default)]
pub(crate) struct Affixes {
    /// The key lengths that occur.
    lengths: Box<[u8]>,
    table: HashIndex,
}

impl Affixes {
    /// `affixes`: number and text of each; none is empty.
    pub(crate) fn new(end: End, affixes: &[(u32, &[u8])]) -> Affixes {
        let keyed = |&(number, text): &(u32, &[u8])| {
            let length = key_length(text.len());
            (hash(low_bytes(end.bytes(text), length), length), number)
        };
        let pairs: Vec<(u64, u32)> = affixes.iter().map(keyed).collect();
        let mut lengths: Vec<u8> = affixes
            .iter()
            .map(|(_, text)| key_length(text.len()))
            .collect();
        lengths.sort_unstable();
        lengths.dedup();
        Affixes {
            lengths: lengths.into(),
            table: HashIndex::new(&pairs),
        }
    }

    /// Calls `found` with what may stand at that end of the text; the caller compares.
    #[inline]
    pub(crate) fn get(&self, end: End, text: &[u8], mut found: impl FnMut(u32)) {
        if self.lengths.is_empty() {
            return;
        }
        let key = end.bytes(text);
        for &length in &self.lengths {
            if usize::from(length) > text.len() {
                break;
            }
            self.table
                .get(hash(low_bytes(key, length), length))
                .for_each(&mut found);
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.table.memory()
    }
}

/// How much of a prefix or suffix is looked up: few lengths make few look-ups.
fn key_length(length: usize) -> u8 {
    match length {
        0..2 => 1,
        2..4 => 2,
        4..8 => 4,
        _ => KEY as u8,
    }
}

fn hash(key: u64, length: u8) -> u64 {
    mix(key ^ u64::from(length) << 59)
}

/// The lowest `length` bytes of a key.
#[inline]
fn low_bytes(key: u64, length: u8) -> u64 {
    if usize::from(length) >= KEY {
        key
    } else {
        key & ((1 << (8 * length)) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affixes_of_every_length_are_found() {
        let text = b"/usr/local/bin/Tool.sh";
        for length in 1..=text.len() {
            let first = Affixes::new(End::First, &[(1, &text[..length]), (2, b"x/")]);
            let last = Affixes::new(End::Last, &[(3, &text[text.len() - length..]), (4, b"hx")]);
            for shown in [text.to_ascii_lowercase(), text.to_ascii_uppercase()] {
                let mut found = Vec::new();
                first.get(End::First, &shown, |number| found.push(number));
                last.get(End::Last, &shown, |number| found.push(number));
                assert_eq!(found, [1, 3], "{length}");
            }
            let mut found = Vec::new();
            last.get(End::Last, &text[..length - 1], |number| found.push(number));
            assert!(found.is_empty() || length > 1);
        }
    }
}
