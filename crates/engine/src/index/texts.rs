//! The patterns of one text field, arranged for looking them all up at once.

use crate::compile::pattern::Pattern;
use crate::index::grams::{GramCounts, GramIndex, longest_stride};
use crate::index::hash::{HashIndex, hash_bytes, mix};

/// Keys of prefixes and suffixes are this long at most.
const KEY: usize = 8;

/// Looks up the patterns that a text holds.
#[derive(Debug, Default)]
pub(crate) struct TextIndex {
    /// Where each pattern's text stands in `bytes`; by pattern number.
    places: Box<[(u32, u32)]>,
    bytes: Box<[u8]>,
    equals: HashIndex,
    prefixes: Affixes,
    suffixes: Affixes,
    grams: GramIndex,
    /// Searched for one by one.
    short: Box<[u32]>,
    /// Hit by every text: only the predicate itself can tell.
    asks: Box<[u32]>,
}

/// Prefixes, or suffixes, by their outermost bytes.
#[derive(Debug, Default)]
struct Affixes {
    /// The key lengths that occur.
    lengths: Box<[u8]>,
    table: HashIndex,
}

impl Affixes {
    /// `keys`: outermost bytes (at most [`KEY`]) and the pattern's number.
    fn new(keys: &[(u64, u8, u32)]) -> Affixes {
        let mut lengths: Vec<u8> = keys.iter().map(|&(_, length, _)| length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let pairs: Vec<(u64, u32)> = keys
            .iter()
            .map(|&(key, length, number)| (affix_hash(key, length), number))
            .collect();
        Affixes {
            lengths: lengths.into(),
            table: HashIndex::new(&pairs),
        }
    }

    /// `key` maps a length to the text's outermost bytes of that length.
    #[inline]
    fn get(&self, available: usize, key: impl Fn(u8) -> u64, mut found: impl FnMut(u32)) {
        for &length in &self.lengths {
            if usize::from(length) > available {
                break;
            }
            self.table
                .get(affix_hash(key(length), length))
                .for_each(&mut found);
        }
    }
}

fn affix_hash(key: u64, length: u8) -> u64 {
    mix(key ^ u64::from(length) << 59)
}

/// The first bytes of a text, zero-filled.
#[inline]
fn head(text: &[u8]) -> u64 {
    match text.first_chunk::<KEY>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let mut chunk = [0; KEY];
            chunk[..text.len()].copy_from_slice(text);
            u64::from_le_bytes(chunk)
        }
    }
}

/// The last bytes of a text, zero-filled in front.
#[inline]
fn tail(text: &[u8]) -> u64 {
    match text.last_chunk::<KEY>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            let mut chunk = [0; KEY];
            chunk[KEY - text.len()..].copy_from_slice(text);
            u64::from_be_bytes(chunk)
        }
    }
}

/// The lowest `length` bytes of a key.
#[inline]
fn low_bytes(key: u64, length: u8) -> u64 {
    if length as usize >= KEY {
        key
    } else {
        key & ((1 << (8 * length)) - 1)
    }
}

impl TextIndex {
    /// Patterns are known by their place in `patterns`; those that are no text
    /// patterns are left out.
    pub(crate) fn new(patterns: &[Pattern], counts: &GramCounts) -> TextIndex {
        let mut index = TextIndex::default();
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(patterns.len());
        let (mut equals, mut prefixes, mut suffixes) = (Vec::new(), Vec::new(), Vec::new());
        let mut contains: Vec<(u32, &[u8])> = Vec::new();
        let mut asks = Vec::new();
        for (pattern, number) in patterns.iter().zip(0u32..) {
            let text: &[u8] = match pattern {
                Pattern::Equals(text) => {
                    equals.push((hash_bytes(text, 0), number));
                    text
                }
                Pattern::Prefix(text) => {
                    let length = text.len().min(KEY) as u8;
                    prefixes.push((low_bytes(head(text), length), length, number));
                    text
                }
                Pattern::Suffix(text) => {
                    let length = text.len().min(KEY) as u8;
                    suffixes.push((low_bytes(tail(text), length), length, number));
                    text
                }
                Pattern::Contains(text) => {
                    contains.push((number, text));
                    text
                }
                Pattern::Ask => {
                    asks.push(number);
                    &[]
                }
                _ => &[],
            };
            places.push((bytes.len() as u32, text.len() as u32));
            bytes.extend_from_slice(text);
        }
        let (stride, short) = best_stride(&contains);
        contains.retain(|(number, _)| short.binary_search(number).is_err());
        index.grams = GramIndex::new(stride, &contains, counts);
        index.short = short.into();
        index.equals = HashIndex::new(&equals);
        index.prefixes = Affixes::new(&prefixes);
        index.suffixes = Affixes::new(&suffixes);
        index.asks = asks.into();
        index.places = places.into();
        index.bytes = bytes.into();
        index
    }

    /// True if what a text of this length holds is better remembered than
    /// looked up again: a text that is read in one quick pass is not.
    pub(crate) fn is_dear(&self, length: usize) -> bool {
        /// A slot of the memo is farther away than a text this short is long.
        const SHORT: usize = 64;
        /// Fewer literals than this are rarely found by chance.
        const FEW: usize = 256;
        let searched = !self.short.is_empty() || !self.asks.is_empty();
        searched || length >= SHORT && self.grams.len() >= FEW
    }

    /// Adds the numbers of the patterns that the text (in filter form) holds;
    /// a number may be added twice.
    #[inline]
    pub(crate) fn look_up(&self, text: &[u8], hits: &mut Vec<u32>) {
        if !self.equals.is_empty() {
            let found = self.equals.get(hash_bytes(text, 0));
            hits.extend(found.filter(|&number| self.text(number) == text));
        }
        if !self.prefixes.table.is_empty() {
            let key = head(text);
            self.prefixes.get(
                text.len(),
                |length| low_bytes(key, length),
                |number| {
                    if text.starts_with(self.text(number)) {
                        hits.push(number);
                    }
                },
            );
        }
        if !self.suffixes.table.is_empty() {
            let key = tail(text);
            self.suffixes.get(
                text.len(),
                |length| low_bytes(key, length),
                |number| {
                    if text.ends_with(self.text(number)) {
                        hits.push(number);
                    }
                },
            );
        }
        self.grams.scan(text, |number, start| {
            if text[start..].starts_with(self.text(number)) {
                hits.push(number);
            }
        });
        for &number in &self.short {
            if memchr::memmem::find(text, self.text(number)).is_some() {
                hits.push(number);
            }
        }
        hits.extend_from_slice(&self.asks);
    }

    #[inline]
    fn text(&self, number: u32) -> &[u8] {
        let (start, length) = self.places[number as usize];
        &self.bytes[start as usize..(start + length) as usize]
    }

    pub(crate) fn memory(&self) -> usize {
        self.places.len() * 8
            + self.bytes.len()
            + self.equals.memory()
            + self.prefixes.table.memory()
            + self.suffixes.table.memory()
            + self.grams.memory()
            + (self.short.len() + self.asks.len()) * 4
    }
}

/// The stride to scan with, and the literals that are then searched for one by
/// one because they are too short for it.
fn best_stride(contains: &[(u32, &[u8])]) -> (usize, Vec<u32>) {
    /// What one more search costs, in looked-at windows of a text of usual length.
    const SEARCH: usize = 24;
    /// A usual length.
    const LENGTH: usize = 128;
    let shorter = |stride: usize| -> Vec<u32> {
        contains
            .iter()
            .filter(|(_, text)| longest_stride(text.len()) < stride)
            .map(|&(number, _)| number)
            .collect()
    };
    [4, 2, 1]
        .into_iter()
        .map(|stride| (stride, shorter(stride)))
        .min_by_key(|(stride, short)| {
            let scan = if short.len() == contains.len() {
                0
            } else {
                LENGTH / stride
            };
            scan + short.len() * SEARCH
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn every_kind_of_pattern_is_found() {
        let patterns = [
            Pattern::Equals(bytes("/usr/bin/curl")),
            Pattern::Prefix(bytes("/usr/bin/c")),
            Pattern::Prefix(bytes("/u")),
            Pattern::Suffix(bytes("bin/curl")),
            Pattern::Suffix(bytes("rl")),
            Pattern::Contains(bytes("/bin/")),
            Pattern::Contains(bytes("n/")),
            Pattern::Ask,
            Pattern::Contains(bytes("wget")),
            Pattern::Equals(bytes("")),
        ];
        let index = TextIndex::new(&patterns, &GramCounts::new());
        let look_up = |text: &str| {
            let mut hits = Vec::new();
            index.look_up(text.as_bytes(), &mut hits);
            hits.sort();
            hits.dedup();
            hits
        };
        assert_eq!(look_up("/usr/bin/curl"), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(look_up(""), [7, 9]);
        assert_eq!(look_up("rl"), [4, 7]);
        assert_eq!(look_up("/"), [7]);
    }
}
