//! Tests of whole texts and numbers from one flat array.
//!
//! Following a test's own pointers costs more than the test itself when there are
//! thousands of rules: each is another cache miss. So the constants of the usual
//! tests stand one after the other in one array, in rule order, and the
//! instruction says where. Everything unusual (cut values, lists, text that is
//! not ASCII where case is ignored) goes to the prepared test instead.

use crate::compile::pattern::Pattern;
use crate::fold::Folder;
use crate::run::presence::Presence;
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
    /// Only the prepared test can tell, but it needs one of the constants to be
    /// in the text.
    Needs,
    /// The number lies in one of the ranges.
    Number,
    /// The Boolean is true.
    IsTrue,
    /// The Boolean is false.
    IsFalse,
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
    pub(crate) fn add(&mut self, test: &Test, patterns: &[Pattern]) -> Quick {
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
                    TextMatch::Glob | TextMatch::Regex => return self.needs(patterns),
                };
                for pattern in &text.patterns {
                    self.bytes.extend((pattern.len() as u32).to_le_bytes());
                    self.bytes
                        .extend((rarest(pattern.as_bytes()) as u32).to_le_bytes());
                    self.bytes.extend(pattern.as_bytes());
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

    /// The literals without which a glob or a regex does not match.
    fn needs(&mut self, patterns: &[Pattern]) -> Quick {
        let start = self.bytes.len() as u32;
        let literal = |pattern: &Pattern| match pattern {
            Pattern::Equals(text)
            | Pattern::Prefix(text)
            | Pattern::Suffix(text)
            | Pattern::Contains(text) => Some(text.clone()),
            _ => None,
        };
        let Some(literals) = patterns.iter().map(literal).collect::<Option<Vec<_>>>() else {
            return Quick::PREPARED;
        };
        if literals.len() > MOST {
            return Quick::PREPARED;
        }
        literals.iter().for_each(|literal| self.push(literal));
        Quick {
            operation: Operation::Needs,
            ignore_case: true,
            count: literals.len() as u16,
            start,
        }
    }

    fn push(&mut self, constant: &[u8]) {
        self.bytes.extend((constant.len() as u32).to_le_bytes());
        self.bytes.extend((rarest(constant) as u32).to_le_bytes());
        self.bytes.extend(constant);
    }

    /// False only if none of the constants is in a long text.
    pub(crate) fn may_hold(&self, quick: Quick, text: &str, presence: &mut Presence) -> bool {
        let mut rest = self.bytes.get(quick.start as usize..).unwrap_or_default();
        for _ in 0..quick.count {
            let Some((length, after)) = rest.split_first_chunk::<4>() else {
                return true;
            };
            let length = u32::from_le_bytes(*length) as usize;
            let Some((own, after)) = after[4..].split_at_checked(length) else {
                return true;
            };
            if presence.may_hold(text, own) {
                return true;
            }
            rest = after;
        }
        false
    }

    /// Whether one of the constants holds of a whole text; none if the prepared
    /// test must tell.
    #[inline]
    pub(crate) fn text(&self, quick: Quick, text: &str, folder: &mut Folder) -> Option<bool> {
        let text = if quick.ignore_case {
            if !text.is_ascii() {
                return None;
            }
            folder.fold(text).as_bytes()
        } else {
            text.as_bytes()
        };
        let mut rest = self.bytes.get(quick.start as usize..)?;
        for _ in 0..quick.count {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (rare, after) = after.split_first_chunk::<4>()?;
            let (own, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            let holds = match quick.operation {
                Operation::Equals => text == own,
                Operation::StartsWith => text.starts_with(own),
                Operation::EndsWith => text.ends_with(own),
                Operation::Contains | Operation::Needs => {
                    contains(text, own, u32::from_le_bytes(*rare) as usize)
                }
                _ => return None,
            };
            if holds {
                return Some(true);
            }
        }
        Some(false)
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

/// Whether the text holds the constant, whose byte at `rare` is its rarest.
#[inline]
fn contains(text: &[u8], own: &[u8], rare: usize) -> bool {
    /// After so many false starts another search is surely faster.
    const TRIES: usize = 16;
    let Some(&byte) = own.get(rare) else {
        return true;
    };
    if text.len() < own.len() {
        return false;
    }
    let last = text.len() - own.len();
    let mut from = 0;
    for _ in 0..TRIES {
        // The rare byte of a match that begins at `from` or later.
        let area = &text[from + rare..=last + rare];
        match memchr::memchr(byte, area) {
            None => return false,
            Some(at) => {
                let start = from + at;
                if text[start..].starts_with(own) {
                    return true;
                }
                from = start + 1;
                if from > last {
                    return false;
                }
            }
        }
    }
    memchr::memmem::find(&text[from..], own).is_some()
}

/// The place of the byte that is rarest in paths and command lines.
fn rarest(own: &[u8]) -> usize {
    let rank = |byte: u8| match byte {
        b'e' | b'/' | b's' | b't' | b'-' | b'a' | b'i' | b'r' | b'o' | b'n' => 9,
        b' ' | b'c' | b'l' | b'd' | b'p' | b'u' | b'm' | b'b' => 7,
        b'.' | b'h' | b'g' | b'f' | b'v' | b'=' | b'1' | b'0' | b'_' => 5,
        b'2'..=b'9' | b'w' | b'y' | b'x' | b'k' | b':' | b',' => 3,
        b'A'..=b'Z' => 2,
        _ => 1,
    };
    own.iter()
        .enumerate()
        .min_by_key(|(_, byte)| rank(**byte))
        .map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_found_where_it_stands() {
        let text = b"aaaaaaaaaaaaaaaaaaaaaaaaaaab/usr/bin/zsh -c aaaab";
        for own in ["aab", "zsh", "/usr", "aaaab", "a", "-c", ""] {
            assert!(
                contains(text, own.as_bytes(), rarest(own.as_bytes())),
                "{own}"
            );
        }
        for own in ["aabb", "zshh", "/usr/c", "baaaa/", "q"] {
            assert!(
                !contains(text, own.as_bytes(), rarest(own.as_bytes())),
                "{own}"
            );
        }
        assert!(!contains(b"ab", b"abc", 2));
        assert!(contains(b"abc", b"abc", 2));
    }
}
