//! A regex, or a glob, as an automaton of its own.
//!
//! It accepts once and for all: what follows a match does not matter. It dies as
//! soon as nothing can follow that matches.

use super::automaton::{Rows, nul_column};
use super::layout::Text;
use crate::fold::fold_char;
use crate::glob::{Glob, Part};
use regex_automata::dfa::{Automaton, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, util::start};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};
use std::collections::HashMap;
use std::sync::OnceLock;

/// What one regex may take; all rules share one block.
const MOST_STATES: usize = 2_048;
/// What it may take in bytes while it is being made.
const MAKING: usize = 1 << 20;
/// Why a regex is left to user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooMuch {
    /// Its automaton would be too large.
    States,
    /// It asks for what no automaton can see (a word boundary of Unicode's).
    Look,
}

/// The automaton of a regex, searched for anywhere in a text.
pub(super) fn rows(text: Text, hir: &Hir) -> Result<Rows, TooMuch> {
    let dfa = determinize(hir)?;
    export(text, &dfa, Meaning::Matches)
}

/// The automaton that accepts what is no UTF-8.
pub(super) fn no_utf8() -> Result<Rows, TooMuch> {
    let any = Hir::repetition(Repetition {
        min: 0,
        max: None,
        greedy: true,
        sub: Box::new(Hir::dot(Dot::AnyChar)),
    });
    let whole = Hir::concat(vec![Hir::look(Look::Start), any, Hir::look(Look::End)]);
    export(Text::Path, &determinize(&whole)?, Meaning::Fails)
}

fn determinize(hir: &Hir) -> Result<dense::DFA<Vec<u32>>, TooMuch> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .which_captures(thompson::WhichCaptures::None)
                .nfa_size_limit(Some(MAKING)),
        )
        .build_from_hir(hir)
        .map_err(|_| TooMuch::States)?;
    let unicode = nfa.look_set_any();
    if unicode.contains_word_unicode() {
        return Err(TooMuch::Look);
    }
    dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(regex_automata::dfa::StartKind::Unanchored)
                .dfa_size_limit(Some(MAKING))
                .determinize_size_limit(Some(MAKING)),
        )
        .build_from_nfa(&nfa)
        .map_err(|_| TooMuch::States)
}

/// What accepts.
#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    /// A match.
    Matches,
    /// That there can be none.
    Fails,
}

fn export(text: Text, dfa: &dense::DFA<Vec<u32>>, meaning: Meaning) -> Result<Rows, TooMuch> {
    let start = dfa
        .start_state(&start::Config::new().anchored(Anchored::No))
        .map_err(|_| TooMuch::Look)?;
    // One byte of each class stands for all of it.
    let byte_classes = dfa.byte_classes();
    let mut columns: Vec<u8> = Vec::new();
    let mut classes = Box::new([0u8; 256]);
    for byte in 0..=255u8 {
        let class = usize::from(byte_classes.get(byte));
        if class == columns.len() {
            columns.push(byte);
        }
        classes[usize::from(byte)] = class as u8;
    }
    if columns.len() > 255 {
        return Err(TooMuch::States);
    }
    let anchor = columns.len() as u8;
    let shift = (columns.len() + 1).next_power_of_two().trailing_zeros();

    let mut states = States {
        dfa,
        meaning,
        numbers: HashMap::new(),
        order: Vec::new(),
    };
    let start = states.number(start);
    let mut next: Vec<Vec<Target>> = Vec::new();
    while next.len() < states.order.len() {
        let at = states.order[next.len()];
        let mut row: Vec<Target> = columns
            .iter()
            .map(|&byte| states.number(dfa.next_state(at, byte)))
            .collect();
        let accepts = dfa.is_match_state(dfa.next_eoi_state(at)) == (meaning == Meaning::Matches);
        row.push(match (accepts, text) {
            (true, _) => Target::Accept,
            // The next argument is a text of its own.
            (false, Text::Args) => start,
            (false, _) => Target::Dead,
        });
        next.push(row);
        if next.len() > MOST_STATES {
            return Err(TooMuch::States);
        }
    }
    // The kernel stops at state 0. Of arguments, the next one is a text of its
    // own: a state that only it leaves stands for the dead one.
    let accept = next.len() as u16 + 2;
    let dead = match text {
        Text::Args => accept - 1,
        _ => 0,
    };
    let number = |target: &Target| match target {
        Target::Dead => dead,
        Target::State(number) => number + 1,
        Target::Accept => accept,
    };
    let mut rows = vec![0u16; (usize::from(accept) + 1) << shift];
    for (at, row) in next.iter().enumerate() {
        let from = (at + 1) << shift;
        for (column, target) in row.iter().enumerate() {
            rows[from + column] = number(target);
        }
    }
    let waiting = usize::from(accept - 1) << shift;
    rows[waiting..waiting + (1 << shift)].fill(dead);
    rows[waiting + usize::from(anchor)] = match text {
        Text::Args => number(&start),
        _ => 0,
    };
    rows[usize::from(accept) << shift..].fill(accept);
    classes[0] = match nul_column(text, &classes, anchor) {
        0 => classes[0],
        column => column,
    };
    Ok(Rows {
        classes,
        anchor,
        shift,
        next: rows,
        start: number(&start),
        accepting: accept,
        accepts: vec![0],
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Dead,
    State(u16),
    Accept,
}

struct States<'d> {
    dfa: &'d dense::DFA<Vec<u32>>,
    meaning: Meaning,
    numbers: HashMap<StateID, u16>,
    order: Vec<StateID>,
}

impl States<'_> {
    fn number(&mut self, state: StateID) -> Target {
        if self.dfa.is_dead_state(state) || self.dfa.is_quit_state(state) {
            return match self.meaning {
                Meaning::Matches => Target::Dead,
                Meaning::Fails => Target::Accept,
            };
        }
        if self.meaning == Meaning::Matches && self.dfa.is_match_state(state) {
            return Target::Accept;
        }
        let next = self.order.len() as u16;
        let number = *self.numbers.entry(state).or_insert(next);
        if number == next {
            self.order.push(state);
        }
        Target::State(number)
    }
}

/// A glob as a regex over the whole text.
pub(super) fn of_glob(pattern: &str, ignore_case: bool) -> Hir {
    let glob = Glob::new(pattern, ignore_case);
    let inside = glob.parts().iter().map(|part| match part {
        Part::Run => Hir::repetition(Repetition {
            min: 0,
            max: None,
            greedy: true,
            sub: Box::new(Hir::dot(Dot::AnyChar)),
        }),
        Part::Any => Hir::dot(Dot::AnyChar),
        Part::Char(c) => class([(*c, *c)], ignore_case, false),
        Part::Set(ranges, negated) => class(ranges.iter().copied(), ignore_case, *negated),
    });
    let parts = std::iter::once(Hir::look(Look::Start))
        .chain(inside)
        .chain([Hir::look(Look::End)]);
    Hir::concat(parts.collect())
}

/// The chars that folding changes.
fn folded_chars() -> &'static [char] {
    static CHARS: OnceLock<Vec<char>> = OnceLock::new();
    CHARS.get_or_init(|| ('\0'..=char::MAX).filter(|&c| fold_char(c) != c).collect())
}

/// The chars whose folded form (if case is ignored) lies in one of the ranges.
fn class(ranges: impl IntoIterator<Item = (char, char)>, ignore_case: bool, negated: bool) -> Hir {
    let ranges = ranges.into_iter().filter(|(low, high)| low <= high);
    let mut class = ClassUnicode::new(ranges.map(|(low, high)| ClassUnicodeRange::new(low, high)));
    if negated {
        class.negate();
    }
    if ignore_case {
        let takes = |c: char| {
            class
                .ranges()
                .iter()
                .any(|range| range.start() <= c && c <= range.end())
        };
        let (taken, left): (Vec<char>, Vec<char>) =
            folded_chars().iter().partition(|&&c| takes(fold_char(c)));
        let single = |c: char| ClassUnicodeRange::new(c, c);
        let mut changed = class.clone();
        changed.difference(&ClassUnicode::new(left.into_iter().map(single)));
        changed.union(&ClassUnicode::new(taken.into_iter().map(single)));
        class = changed;
    }
    Hir::class(Class::Unicode(class))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regexes::LazyRegex;

    fn of(text: Text, pattern: &str) -> Rows {
        rows(text, &LazyRegex::new(pattern, false).parse().unwrap()).unwrap()
    }

    fn is_match(rows: &Rows, text: &str) -> bool {
        !rows.run(text.as_bytes(), true).is_empty()
    }

    #[test]
    fn a_regex_matches_what_the_regex_crate_says() {
        for pattern in [
            "curl",
            "^/usr",
            "-e$",
            "a.*b",
            r"(?-u:\b)nc(?-u:\b)",
            "",
            "^$",
            "[a-c]b?",
            "(?i)ba[st]h",
            "é|É",
            r"x{2,5}y",
            "(?s)a.b",
            "a.b",
        ] {
            let rows = of(Text::Path, pattern);
            let regex =
                regex::Regex::new(&LazyRegex::new(pattern, false).parse().unwrap().to_string())
                    .unwrap();
            for text in [
                "", "curl", "a curl x", "/usr/bin", "x/usr", "x -e", "-e x", "ab", "a\nb", "axxb",
                "nc", "a nc b", "ncat", "bash", "BATH", "É", "xxy", "xy", "日本",
            ] {
                assert_eq!(
                    is_match(&rows, text),
                    regex.is_match(text),
                    "{pattern} on {text}"
                );
            }
        }
    }

    #[test]
    fn of_a_cut_text_a_match_must_end_before_the_cut() {
        let cut = |pattern, text: &str| {
            !of(Text::Path, pattern)
                .run(text.as_bytes(), false)
                .is_empty()
        };
        assert!(cut("curl", "a curl x"));
        assert!(!cut("curl", "a curl"));
        assert!(!cut("x$", "a x"));
    }

    #[test]
    fn each_argument_is_searched_by_itself() {
        let rows = of(Text::Args, "^-e$");
        assert!(is_match(&rows, "nc\0-e\0sh"));
        assert!(!is_match(&rows, "nc\0-en\0sh"));
        assert!(!is_match(&rows, "nc -e sh"));
        let spread = of(Text::Args, "a.*b");
        assert!(!is_match(&spread, "a\0b"));
        assert!(is_match(&of(Text::CmdLine, "a b"), "a\0b"));
    }

    #[test]
    fn globs_are_what_they_are() {
        for (pattern, ignore_case) in [
            ("a?c*", false),
            ("*.[a-c]", true),
            ("[!x]*é", true),
            ("k*", true),
        ] {
            let rows = rows(Text::Path, &of_glob(pattern, ignore_case)).unwrap();
            let glob = Glob::new(pattern, ignore_case);
            for text in [
                "abc", "aéc", "ac", "x.b", "x.B", "x.d", "yÉ", "xé", "\u{212A}", "kk", "", "\n.a",
            ] {
                assert_eq!(
                    is_match(&rows, text),
                    glob.is_match(text),
                    "{pattern} on {text}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_utf8_is_told() {
        let rows = no_utf8().unwrap();
        let bad = |bytes: &[u8]| !rows.run(bytes, true).is_empty();
        assert!(!bad(b"") && !bad("aé日本".as_bytes()));
        assert!(bad(b"a\xff") && bad(b"\xc3") && bad(b"\xe2\x82a") && bad(b"\xed\xa0\x80"));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let hir = LazyRegex::new("(a|b){0,9}.{500}(c|d)[0-9a-f]{300}", false)
            .parse()
            .unwrap();
        assert_eq!(rows(Text::Path, &hir), Err(TooMuch::States));
    }
}
