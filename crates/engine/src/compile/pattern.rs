//! Patterns: what a predicate can be found by in an event.
//!
//! A predicate that is true, or may be, has at least one of its patterns in the
//! value. Patterns are compared in *filter form* ([`filter_char`]), which is
//! coarser than the rules' own comparison: a hit says "look closer", no hit says
//! "certainly not".

use crate::compile::literals::{self, Literal};
use crate::fold::fold_char;
use crate::glob::{Glob, Part};
use picket_lang::ir::{IpNetwork, Test, TextMatch, TextTest};

/// One way to find a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// The text equals this.
    Equals(Needle),
    /// The text begins with this; never empty.
    Prefix(Needle),
    /// The text ends with this; never empty.
    Suffix(Needle),
    /// The text holds this; never empty.
    Contains(Needle),
    /// Only the predicate itself can tell.
    Ask,
    /// The number is this.
    Number(i64),
    /// The number lies between these, inclusive.
    Range(i64, i64),
    /// The address lies in this network.
    Network(IpNetwork),
    /// The value is this.
    Bool(bool),
    /// There is a value.
    Present,
}

/// A text to be found in others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Needle {
    /// In filter form.
    pub form: Box<[u8]>,
    /// The very bytes that a text of ASCII chars must have; none if upper and lower
    /// case are the same.
    pub exact: Option<Box<[u8]>>,
    /// If it is found in a text of ASCII chars, the predicate holds.
    pub proves: bool,
}

impl Needle {
    /// For a regex or glob that cannot do without it.
    pub(crate) fn needed(form: impl Into<Box<[u8]>>, exact: Option<&str>) -> Needle {
        Needle {
            form: form.into(),
            exact: exact.map(|text| text.as_bytes().into()),
            proves: false,
        }
    }

    /// For a predicate that asks for nothing else.
    fn whole(text: &str, ignore_case: bool) -> Needle {
        let form = filter_form(text);
        Needle {
            // Some letters are ASCII ones in filter form, yet no test takes them so.
            proves: !ignore_case || *form == *text.as_bytes(),
            exact: (!ignore_case).then(|| text.as_bytes().into()),
            form,
        }
    }
}

impl Pattern {
    /// What a text must have, for patterns of texts.
    pub(crate) fn needle(&self) -> Option<&Needle> {
        match self {
            Pattern::Equals(needle)
            | Pattern::Prefix(needle)
            | Pattern::Suffix(needle)
            | Pattern::Contains(needle) => Some(needle),
            _ => None,
        }
    }

    /// Whether the predicate holds of each ASCII text that has the pattern.
    pub(crate) fn is_proof(&self) -> bool {
        match self {
            Pattern::Ask | Pattern::Present => false,
            pattern => pattern.needle().is_none_or(|needle| needle.proves),
        }
    }
}

/// The char that stands for `c` in filter form: folded, and the two letters
/// that only regexes without case equate with ASCII ones (long s, Kelvin sign)
/// as those.
pub(crate) fn filter_char(c: char) -> char {
    match fold_char(c) {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        c => c,
    }
}

/// A text in filter form.
pub(crate) fn filter_form(text: &str) -> Box<[u8]> {
    let text: String = text.chars().map(filter_char).collect();
    text.into_bytes().into()
}

/// One of the texts, numbers or networks that a predicate takes. If the predicate
/// holds, one of its pieces does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// If the piece holds, then of each of these lists a pattern hits; so one list
    /// is enough to look for. There is at least one.
    pub lists: Vec<Vec<Pattern>>,
    /// What a glob or regex cannot do without: of each of these sets, one stands in
    /// the text.
    pub needs: Vec<Vec<Needle>>,
}

impl Piece {
    fn new(pattern: Pattern) -> Piece {
        Piece {
            lists: vec![vec![pattern]],
            needs: Vec::new(),
        }
    }
}

/// How a test can be found.
pub(crate) fn pieces(test: &Test) -> Vec<Piece> {
    match test {
        Test::Text(text) => {
            let pieces: Vec<Piece> = text
                .patterns
                .iter()
                .map(|pattern| text_piece(text, pattern))
                .collect();
            let present = Piece::new(Pattern::Present);
            if pieces.contains(&present) {
                return vec![present];
            }
            pieces
        }
        Test::Number(ranges) => ranges
            .iter()
            .map(|range| match (*range.start(), *range.end()) {
                (low, high) if low == high => Piece::new(Pattern::Number(low)),
                (low, high) => Piece::new(Pattern::Range(low, high)),
            })
            .collect(),
        Test::Ip(networks) => {
            let piece = |network: &IpNetwork| Piece::new(Pattern::Network(*network));
            networks.iter().map(piece).collect()
        }
        Test::Bool(expected) => vec![Piece::new(Pattern::Bool(*expected))],
        Test::Exists | Test::TextNot { .. } | Test::NumberNot(_) | Test::IpNot(_) => {
            vec![Piece::new(Pattern::Present)]
        }
    }
}

fn text_piece(test: &TextTest, pattern: &str) -> Piece {
    let whole = || Needle::whole(pattern, test.ignore_case);
    Piece::new(match test.how {
        TextMatch::Equals => Pattern::Equals(whole()),
        _ if pattern.is_empty() => Pattern::Present,
        TextMatch::Contains => Pattern::Contains(whole()),
        TextMatch::StartsWith => Pattern::Prefix(whole()),
        TextMatch::EndsWith => Pattern::Suffix(whole()),
        TextMatch::Glob => return glob_piece(&Glob::new(pattern, test.ignore_case)),
        TextMatch::Regex => return regex_piece(pattern, test.ignore_case),
    })
}

fn regex_piece(pattern: &str, ignore_case: bool) -> Piece {
    let needs: Vec<Vec<Needle>> = literals::required(pattern, ignore_case)
        .into_iter()
        .map(|set| {
            let needle = |literal: Literal| {
                Needle::needed(literal.form.into_bytes(), literal.exact.as_deref())
            };
            set.into_iter().map(needle).collect()
        })
        .collect();
    // A single byte stands nearly everywhere: good to rule a text out, not to look for.
    let worth_looking = |set: &&Vec<Needle>| set.iter().all(|needle| needle.form.len() > 1);
    let contains = |set: &Vec<Needle>| set.iter().cloned().map(Pattern::Contains).collect();
    let mut lists: Vec<Vec<Pattern>> = needs.iter().filter(worth_looking).map(contains).collect();
    if lists.is_empty() {
        lists.push(vec![Pattern::Ask]);
    }
    Piece { lists, needs }
}

/// The longest fixed run of a glob, in filter form.
pub(crate) fn glob_literal(glob: &Glob) -> Option<String> {
    let forms =
        runs(glob).map(|(_, text)| String::from_utf8_lossy(&filter_form(&text)).into_owned());
    forms.max_by_key(String::len)
}

/// The fixed runs of a glob, each with the part it begins at.
fn runs(glob: &Glob) -> impl Iterator<Item = (usize, String)> {
    let parts = glob.parts();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < parts.len() {
            let begin = at;
            let text: String = parts[at..]
                .iter()
                .map_while(|part| match part {
                    Part::Char(c) => Some(*c),
                    _ => None,
                })
                .collect();
            at += text.chars().count().max(1);
            if !text.is_empty() {
                return Some((begin, text));
            }
        }
        None
    })
}

fn glob_piece(glob: &Glob) -> Piece {
    let parts = glob.parts();
    let mut lists = Vec::new();
    let mut needs = Vec::new();
    for (at, text) in runs(glob) {
        let ends = at + text.chars().count() == parts.len();
        let exact = (!glob.ignores_case()).then_some(&*text);
        let needle = Needle::needed(filter_form(&text), exact);
        needs.push(vec![needle.clone()]);
        lists.push(vec![match (at == 0, ends) {
            (true, true) => Pattern::Equals(needle),
            (true, false) => Pattern::Prefix(needle),
            (false, true) => Pattern::Suffix(needle),
            (false, false) => Pattern::Contains(needle),
        }]);
    }
    if lists.is_empty() {
        lists.push(vec![match parts {
            [] => Pattern::Equals(Needle::needed([], None)),
            [Part::Run] => Pattern::Present,
            _ => Pattern::Ask,
        }]);
    }
    Piece { lists, needs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_found_by_each_fixed_run() {
        let glob = |pattern: &str| -> Vec<Pattern> {
            let piece = glob_piece(&Glob::new(pattern, false));
            piece.lists.into_iter().flatten().collect()
        };
        let bytes = |text: &str| Needle::needed(filter_form(text), Some(text));
        assert_eq!(
            glob("/usr/*.so"),
            [
                Pattern::Prefix(bytes("/usr/")),
                Pattern::Suffix(bytes(".so"))
            ]
        );
        assert_eq!(glob("*Lib*"), [Pattern::Contains(bytes("Lib"))]);
        assert_eq!(glob("abc"), [Pattern::Equals(bytes("abc"))]);
        assert_eq!(glob("*"), [Pattern::Present]);
        assert_eq!(glob("?*"), [Pattern::Ask]);
        assert_eq!(glob(""), [Pattern::Equals(Needle::needed([], None))]);
    }

    #[test]
    fn only_what_cannot_mislead_is_a_proof() {
        assert!(Needle::whole("curl", true).proves);
        assert!(Needle::whole("Curl", false).proves);
        // A long s is an s in filter form, but no test takes it for one.
        assert!(!Needle::whole("\u{17F}h", true).proves);
        assert!(!Pattern::Ask.is_proof());
        assert!(Pattern::Number(1).is_proof());
        assert!(!Pattern::Contains(Needle::needed(*b"curl", None)).is_proof());
    }

    #[test]
    fn filter_form_is_coarser_than_folding() {
        assert_eq!(&*filter_form("K\u{212A}S\u{17F}É"), "kkssé".as_bytes());
    }
}
