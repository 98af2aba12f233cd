//! One pass over a text for thousands of literals: a hash filter on 4-byte
//! windows ("grams"), and a comparison where it hits.
//!
//! Only every `stride`-th window of the text is looked at; therefore each
//! literal is filed under `stride` neighbouring grams of its own, one of which
//! falls on a window that is looked at, wherever the literal stands.
//!
//! Grams are taken without case, in the coarsest way: a bit that tells upper from
//! lower case is set in every byte. So a text need not be brought into lower case
//! before the pass.

use crate::index::hash::HashIndex;

/// Length of a gram in bytes.
pub(crate) const GRAM: usize = 4;

/// What is the same in upper and lower case.
const NO_CASE: u32 = 0x2020_2020;

/// Spreads a gram over 32 bits.
#[inline]
fn spread(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1)
}

/// How often grams occur in real texts, by hash.
#[derive(Debug, Clone)]
pub(crate) struct GramCounts {
    counts: Vec<u32>,
}

impl GramCounts {
    const BITS: u32 = 16;

    pub(crate) fn new() -> GramCounts {
        GramCounts {
            counts: vec![0; 1 << Self::BITS],
        }
    }

    fn at(gram: u32) -> usize {
        (spread(gram) >> (32 - Self::BITS)) as usize
    }

    /// Counts each gram of a text.
    pub(crate) fn add(&mut self, text: &[u8], times: u32) {
        for gram in grams(text) {
            let count = &mut self.counts[Self::at(gram)];
            *count = count.saturating_add(times);
        }
    }

    fn get(&self, gram: u32) -> u32 {
        self.counts[Self::at(gram)]
    }
}

/// The grams of a text.
fn grams(text: &[u8]) -> impl Iterator<Item = u32> {
    text.windows(GRAM)
        .map(|window| u32::from_le_bytes([window[0], window[1], window[2], window[3]]) | NO_CASE)
}

/// Literals, to be found in one pass.
#[derive(Debug, Default)]
pub(crate) struct GramIndex {
    stride: usize,
    filter: Filter,
    table: HashIndex,
    /// For each entry of the table: literal, and where the gram stands in it.
    places: Box<[(u32, u32)]>,
}

/// The longest stride for which a literal of that length has enough grams.
pub(crate) fn longest_stride(length: usize) -> usize {
    match length {
        0..4 => 0,
        4 => 1,
        5 | 6 => 2,
        _ => 4,
    }
}

impl GramIndex {
    /// `literals`: number and text (filter form) of each; none may be too short
    /// for the stride. `counts` says which grams to avoid.
    pub(crate) fn new(stride: usize, literals: &[(u32, &[u8])], counts: &GramCounts) -> GramIndex {
        if literals.is_empty() {
            return GramIndex::default();
        }
        let mut load: std::collections::HashMap<u32, u32> = std::collections::HashMap::new();
        let mut pairs = Vec::with_capacity(literals.len() * stride);
        let mut places = Vec::with_capacity(literals.len() * stride);
        for &(number, text) in literals {
            let grams: Vec<u32> = grams(text).collect();
            let best = grams
                .windows(stride)
                .map(|grams| {
                    let load = |gram| load.get(gram).copied().unwrap_or(0).saturating_mul(8);
                    grams
                        .iter()
                        .map(|gram| u64::from(counts.get(*gram)) + u64::from(load(gram)))
                        .sum::<u64>()
                })
                .zip(0..)
                .min();
            let Some((_, at)) = best else { continue };
            for (offset, &gram) in (at..).zip(&grams[at..at + stride]) {
                *load.entry(gram).or_default() += 1;
                pairs.push((key(gram), places.len() as u32));
                places.push((number, offset as u32));
            }
        }
        let grams = pairs.iter().map(|(key, _)| *key as u32);
        let filter = Filter::new(pairs.len(), grams);
        GramIndex {
            stride,
            filter,
            table: HashIndex::new(&pairs),
            places: places.into(),
        }
    }

    /// Calls `found` with literals whose gram stands in `text` and the place
    /// where the literal would begin; the caller compares. A literal may be
    /// named several times.
    #[inline]
    pub(crate) fn scan(&self, text: &[u8], mut found: impl FnMut(u32, usize)) {
        let found = &mut found;
        match (&self.filter, self.stride) {
            (Filter::Small(filter), 1) => self.scan_by::<1, _>(filter, text, found),
            (Filter::Small(filter), 2) => self.scan_by::<2, _>(filter, text, found),
            (Filter::Small(filter), 4) => self.scan_by::<4, _>(filter, text, found),
            (Filter::Middle(filter), 1) => self.scan_by::<1, _>(filter, text, found),
            (Filter::Middle(filter), 2) => self.scan_by::<2, _>(filter, text, found),
            (Filter::Middle(filter), 4) => self.scan_by::<4, _>(filter, text, found),
            (Filter::Large(filter), 1) => self.scan_by::<1, _>(filter, text, found),
            (Filter::Large(filter), 2) => self.scan_by::<2, _>(filter, text, found),
            (Filter::Large(filter), 4) => self.scan_by::<4, _>(filter, text, found),
            _ => {}
        }
    }

    #[inline]
    fn scan_by<const STRIDE: usize, const WORDS: usize>(
        &self,
        filter: &[u64; WORDS],
        text: &[u8],
        found: &mut impl FnMut(u32, usize),
    ) {
        let mut at = 0;
        while at + GRAM <= text.len() {
            let bytes = match text[at..].first_chunk() {
                Some(chunk) => u64::from_le_bytes(*chunk),
                None => padded(&text[at..]),
            };
            let gram = |offset: usize| (bytes >> (8 * offset)) as u32 | NO_CASE;
            let hits = (0..4)
                .step_by(STRIDE)
                .map(|offset| may_have(filter, gram(offset)) << offset)
                .fold(0, |hits, hit| hits | hit);
            if hits != 0 {
                for offset in (0..4).filter(|offset| hits >> offset & 1 == 1) {
                    self.hit(gram(offset), at + offset, found);
                }
            }
            at += 4;
        }
    }

    #[inline(never)]
    fn hit(&self, gram: u32, at: usize, found: &mut impl FnMut(u32, usize)) {
        for place in self.table.get(key(gram)) {
            let (literal, offset) = self.places[place as usize];
            if let Some(start) = at.checked_sub(offset as usize) {
                found(literal, start);
            }
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.filter.memory() + self.table.memory() + self.places.len() * 8
    }
}

/// A bit for each gram, by its hash: in few sizes, so that the compiler knows that
/// no place is beyond the end.
#[derive(Debug, Default)]
enum Filter {
    #[default]
    None,
    Small(Box<[u64; 64]>),
    Middle(Box<[u64; 512]>),
    Large(Box<[u64; 4096]>),
}

impl Filter {
    /// Chance hits are at most one in sixteen up to 16,384 grams.
    fn new(count: usize, grams: impl Iterator<Item = u32>) -> Filter {
        match count {
            0 => Filter::None,
            1..=128 => Filter::Small(filled(grams)),
            129..=1024 => Filter::Middle(filled(grams)),
            _ => Filter::Large(filled(grams)),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Filter::None => 0,
            Filter::Small(filter) => size_of_val(&**filter),
            Filter::Middle(filter) => size_of_val(&**filter),
            Filter::Large(filter) => size_of_val(&**filter),
        }
    }
}

fn filled<const WORDS: usize>(grams: impl Iterator<Item = u32>) -> Box<[u64; WORDS]> {
    let mut filter = Box::new([0; WORDS]);
    for gram in grams {
        let (word, bit) = place::<WORDS>(gram);
        filter[word] |= 1 << bit;
    }
    filter
}

/// Word and bit of a gram; `WORDS` is a power of two.
#[inline]
fn place<const WORDS: usize>(gram: u32) -> (usize, u32) {
    const { assert!(WORDS.is_power_of_two()) };
    let hash = spread(gram) >> (32 - 6 - WORDS.trailing_zeros());
    ((hash / 64) as usize % WORDS, hash % 64)
}

#[inline]
fn may_have<const WORDS: usize>(filter: &[u64; WORDS], gram: u32) -> u32 {
    let (word, bit) = place::<WORDS>(gram);
    (filter[word] >> bit) as u32 & 1
}

/// Fewer than eight last bytes, followed by some that are not there: who compares
/// sees that no literal ends in the text.
pub(crate) fn padded(rest: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

/// A gram's hash, and the gram itself, which tells it from all others.
fn key(gram: u32) -> u64 {
    u64::from(spread(gram)) << 32 | u64::from(gram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_found_wherever_it_stands() {
        for (stride, literals) in [
            (1, vec!["abcd", "xyzw"]),
            (2, vec!["abcde", "vwxyz"]),
            (4, vec!["abcdefg", "tuvwxyz"]),
        ] {
            let numbered: Vec<(u32, &[u8])> = (0..)
                .zip(literals.iter().map(|text| text.as_bytes()))
                .collect();
            let index = GramIndex::new(stride, &numbered, &GramCounts::new());
            for (before, after) in (0..19).flat_map(|before| (0..9).map(move |n| (before, n))) {
                let text = format!(
                    "{}{}{}",
                    "-".repeat(before),
                    literals[1].to_uppercase(),
                    "+".repeat(after)
                );
                let mut hits = Vec::new();
                index.scan(text.as_bytes(), |literal, at| hits.push((literal, at)));
                assert!(
                    hits.contains(&(1, before)),
                    "stride {stride}, {before} before, {after} after"
                );
            }
        }
    }

    #[test]
    fn a_text_shorter_than_a_gram_has_none() {
        let index = GramIndex::new(1, &[(0, b"abcd")], &GramCounts::new());
        for text in ["", "a", "ab", "abc"] {
            index.scan(text.as_bytes(), |_, _| panic!("a hit in {text}"));
        }
    }
}
