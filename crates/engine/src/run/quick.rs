//! Tests of whole texts and numbers from one flat array.
//!
//! Following a test's own pointers costs more than the test itself when there are
//! thousands of rules: each is another cache miss. So the constants of the usual
//! tests stand one after the other in one array, in rule order, and the
//! instruction says where. Everything unusual (cut values, lists, text that is
//! not ASCII where case is ignored) goes to the prepared test instead.

use crate::compile::pattern::Piece;
use crate::fold::Folder;
use crate::run::presence::{Presence, Windows};
use crate::search::{TRIES, contains, contains_any_case, rarest};
use picket_lang::ir::{Test, TextMatch};

/// What an instruction does with the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    /// Only the prepared test can tell.
    Prepared,
    /// The text is, has or begins or ends with one of the constants.
    Equals,
    Contains,
    StartsWith,
    EndsWith,
    /// Only the prepared test can tell, but it needs some of the constants to be in
    /// the text.
    Needs,
    /// The number lies in one of the ranges.
    Number,
    /// The Boolean is true.
    IsTrue,
    /// The Boolean is false.
    IsFalse,
}

impl Operation {
    /// Whether constants are searched for in the text.
    #[inline]
    pub(crate) fn searches(self) -> bool {
        matches!(self, Operation::Contains | Operation::Needs)
    }
}

/// A constant that is searched for.
struct Searched<'c> {
    bytes: &'c [u8],
    /// Upper and lower case are the same.
    any_case: bool,
    /// Where its rarest byte stands.
    rare: usize,
    windows: Windows,
}

impl<'c> Searched<'c> {
    /// The next one, and what follows it.
    #[inline]
    fn take(rest: &mut &'c [u8]) -> Option<Searched<'c>> {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (rare, after) = after.split_first_chunk::<4>()?;
        let (any_case, after) = after.split_first()?;
        let (windows, after) = after.split_first_chunk::<{ Windows::SIZE }>()?;
        let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        *rest = after;
        Some(Searched {
            bytes,
            any_case: *any_case != 0,
            rare: u32::from_le_bytes(*rare) as usize,
            windows: Windows::from_bytes(windows),
        })
    }
}

/// Whether the text has one of each of the next sets of literals; `rest` is left
/// after them if it has not.
fn has_needed<'c>(
    rest: &mut &'c [u8],
    holds: &mut impl FnMut(Searched<'c>) -> Option<bool>,
) -> Option<bool> {
    let byte = |rest: &mut &'c [u8]| -> Option<u8> {
        let (first, after) = rest.split_first()?;
        *rest = after;
        Some(*first)
    };
    let mut has_all = true;
    for _ in 0..byte(rest)? {
        let mut has_one = false;
        for _ in 0..byte(rest)? {
            let own = Searched::take(rest)?;
            has_one = has_one || has_all && holds(own)?;
        }
        has_all &= has_one;
    }
    Some(has_all)
}

/// The next constant of those that are compared, and what follows it.
#[inline]
fn take<'c>(rest: &mut &'c [u8]) -> Option<&'c [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (own, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(own)
}

/// Where a test's constants stand and how they are held against a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quick {
    pub operation: Operation,
    pub ignore_case: bool,
    /// How many constants.
    pub count: u16,
    /// Where the first begins.
    pub start: u32,
}

impl Quick {
    pub(crate) const PREPARED: Quick = Quick {
        operation: Operation::Prepared,
        ignore_case: false,
        count: 0,
        start: 0,
    };
}

/// More constants than this are not tried one by one.
const MOST: usize = 64;

/// The constants of all quick tests.
#[derive(Debug, Default)]
pub(crate) struct Constants {
    bytes: Vec<u8>,
}

impl Constants {
    /// Adds a test's constants.
    pub(crate) fn add(&mut self, test: &Test, pieces: &[Piece]) -> Quick {
        let start = self.bytes.len() as u32;
        match test {
            Test::Text(text)
                if text.patterns.len() <= MOST && (!text.all || text.patterns.len() == 1) =>
            {
                let operation = match text.how {
                    TextMatch::Equals => Operation::Equals,
                    TextMatch::Contains => Operation::Contains,
                    TextMatch::StartsWith => Operation::StartsWith,
                    TextMatch::EndsWith => Operation::EndsWith,
                    TextMatch::Glob | TextMatch::Regex => return self.needs(pieces),
                };
                for pattern in &text.patterns {
                    let bytes = pattern.as_bytes();
                    if operation.searches() {
                        self.push_searched(bytes, text.ignore_case, Windows::of(pattern));
                    } else {
                        self.bytes.extend((bytes.len() as u32).to_le_bytes());
                        self.bytes.extend(bytes);
                    }
                }
                Quick {
                    operation,
                    ignore_case: text.ignore_case,
                    count: text.patterns.len() as u16,
                    start,
                }
            }
            Test::Number(ranges) if ranges.len() <= MOST => {
                for range in ranges {
                    self.bytes.extend(range.start().to_le_bytes());
                    self.bytes.extend(range.end().to_le_bytes());
                }
                Quick {
                    operation: Operation::Number,
                    ignore_case: false,
                    count: ranges.len() as u16,
                    start,
                }
            }
            Test::Bool(expected) => Quick {
                operation: if *expected {
                    Operation::IsTrue
                } else {
                    Operation::IsFalse
                },
                ..Quick::PREPARED
            },
            _ => Quick::PREPARED,
        }
    }

    /// The literals without which globs or regexes do not match: for each, sets of
    /// literals of each of which it needs one.
    fn needs(&mut self, pieces: &[Piece]) -> Quick {
        let start = self.bytes.len() as u32;
        let needles = || pieces.iter().flat_map(|piece| piece.needs.iter().flatten());
        if needles().count() > MOST || pieces.iter().any(|piece| piece.needs.is_empty()) {
            return Quick::PREPARED;
        }
        for piece in pieces {
            self.bytes.push(piece.needs.len() as u8);
            for set in &piece.needs {
                self.bytes.push(set.len() as u8);
                for needle in set {
                    let windows = Windows::of_form(&needle.form);
                    let own = needle.exact.as_ref().unwrap_or(&needle.form);
                    self.push_searched(own, needle.exact.is_none(), windows);
                }
            }
        }
        Quick {
            operation: Operation::Needs,
            ignore_case: true,
            count: pieces.len() as u16,
            start,
        }
    }

    fn push_searched(&mut self, constant: &[u8], any_case: bool, windows: Windows) {
        self.bytes.extend((constant.len() as u32).to_le_bytes());
        self.bytes.extend((rarest(constant) as u32).to_le_bytes());
        self.bytes.push(any_case.into());
        self.bytes.extend(windows.to_bytes());
        self.bytes.extend(constant);
    }

    /// Whether one of the constants holds of a whole text; none if the prepared
    /// test must tell.
    #[inline]
    pub(crate) fn text(
        &self,
        quick: Quick,
        text: &str,
        folder: &mut Folder,
        presence: &mut Presence,
    ) -> Option<bool> {
        if quick.operation.searches() {
            return self.searched(quick, text, folder, presence);
        }
        let text = if quick.ignore_case {
            folder.fold_ascii(text)?.as_bytes()
        } else {
            text.as_bytes()
        };
        let mut rest = self.bytes.get(quick.start as usize..)?;
        for _ in 0..quick.count {
            let own = take(&mut rest)?;
            let holds = match quick.operation {
                Operation::Equals => text == own,
                Operation::StartsWith => text.starts_with(own),
                Operation::EndsWith => text.ends_with(own),
                _ => return None,
            };
            if holds {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The same for constants that are searched for.
    fn searched(
        &self,
        quick: Quick,
        text: &str,
        folder: &mut Folder,
        presence: &mut Presence,
    ) -> Option<bool> {
        // Case is ignored byte by byte, which is right for ASCII texts only.
        let is_ascii = text.is_ascii();
        let mut holds = |own: Searched<'_>| -> Option<bool> {
            if own.any_case && !is_ascii {
                return None;
            }
            if !presence.may_hold(text, own.windows) {
                return Some(false);
            }
            if !own.any_case {
                return Some(contains(text.as_bytes(), own.bytes, own.rare));
            }
            // After many false starts the folded text is searched in a steadier way.
            contains_any_case(text.as_bytes(), own.bytes, own.rare, TRIES).or_else(|| {
                let folded = folder.fold_ascii(text)?;
                Some(contains(folded.as_bytes(), own.bytes, own.rare))
            })
        };
        let mut rest = self.bytes.get(quick.start as usize..)?;
        for _ in 0..quick.count {
            let found = match quick.operation {
                Operation::Needs => has_needed(&mut rest, &mut holds)?,
                _ => holds(Searched::take(&mut rest)?)?,
            };
            if found {
                return Some(true);
            }
        }
        Some(false)
    }

    /// False only if a beginning of a text does not hold any of the constants that
    /// are searched for.
    pub(crate) fn may_hold(&self, quick: Quick, text: &str, presence: &mut Presence) -> bool {
        let mut rest = self.bytes.get(quick.start as usize..).unwrap_or_default();
        (0..quick.count).any(|_| {
            Searched::take(&mut rest).is_none_or(|own| presence.may_hold(text, own.windows))
        })
    }

    /// Whether the number lies in one of the ranges.
    #[inline]
    pub(crate) fn number(&self, quick: Quick, number: i64) -> Option<bool> {
        let mut rest = self.bytes.get(quick.start as usize..)?;
        for _ in 0..quick.count {
            let (low, after) = rest.split_first_chunk::<8>()?;
            let (high, after) = after.split_first_chunk::<8>()?;
            rest = after;
            if (i64::from_le_bytes(*low)..=i64::from_le_bytes(*high)).contains(&number) {
                return Some(true);
            }
        }
        Some(false)
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(&mut self) {
        self.bytes.shrink_to_fit();
    }
}
