//! One pass over a text for literals that are too short for grams: a bit for each
//! pair of neighbouring bytes that one of them begins with.

use crate::index::grams::padded;
use crate::index::hash::{HashIndex, mix};

/// What is the same in upper and lower case.
const NO_CASE: u16 = 0x2020;

/// Literals of two or three bytes, to be found in one pass.
#[derive(Debug, Default)]
pub(crate) struct PairIndex {
    /// A bit for each pair, case left out; empty if there are no literals.
    filter: Box<[u64]>,
    /// Literals by their first pair.
    table: HashIndex,
}

impl PairIndex {
    /// `literals`: number and text (filter form) of each, at least two bytes long.
    pub(crate) fn new(literals: &[(u32, &[u8])]) -> PairIndex {
        if literals.is_empty() {
            return PairIndex::default();
        }
        let mut filter = vec![0; (1 << 16) / 64];
        let mut pairs = Vec::with_capacity(literals.len());
        for (number, text) in literals {
            let Some(first) = text.first_chunk() else {
                continue;
            };
            let pair = u16::from_le_bytes(*first) | NO_CASE;
            filter[usize::from(pair / 64)] |= 1 << (pair % 64);
            pairs.push((mix(pair.into()), *number));
        }
        PairIndex {
            filter: filter.into(),
            table: HashIndex::new(&pairs),
        }
    }

    /// Calls `found` with literals whose first pair stands in `text` and the place
    /// where; the caller compares. A literal may be named several times.
    #[inline]
    pub(crate) fn scan(&self, text: &[u8], mut found: impl FnMut(u32, usize)) {
        if self.filter.is_empty() {
            return;
        }
        let mut at = 0;
        while at + 2 <= text.len() {
            let bytes = match text[at..].first_chunk() {
                Some(chunk) => u64::from_le_bytes(*chunk),
                None => padded(&text[at..]),
            };
            let pair = |offset: usize| (bytes >> (8 * offset)) as u16 | NO_CASE;
            let hits = (0..7)
                .map(|offset| u32::from(self.has(pair(offset))) << offset)
                .fold(0, |hits, hit| hits | hit);
            if hits != 0 {
                for offset in (0..7).filter(|offset| hits >> offset & 1 == 1) {
                    // What begins past the end is no longer a part of the text.
                    if at + offset < text.len() {
                        self.hit(pair(offset), at + offset, &mut found);
                    }
                }
            }
            at += 7;
        }
    }

    #[inline(never)]
    fn hit(&self, pair: u16, at: usize, found: &mut impl FnMut(u32, usize)) {
        self.table
            .get(mix(pair.into()))
            .for_each(|number| found(number, at));
    }

    #[inline]
    fn has(&self, pair: u16) -> bool {
        let word = self.filter.get(usize::from(pair / 64));
        word.is_some_and(|word| word >> (pair % 64) & 1 == 1)
    }

    pub(crate) fn memory(&self) -> usize {
        self.filter.len() * 8 + self.table.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_found_wherever_it_stands() {
        let index = PairIndex::new(&[(0, b"-k"), (1, b"ssh"), (2, b"xy")]);
        for before in 0..20 {
            for after in 0..9 {
                let text = format!("{}SSH{}", "s".repeat(before), "h".repeat(after));
                let mut hits = Vec::new();
                index.scan(text.as_bytes(), |number, at| hits.push((number, at)));
                assert!(hits.contains(&(1, before)), "{before} {after}");
                assert!(hits.iter().all(|(number, _)| *number == 1));
            }
        }
        PairIndex::new(&[]).scan(b"ssh", |_, _| panic!("a hit without literals"));
    }
}
