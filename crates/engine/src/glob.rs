//! Glob patterns: the whole text, `*` any run, `?` any one char, `[…]` a set,
//! `\` takes the next char literally.
//!
//! What the checker leaves open is settled so: a `[` that nothing closes and a
//! final `\` stand for themselves; `]` right after `[` or `[!` is a member.

use crate::fold::fold_char;
use crate::truth::Truth;

/// A parsed glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<Part>,
    /// The texts between the runs, if there is nothing else: first, middle ones,
    /// last.
    literals: Option<Vec<Box<str>>>,
    ignore_case: bool,
}

/// One element of a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Any run, also an empty one.
    Run,
    /// Any one char.
    Any,
    /// This char.
    Char(char),
    /// One of the ranges, or with `true` none of them.
    Set(Vec<(char, char)>, bool),
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Part::Run => false,
            Part::Any => true,
            Part::Char(own) => *own == c,
            Part::Set(ranges, negated) => {
                ranges.iter().any(|&(low, high)| low <= c && c <= high) != *negated
            }
        }
    }
}

impl Glob {
    /// Parses a pattern; with `ignore_case` it is already folded.
    pub fn new(pattern: &str, ignore_case: bool) -> Glob {
        let chars: Vec<char> = pattern.chars().collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            at += 1;
            let part = match c {
                '*' => Part::Run,
                '?' => Part::Any,
                '\\' => match chars.get(at) {
                    Some(&next) => {
                        at += 1;
                        Part::Char(next)
                    }
                    None => Part::Char('\\'),
                },
                '[' => match set(&chars[at..]) {
                    Some((set, length)) => {
                        at += length;
                        set
                    }
                    None => Part::Char('['),
                },
                c => Part::Char(c),
            };
            if part != Part::Run || parts.last() != Some(&Part::Run) {
                parts.push(part);
            }
        }
        Glob {
            literals: literals(&parts),
            parts,
            ignore_case,
        }
    }

    /// Its elements; two runs never stand side by side.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether upper and lower case are the same.
    pub(crate) fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// Whether the whole text matches. Takes time linear in the text's length
    /// (times the pattern's).
    pub fn is_match(&self, text: &str) -> bool {
        match &self.literals {
            Some(literals) if !self.ignore_case => literals_match(literals, text.as_bytes()),
            _ => self.chars_match(text),
        }
    }

    /// The same for a text that is folded already, if case is ignored.
    pub fn is_match_folded(&self, text: &str) -> bool {
        match &self.literals {
            Some(literals) => literals_match(literals, text.as_bytes()),
            None => self.chars_match(text),
        }
    }

    fn chars_match(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        // Where to resume when a char does not fit: one char further into the last run.
        let mut resume: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            if self.parts.get(at) == Some(&Part::Run) {
                at += 1;
                if at == self.parts.len() {
                    return true;
                }
                resume = Some((at, rest.clone()));
                continue;
            }
            match (rest.next(), self.parts.get(at)) {
                (None, None) => return true,
                (None, Some(_)) => return false,
                (Some(c), Some(part)) if part.takes(self.fold(c)) => at += 1,
                _ => {
                    let Some((start, from)) = &mut resume else {
                        return false;
                    };
                    from.next();
                    at = *start;
                    rest = from.clone();
                }
            }
        }
    }

    /// What the beginning of a cut text decides: true if the pattern ends in a
    /// run and matches what is there, false if the fixed chars before its first
    /// run do not fit.
    pub fn on_beginning(&self, text: &str) -> Truth {
        let mut chars = text.chars();
        for part in &self.parts {
            if *part == Part::Run {
                let open = self.parts.last() == Some(&Part::Run);
                return if open && self.is_match(text) {
                    Truth::True
                } else {
                    Truth::Unknown
                };
            }
            match chars.next() {
                None => return Truth::Unknown,
                Some(c) if part.takes(self.fold(c)) => {}
                Some(_) => return Truth::False,
            }
        }
        // No run at all: what is there must not be longer than the pattern.
        if chars.next().is_some() {
            Truth::False
        } else {
            Truth::Unknown
        }
    }

    fn fold(&self, c: char) -> char {
        if self.ignore_case { fold_char(c) } else { c }
    }
}

/// The texts between the runs of a glob that has only chars besides.
fn literals(parts: &[Part]) -> Option<Vec<Box<str>>> {
    let mut literals = vec![String::new()];
    for part in parts {
        match (part, literals.last_mut()) {
            (Part::Char(c), Some(last)) => last.push(*c),
            (Part::Run, _) => literals.push(String::new()),
            _ => return None,
        }
    }
    Some(literals.into_iter().map(Into::into).collect())
}

/// Whether the text begins with the first literal, ends with the last and holds
/// the others in order between them.
fn literals_match(literals: &[Box<str>], text: &[u8]) -> bool {
    let Some((first, others)) = literals.split_first() else {
        return text.is_empty();
    };
    let Some((last, middle)) = others.split_last() else {
        return text == first.as_bytes();
    };
    let Some(mut rest) = text.strip_prefix(first.as_bytes()) else {
        return false;
    };
    let Some(inside) = rest.strip_suffix(last.as_bytes()) else {
        return false;
    };
    rest = inside;
    middle.iter().all(|own| {
        let Some(at) = memchr::memmem::find(rest, own.as_bytes()) else {
            return false;
        };
        rest = &rest[at + own.len()..];
        true
    })
}

/// A set after its `[`: the part, and how many chars it takes with its `]`.
fn set(chars: &[char]) -> Option<(Part, usize)> {
    let negated = chars.first() == Some(&'!');
    let first = usize::from(negated);
    let mut at = first;
    let mut ranges = Vec::new();
    loop {
        let (low, next) = member(chars, at, first)?;
        let Some(low) = low else {
            return Some((Part::Set(ranges, negated), next));
        };
        at = next;
        let range_follows =
            chars.get(at) == Some(&'-') && chars.get(at + 1).is_some_and(|&c| c != ']');
        if range_follows {
            let (high, next) = member(chars, at + 1, first)?;
            ranges.push((low, high?));
            at = next;
        } else {
            ranges.push((low, low));
        }
    }
}

/// The member at `at` (none for the closing bracket) and where the next begins.
fn member(chars: &[char], at: usize, first: usize) -> Option<(Option<char>, usize)> {
    match *chars.get(at)? {
        ']' if at > first => Some((None, at + 1)),
        '\\' => Some((Some(*chars.get(at + 1)?), at + 2)),
        c => Some((Some(c), at + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        Glob::new(pattern, false).is_match(text)
    }

    #[test]
    fn whole_texts_match() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*b*c", "a/b/b/c", true),
            ("a*b*c", "a/b/b/cd", false),
            ("?", "é", true),
            ("??", "é", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[\\]]", "]", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("a\\", "a\\", true),
            ("*.so", "libc.so", true),
            ("*.so", "libc.so.6", false),
            ("*ab", "aab", true),
        ] {
            assert_eq!(is_match(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn both_ways_of_matching_agree() {
        for pattern in [
            "", "*", "a*", "*a", "a*a", "*ab*b*", "ab*ba", "a*b*c", "**", "é*",
        ] {
            for text in [
                "", "a", "aa", "aba", "ab", "abb", "abba", "abcbc", "éa", "xabxbx",
            ] {
                let glob = Glob::new(pattern, false);
                assert_eq!(
                    glob.is_match(text),
                    glob.chars_match(text),
                    "{pattern} on {text}"
                );
            }
        }
    }

    #[test]
    fn case_is_folded_on_both_sides() {
        assert!(Glob::new("*.ä[a-c]", true).is_match("X.ÄB"));
        assert!(!Glob::new("*.ä[a-c]", false).is_match("X.ÄB"));
    }

    #[test]
    fn a_beginning_decides_what_it_can() {
        let on = |pattern| Glob::new(pattern, false).on_beginning("/usr/bin");
        assert_eq!(on("/usr/*"), Truth::True);
        assert_eq!(on("/usr/*n*"), Truth::True);
        assert_eq!(on("/usr/*x*"), Truth::Unknown);
        assert_eq!(on("/usr/*n"), Truth::Unknown);
        assert_eq!(on("/opt/*"), Truth::False);
        assert_eq!(on("/usr/bi"), Truth::False);
        assert_eq!(on("/usr/bin"), Truth::Unknown);
        assert_eq!(on("/usr/bin/?"), Truth::Unknown);
    }

    #[test]
    fn many_runs_take_linear_time() {
        let pattern = "*a".repeat(40) + "b";
        assert!(!is_match(&pattern, &"a".repeat(4096)));
    }
}
