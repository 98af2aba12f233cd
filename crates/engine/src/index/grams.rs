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
    shift: u32,
    filter: Box<[u64]>,
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
        // Thirty-two bits an entry keep chance hits at one in thirty-two; more
        // than fits the first cache costs more than it saves.
        let bits = (pairs.len() * 32)
            .next_power_of_two()
            .trailing_zeros()
            .clamp(10, 18);
        let shift = 32 - bits;
        let mut filter = vec![0u64; (1 << bits) / 64];
        for (key, _) in &pairs {
            let bit = (key >> 32) >> shift;
            filter[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        GramIndex {
            stride,
            shift,
            filter: filter.into(),
            table: HashIndex::new(&pairs),
            places: places.into(),
        }
    }

    /// Calls `found` with literals whose gram stands in `text` and the place
    /// where the literal would begin; the caller compares. A literal may be
    /// named several times.
    #[inline]
    pub(crate) fn scan(&self, text: &[u8], mut found: impl FnMut(u32, usize)) {
        match self.stride {
            1 => self.scan_by::<1>(text, &mut found),
            2 => self.scan_by::<2>(text, &mut found),
            4 => self.scan_by::<4>(text, &mut found),
            _ => {}
        }
    }

    #[inline]
    fn scan_by<const STRIDE: usize>(&self, text: &[u8], found: &mut impl FnMut(u32, usize)) {
        let mut at = 0;
        while at + GRAM <= text.len() {
            let bytes = match text[at..].first_chunk() {
                Some(chunk) => u64::from_le_bytes(*chunk),
                None => padded(&text[at..]),
            };
            let gram = |offset: usize| (bytes >> (8 * offset)) as u32 | NO_CASE;
            let hits = (0..4)
                .step_by(STRIDE)
                .map(|offset| u32::from(self.may_have(gram(offset))) << offset)
                .fold(0, |hits, hit| hits | hit);
            if hits != 0 {
                for offset in (0..4).filter(|offset| hits >> offset & 1 == 1) {
                    self.hit(gram(offset), at + offset, found);
                }
            }
            at += 4;
        }
    }

    #[inline]
    fn may_have(&self, gram: u32) -> bool {
        let bit = spread(gram) >> self.shift;
        self.filter[(bit / 64) as usize] >> (bit % 64) & 1 == 1
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
        self.filter.len() * 8 + self.table.memory() + self.places.len() * 8
    }
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
