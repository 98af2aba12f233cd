//! Domains: their whole text, in buckets by a keyed hash.
//!
//! An entry is its length, its feed and its text; a bucket holds about four of
//! them, one after the other, so a look-up touches the table of buckets and one
//! or two lines of memory. The hash runs from a name's end to its beginning and
//! is read off at each dot: all the domains above a name cost one pass over it.

use std::hash::{BuildHasher, RandomState};

use super::{FeedId, Full};
use crate::domain::{LONGEST, ascii};

/// Entries of a bucket, on average.
const FILL: usize = 4;
/// Bits of the filter for each entry of a bucket.
const FILTER: usize = 8;
/// Bytes of an entry before its text: length and feed.
const HEAD: usize = 3;

/// Multiplies and adds a name's bytes; keyed, so that no feed can be written to
/// fill one bucket.
#[derive(Debug, Clone, Copy)]
struct Key {
    start: u64,
    factor: u64,
    end: u64,
}

impl Default for Key {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            start: random.hash_one(0),
            factor: random.hash_one(1) | 1,
            end: random.hash_one(2),
        }
    }
}

impl Key {
    fn step(self, state: u64, byte: u8) -> u64 {
        let mixed = (state ^ u64::from(byte)).wrapping_mul(self.factor);
        mixed ^ (mixed >> 32)
    }

    fn finish(self, state: u64) -> u64 {
        let mixed = (state ^ self.end).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    }

    fn of(self, name: &[u8]) -> u64 {
        let states = name.iter().rev();
        self.finish(states.fold(self.start, |state, byte| self.step(state, *byte)))
    }
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    at: u32,
    length: u8,
    feed: FeedId,
}

#[derive(Debug, Default)]
pub(super) struct Builder {
    key: Key,
    text: Vec<u8>,
    entries: Vec<Entry>,
}

impl Builder {
    pub(super) fn add(&mut self, name: &str, feed: FeedId) -> Result<(), Full> {
        let name = name.as_bytes();
        self.entries.push(Entry {
            hash: self.key.of(name),
            at: u32::try_from(self.text.len()).map_err(|_| Full)?,
            length: u8::try_from(name.len()).map_err(|_| Full)?,
            feed,
        });
        self.text.extend_from_slice(name);
        Ok(())
    }

    pub(super) fn build(mut self) -> Domains {
        let text = &self.text;
        let name = |entry: &Entry| {
            let at = entry.at as usize;
            text.get(at..at + usize::from(entry.length))
                .unwrap_or_default()
        };
        let order = |entry: &Entry| (entry.hash, entry.feed);
        self.entries.sort_unstable_by(|a, b| {
            // By name before feed, so that doubles are neighbours and the first feed stays.
            (a.hash, name(a), a.feed).cmp(&(b.hash, name(b), b.feed))
        });
        self.entries
            .dedup_by(|b, a| order(a).0 == order(b).0 && name(a) == name(b));
        let count = self.entries.len();
        let buckets = (count / FILL).next_power_of_two();
        // The hash's first bits are the bucket: sorted by hash is sorted by bucket.
        let shift = 64 - buckets.trailing_zeros();
        let size: usize = self
            .entries
            .iter()
            .map(|e| HEAD + usize::from(e.length))
            .sum();
        let mut entries = Vec::with_capacity(size);
        let mut starts = vec![0u32; buckets + 1];
        let mut depths = 0;
        let mut seen = vec![0u64; (buckets * FILL * FILTER / 64).max(1)];
        for entry in &self.entries {
            let name = name(entry);
            entries.push(entry.length);
            entries.extend_from_slice(&entry.feed.0.to_le_bytes());
            entries.extend_from_slice(name);
            depths |= depth_bit(name.iter().filter(|&&byte| byte == b'.').count());
            let (word, bit) = place(entry.hash, seen.len());
            if let Some(word) = seen.get_mut(word) {
                *word |= bit;
            }
            if let Some(end) = starts.get_mut(bucket(entry.hash, shift) + 1) {
                *end = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            }
        }
        // Empty buckets end where the one before them does.
        let mut last = 0;
        for start in &mut starts {
            last = last.max(*start);
            *start = last;
        }
        Domains {
            key: self.key,
            shift,
            starts: starts.into(),
            entries: entries.into(),
            depths,
            seen: seen.into(),
            count,
        }
    }
}

#[derive(Debug)]
pub(super) struct Domains {
    key: Key,
    shift: u32,
    starts: Box<[u32]>,
    entries: Box<[u8]>,
    /// Which numbers of dots occur: others need no look.
    depths: u128,
    /// A bit for each hash: most names that are not listed end here, in memory
    /// small enough for a cache; the others are compared whole.
    seen: Box<[u64]>,
    count: usize,
}

impl Domains {
    pub(super) fn find(&self, name: &str) -> Option<(usize, FeedId)> {
        if self.count == 0 {
            return None;
        }
        // Names from the wire are short ASCII; the others take the slow path.
        let trimmed = name.strip_suffix('.').unwrap_or(name);
        let mut buffer = [0; LONGEST];
        if trimmed.is_ascii() {
            let buffer = buffer.get_mut(..trimmed.len())?;
            buffer.copy_from_slice(trimmed.as_bytes());
            buffer.make_ascii_lowercase();
            return self.walk(buffer);
        }
        self.walk(ascii(name)?.as_bytes())
    }

    fn walk(&self, name: &[u8]) -> Option<(usize, FeedId)> {
        let mut state = self.key.start;
        let mut dots = 0;
        for (at, &byte) in name.iter().enumerate().rev() {
            if byte == b'.' {
                if let Some(found) = self.probe(state, dots, name.get(at + 1..)?) {
                    return Some(found);
                }
                dots += 1;
            }
            state = self.key.step(state, byte);
        }
        self.probe(state, dots, name)
    }

    fn probe(&self, state: u64, dots: usize, name: &[u8]) -> Option<(usize, FeedId)> {
        if self.depths & depth_bit(dots) == 0 {
            return None;
        }
        let hash = self.key.finish(state);
        let (word, bit) = place(hash, self.seen.len());
        if self.seen.get(word)? & bit == 0 {
            return None;
        }
        let at = bucket(hash, self.shift);
        let begin = *self.starts.get(at)? as usize;
        let end = *self.starts.get(at + 1)? as usize;
        let mut rest = self.entries.get(begin..end)?;
        while let [length, low, high, after @ ..] = rest {
            let (text, next) = after.split_at_checked(usize::from(*length))?;
            if text == name {
                return Some((name.len(), FeedId(u16::from_le_bytes([*low, *high]))));
            }
            rest = next;
        }
        None
    }

    pub(super) fn memory(&self) -> usize {
        self.entries.len()
            + self.starts.len() * size_of::<u32>()
            + self.seen.len() * size_of::<u64>()
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

fn bucket(hash: u64, shift: u32) -> usize {
    // One bucket takes no bits, and a shift by 64 none either.
    hash.checked_shr(shift)
        .and_then(|bucket| usize::try_from(bucket).ok())
        .unwrap_or(0)
}

/// The word and the bit of a hash in a filter of so many words, a power of two. The
/// first bits of the hash are the bucket's; these are its last.
fn place(hash: u64, words: usize) -> (usize, u64) {
    let word = usize::try_from(hash >> 6).unwrap_or(0) & (words - 1);
    (word, 1 << (hash & 63))
}

/// A name of 253 bytes has up to 126 dots.
fn depth_bit(dots: usize) -> u128 {
    1 << dots.min(127)
}
