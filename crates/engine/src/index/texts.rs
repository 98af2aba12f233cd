//! The patterns of one text field, arranged for looking them all up at once.
//!
//! Texts of ASCII chars are looked at as they are; the tables do not tell upper
//! from lower case, and the comparison that follows does if the predicate does.
//! Other texts come in filter form, and what is found in them proves nothing.

use crate::compile::pattern::Pattern;
use crate::index::affixes::{Affixes, End};
use crate::index::grams::{GramCounts, GramIndex, longest_stride};
use crate::index::hash::{HashIndex, hash_any_case};
use crate::index::pairs::PairIndex;
use crate::search::{begins_with_any_case, contains, contains_any_case, rarest};

/// Fewer short literals than this are quicker searched for one by one,
const FEW: usize = 6;
/// unless the text is this long, so that each has many false starts.
const LONG: usize = 512;

/// Looks up the patterns that a text holds.
#[derive(Debug, Default)]
pub(crate) struct TextIndex {
    /// By pattern number.
    needles: Box<[Place]>,
    /// What they are compared with: filter forms and exact texts.
    bytes: Box<[u8]>,
    equals: HashIndex,
    prefixes: Affixes,
    suffixes: Affixes,
    grams: GramIndex,
    /// Literals too short for grams.
    pairs: PairIndex,
    /// The same, to be searched for one by one: the pattern, and where its rarest
    /// byte stands. First come those of a single byte, which have no pair.
    short: Box<[(u32, u32)]>,
    /// How many of them are of a single byte.
    single: usize,
    /// Hit by every text: only the predicate itself can tell.
    asks: Box<[u32]>,
}

/// Where a needle's texts stand.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u32,
    /// The length of the filter form.
    length: u32,
    /// The exact text begins at `start + length` and ends here; no longer than the
    /// filter form if case does not count.
    end: u32,
}

/// A text that is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text<'t> {
    /// All its chars are ASCII.
    Ascii(&'t [u8]),
    /// In filter form.
    Form(&'t [u8]),
}

impl TextIndex {
    /// Patterns are known by their place in `patterns`; those that are no text
    /// patterns are left out.
    pub(crate) fn new(patterns: &[Pattern], counts: &GramCounts) -> TextIndex {
        let mut index = TextIndex::default();
        let mut bytes = Vec::new();
        let mut needles = Vec::with_capacity(patterns.len());
        let (mut equals, mut prefixes, mut suffixes) = (Vec::new(), Vec::new(), Vec::new());
        let mut contains: Vec<(u32, &[u8])> = Vec::new();
        let mut asks = Vec::new();
        for (pattern, number) in patterns.iter().zip(0u32..) {
            if *pattern == Pattern::Ask {
                asks.push(number);
            }
            let Some(needle) = pattern.needle() else {
                needles.push(Place::default());
                continue;
            };
            let form = &*needle.form;
            match pattern {
                Pattern::Equals(_) => equals.push((hash_any_case(form), number)),
                Pattern::Prefix(_) => prefixes.push((number, form)),
                Pattern::Suffix(_) => suffixes.push((number, form)),
                _ => contains.push((number, form)),
            }
            let start = bytes.len() as u32;
            bytes.extend_from_slice(form);
            if let Some(own) = &needle.exact {
                bytes.extend_from_slice(own);
            }
            needles.push(Place {
                start,
                length: form.len() as u32,
                end: bytes.len() as u32,
            });
        }
        let stride = best_stride(&contains);
        let (long, short): (Vec<_>, Vec<_>) = contains
            .into_iter()
            .partition(|(_, form)| longest_stride(form.len()) >= stride);
        index.grams = GramIndex::new(stride, &long, counts);
        let (pairs, single): (Vec<_>, Vec<_>) =
            short.into_iter().partition(|(_, form)| form.len() > 1);
        index.pairs = PairIndex::new(&pairs);
        index.single = single.len();
        index.short = single
            .into_iter()
            .chain(pairs)
            .map(|(number, form)| (number, rarest(form) as u32))
            .collect();
        index.equals = HashIndex::new(&equals);
        index.prefixes = Affixes::new(End::First, &prefixes);
        index.suffixes = Affixes::new(End::Last, &suffixes);
        index.asks = asks.into();
        index.needles = needles.into();
        index.bytes = bytes.into();
        index
    }

    /// Adds the numbers of the patterns that the text holds; a number may be added
    /// twice.
    #[inline]
    pub(crate) fn look_up(&self, text: Text<'_>, hits: &mut Vec<u32>) {
        let (bytes, is_ascii) = match text {
            Text::Ascii(bytes) => (bytes, true),
            Text::Form(bytes) => (bytes, false),
        };
        let begins = |text: &[u8], number| match self.needle(number, is_ascii) {
            (own, true) => text.starts_with(own),
            (own, false) => begins_with_any_case(text, own),
        };
        if !self.equals.is_empty() {
            let found = self.equals.get(hash_any_case(bytes));
            hits.extend(found.filter(|&number| {
                self.needle(number, is_ascii).0.len() == bytes.len() && begins(bytes, number)
            }));
        }
        self.prefixes.get(End::First, bytes, |number| {
            if begins(bytes, number) {
                hits.push(number);
            }
        });
        self.suffixes.get(End::Last, bytes, |number| {
            let length = self.needle(number, is_ascii).0.len();
            let start = bytes.len().checked_sub(length);
            if start.is_some_and(|start| begins(&bytes[start..], number)) {
                hits.push(number);
            }
        });
        self.grams.scan(bytes, |number, start| {
            if begins(&bytes[start..], number) {
                hits.push(number);
            }
        });
        let by_pairs = self.short.len() - self.single >= FEW || bytes.len() >= LONG;
        if by_pairs {
            self.pairs.scan(bytes, |number, start| {
                if begins(&bytes[start..], number) {
                    hits.push(number);
                }
            });
        }
        let others = if by_pairs {
            self.single
        } else {
            self.short.len()
        };
        for &(number, rare) in &self.short[..others] {
            let found = match self.needle(number, is_ascii) {
                (own, true) => contains(bytes, own, rare as usize),
                (own, false) => {
                    contains_any_case(bytes, own, rare as usize, usize::MAX) == Some(true)
                }
            };
            if found {
                hits.push(number);
            }
        }
        hits.extend_from_slice(&self.asks);
    }

    /// What the text must have, and whether case counts.
    #[inline]
    fn needle(&self, number: u32, is_ascii: bool) -> (&[u8], bool) {
        let Place { start, length, end } = self.needles[number as usize];
        let middle = start + length;
        if is_ascii && end > middle {
            (&self.bytes[middle as usize..end as usize], true)
        } else {
            (&self.bytes[start as usize..middle as usize], false)
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.needles.len() * size_of::<Place>()
            + self.bytes.len()
            + self.equals.memory()
            + self.prefixes.memory()
            + self.suffixes.memory()
            + self.grams.memory()
            + self.pairs.memory()
            + self.short.len() * 8
            + self.asks.len() * 4
    }
}

/// The stride to scan with: literals that are too short for it are searched for one
/// by one.
fn best_stride(contains: &[(u32, &[u8])]) -> usize {
    /// What one more search costs, in looked-at windows.
    const SEARCH: usize = 24;
    /// A usual length of a text.
    const LENGTH: usize = 128;
    let cost = |stride: &usize| {
        let is_short = |(_, form): &&(u32, &[u8])| longest_stride(form.len()) < *stride;
        let short = contains.iter().filter(is_short).count();
        let scan = if short == contains.len() {
            0
        } else {
            LENGTH / stride
        };
        scan + short * SEARCH
    };
    [4, 2, 1].into_iter().min_by_key(cost).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::pattern::Needle;

    fn any(text: &str) -> Needle {
        Needle::needed(text.to_lowercase().into_bytes(), None)
    }

    fn exact(text: &str) -> Needle {
        Needle::needed(text.to_lowercase().into_bytes(), Some(text))
    }

    fn look_up(index: &TextIndex, text: Text<'_>) -> Vec<u32> {
        let mut hits = Vec::new();
        index.look_up(text, &mut hits);
        hits.sort();
        hits.dedup();
        hits
    }

    #[test]
    fn every_kind_of_pattern_is_found() {
        let patterns = [
            Pattern::Equals(any("/usr/bin/curl")),
            Pattern::Prefix(any("/usr/bin/c")),
            Pattern::Prefix(any("/u")),
            Pattern::Suffix(any("bin/curl")),
            Pattern::Suffix(any("rl")),
            Pattern::Contains(any("/bin/")),
            Pattern::Contains(any("n/")),
            Pattern::Ask,
            Pattern::Contains(any("wget")),
            Pattern::Equals(any("")),
        ];
        let index = TextIndex::new(&patterns, &GramCounts::new());
        let ascii = |text: &str| look_up(&index, Text::Ascii(text.as_bytes()));
        assert_eq!(ascii("/usr/bin/curl"), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(ascii("/USR/Bin/Curl"), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(ascii(""), [7, 9]);
        assert_eq!(ascii("rl"), [4, 7]);
        assert_eq!(ascii("/"), [7]);
        let form = |text: &str| look_up(&index, Text::Form(text.as_bytes()));
        assert_eq!(form("/usr/bin/curl"), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn many_short_literals_are_found_in_one_pass() {
        let literals = ["-k", "sh", "aw", "rm", "ls", "nc", "-st", "ps ", "x"];
        let patterns = literals.map(|text| Pattern::Contains(any(text)));
        let index = TextIndex::new(&patterns, &GramCounts::new());
        assert_eq!((index.single, index.short.len()), (1, 9));
        let found = look_up(&index, Text::Ascii(b"/bin/BASH -ST; ps x"));
        assert_eq!(found, [1, 6, 7, 8]);
        assert!(look_up(&index, Text::Form("s".as_bytes())).is_empty());
    }

    #[test]
    fn case_counts_where_it_is_asked_for() {
        let patterns = [
            Pattern::Equals(exact("Curl")),
            Pattern::Prefix(exact("Cu")),
            Pattern::Suffix(exact("Rl")),
            Pattern::Contains(exact("uR")),
            Pattern::Contains(exact("CURL")),
            Pattern::Contains(exact("ä")),
        ];
        let index = TextIndex::new(&patterns, &GramCounts::new());
        let ascii = |text: &str| look_up(&index, Text::Ascii(text.as_bytes()));
        assert_eq!(ascii("Curl"), [0, 1]);
        assert_eq!(ascii("CuRl"), [1, 2, 3]);
        assert_eq!(ascii("CURL"), [4]);
        assert!(ascii("curl").is_empty());
        // In filter form it cannot be told.
        let form = look_up(&index, Text::Form("äcurl".as_bytes()));
        assert_eq!(form, [2, 3, 4, 5]);
    }
}
