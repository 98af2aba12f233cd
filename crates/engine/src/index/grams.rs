//! One pass over a text for thousands of literals: a hash filter on 4-byte
//! windows ("grams"), and a comparison where it hits.
//!
//! Only every `stride`-th window of the text is looked at; therefore each
//! literal is filed under `stride` neighbouring grams of its own, one of which
//! falls on a window that is looked at, wherever the literal stands.

use crate::index::hash::{HashIndex, mix};

/// Length of a gram in bytes.
pub(crate) const GRAM: usize = 4;

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
        (gram.wrapping_mul(0x9E37_79B1) >> (32 - Self::BITS)) as usize
    }

    /// Counts each gram of a text in filter form.
    pub(crate) fn add(&mut self, text: &[u8], times: u32) {
        for window in text.grams() {
            let count = &mut self.counts[Self::at(window)];
            *count = count.saturating_add(times);
        }
    }

    fn get(&self, gram: u32) -> u32 {
        self.counts[Self::at(gram)]
    }
}

/// The grams of a text.
trait Grams {
    fn grams(&self) -> impl Iterator<Item = u32>;
}

impl Grams for [u8] {
    fn grams(&self) -> impl Iterator<Item = u32> {
        self.windows(GRAM)
            .map(|window| u32::from_le_bytes([window[0], window[1], window[2], window[3]]))
    }
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
            let grams: Vec<u32> = Grams::grams(text).collect();
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
                pairs.push((mix(gram.into()), places.len() as u32));
                places.push((number, offset as u32));
            }
        }
        // Sixteen bits an entry keep chance hits at one in sixteen.
        let bits = (pairs.len() * 16)
            .next_power_of_two()
            .trailing_zeros()
            .clamp(9, 20);
        let shift = 64 - bits;
        let mut filter = vec![0u64; (1 << bits) / 64];
        for (hash, _) in &pairs {
            let bit = hash >> shift;
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
        while let Some(window) = text.get(at..at + GRAM) {
            let gram = u32::from_le_bytes([window[0], window[1], window[2], window[3]]);
            let hash = mix(gram.into());
            let bit = hash >> self.shift;
            if self.filter[(bit / 64) as usize] >> (bit % 64) & 1 == 1 {
                self.hit(hash, at, found);
            }
            at += STRIDE;
        }
    }

    #[inline(never)]
    fn hit(&self, hash: u64, at: usize, found: &mut impl FnMut(u32, usize)) {
        for place in self.table.get(hash) {
            let (literal, offset) = self.places[place as usize];
            if let Some(start) = at.checked_sub(offset as usize) {
                found(literal, start);
            }
        }
    }

    /// How many grams it looks for.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn memory(&self) -> usize {
        self.filter.len() * 8 + self.table.memory() + self.places.len() * 8
    }
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
            for before in 0..9 {
                let text = format!(
                    "{}{}{}",
                    "-".repeat(before),
                    literals[1],
                    "+".repeat(before)
                );
                let mut hits = Vec::new();
                index.scan(text.as_bytes(), |literal, at| hits.push((literal, at)));
                assert!(
                    hits.contains(&(1, before)),
                    "stride {stride}, {before} before"
                );
            }
        }
    }
}
