//! The literals a regex cannot do without.

use crate::compile::pattern::filter_char;
use crate::regexes::LazyRegex;
use crate::search;
use regex_syntax::hir::{Class, Hir, HirKind};

/// More alternatives than this are not worth looking for.
const MOST: usize = 24;
/// A literal longer than this is cut: it is selective enough.
const LONGEST: usize = 48;

/// More sets than this of one regex tell little more.
const SETS: usize = 4;

/// A text that a regex needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    /// In filter form.
    pub form: String,
    /// As the regex has it, unless it takes both cases.
    pub exact: Option<String>,
}

/// Sets of texts, none of them empty: of each set one stands in every text the regex
/// matches. The most selective first.
pub(crate) fn required(pattern: &str, ignore_case: bool) -> Vec<Vec<Literal>> {
    let Ok(hir) = LazyRegex::new(pattern, ignore_case).parse() else {
        return Vec::new();
    };
    let forms = sets(&hir, filter_char);
    let exact = sets(&hir, |c| c);
    // Where both cases are taken the two ways differ in what they find.
    let form = |text: &String| -> String { text.chars().map(filter_char).collect() };
    let formed = |set: &Vec<String>| set.iter().map(form).collect::<Vec<String>>();
    let same = exact.iter().map(formed).eq(forms.iter().cloned());
    let literal = |form: String, exact: Option<&String>| Literal {
        form,
        exact: exact.cloned(),
    };
    let mut sets = Vec::with_capacity(forms.len());
    for (at, set) in forms.into_iter().enumerate() {
        let exact = exact.get(at).filter(|_| same);
        let each = set.into_iter().enumerate();
        let exact = |at: usize| exact.and_then(|set| set.get(at));
        sets.push(each.map(|(at, form)| literal(form, exact(at))).collect());
    }
    sets
}

/// The sets, each char of them taken as `map` says.
fn sets(hir: &Hir, map: fn(char) -> char) -> Vec<Vec<String>> {
    let mut found = Found {
        sets: Vec::new(),
        map,
    };
    if let Some(exact) = walk(hir, &mut found) {
        found.offer(exact);
    }
    let mut sets = found.sets;
    sets.sort_by_key(|set| std::cmp::Reverse(value(set)));
    sets.dedup();
    sets.truncate(SETS);
    sets
}

/// What has been seen so far on the way through a concatenation.
struct Found {
    sets: Vec<Vec<String>>,
    map: fn(char) -> char,
}

impl Found {
    /// For a part that may be left out, or has others beside it.
    fn inside(&self) -> Found {
        Found {
            sets: Vec::new(),
            map: self.map,
        }
    }

    fn offer(&mut self, mut set: Vec<String>) {
        set.sort();
        set.dedup();
        let tells = match set.iter().map(String::len).min() {
            None | Some(0) => false,
            // One of several single bytes stands nearly everywhere.
            Some(1) => matches!(&set[..], [only] if is_rare(only)),
            Some(_) => true,
        };
        if tells {
            self.sets.push(set);
        }
    }

    fn best(self) -> Option<Vec<String>> {
        self.sets.into_iter().max_by_key(|set| value(set))
    }
}

/// Whether a single byte is in few paths and command lines.
fn is_rare(text: &str) -> bool {
    text.bytes().all(|byte| search::rank(byte) < 5)
}

/// How selective a set is: its shortest text counts, fewer texts are better,
/// and beyond some length nothing is gained.
fn value(set: &[String]) -> i64 {
    let shortest = set.iter().map(String::len).min().unwrap_or(0).min(12) as i64;
    shortest * 16 - set.len() as i64
}

/// All texts the expression can match, if they are few; otherwise none, and
/// `found` is offered what the expression requires.
fn walk(hir: &Hir, found: &mut Found) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            Some(vec![text.chars().map(found.map).collect()])
        }
        HirKind::Class(class) => class_chars(class, found.map),
        HirKind::Capture(capture) => walk(&capture.sub, found),
        HirKind::Repetition(repetition) => {
            if repetition.min == 0 {
                if repetition.max == Some(1) {
                    let mut inside = found.inside();
                    let mut all = walk(&repetition.sub, &mut inside)?;
                    all.push(String::new());
                    return Some(all);
                }
                return None;
            }
            let mut inside = found.inside();
            let all = walk(&repetition.sub, &mut inside);
            if repetition.min == 1 && repetition.max == Some(1) {
                return all;
            }
            all.into_iter()
                .chain(inside.best())
                .for_each(|set| found.offer(set));
            None
        }
        HirKind::Concat(parts) => concat(parts, found),
        HirKind::Alternation(parts) => {
            let mut all = Some(Vec::new());
            let mut required = Some(Vec::new());
            for part in parts {
                let mut inside = found.inside();
                let exact = walk(part, &mut inside);
                if let Some(exact) = &exact {
                    inside.offer(exact.clone());
                }
                all = both(all, exact);
                required = both(required, inside.best());
            }
            if all.is_none() {
                if let Some(required) = required {
                    found.offer(required);
                }
            }
            all
        }
    }
}

fn concat(parts: &[Hir], found: &mut Found) -> Option<Vec<String>> {
    let mut exact = true;
    let mut run = vec![String::new()];
    for part in parts {
        match walk(part, found) {
            Some(next) if run.len() * next.len() <= MOST && !is_long(&run) => {
                run = cross(&run, &next);
            }
            Some(next) => {
                exact = false;
                found.offer(std::mem::replace(&mut run, next));
            }
            None => {
                exact = false;
                found.offer(std::mem::replace(&mut run, vec![String::new()]));
            }
        }
    }
    if exact {
        return Some(run);
    }
    found.offer(run);
    None
}

fn is_long(run: &[String]) -> bool {
    run.iter().any(|text| text.len() >= LONGEST)
}

fn cross(left: &[String], right: &[String]) -> Vec<String> {
    let mut all: Vec<String> = left
        .iter()
        .flat_map(|left| right.iter().map(move |right| format!("{left}{right}")))
        .collect();
    all.sort();
    all.dedup();
    all
}

fn both(left: Option<Vec<String>>, right: Option<Vec<String>>) -> Option<Vec<String>> {
    let (mut left, right) = (left?, right?);
    left.extend(right);
    left.sort();
    left.dedup();
    (left.len() <= MOST).then_some(left)
}

/// The chars of a small class.
fn class_chars(class: &Class, map: fn(char) -> char) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let size: u32 = class
        .ranges()
        .iter()
        .map(|range| range.end() as u32 - range.start() as u32 + 1)
        .sum();
    if size as usize > 2 * MOST {
        return None;
    }
    let mut chars: Vec<String> = class
        .ranges()
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .map(|c| map(c).to_string())
        .collect();
    chars.sort();
    chars.dedup();
    (!chars.is_empty() && chars.len() <= 8).then_some(chars)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Vec<Vec<String>> {
        let sets = required(pattern, false);
        let form = |literal: Literal| literal.form;
        let forms = |set: Vec<Literal>| set.into_iter().map(form).collect();
        sets.into_iter().map(forms).collect()
    }

    #[test]
    fn case_is_known_where_the_regex_knows_it() {
        let exact = |pattern, ignore_case| -> Vec<Option<String>> {
            let sets = required(pattern, ignore_case);
            sets.into_iter()
                .flatten()
                .map(|literal| literal.exact)
                .collect()
        };
        assert_eq!(exact("-O", false), [Some("-O".to_owned())]);
        assert_eq!(exact("-O", true), [None]);
        assert_eq!(exact("(?i)-O", false), [None]);
        assert_eq!(exact("-[oO]", false), [None]);
        assert_eq!(
            exact("-[OX].*abc", false),
            ["abc", "-O", "-X"].map(|text| Some(text.to_owned()))
        );
    }

    fn sets(sets: &[&[&str]]) -> Vec<Vec<String>> {
        let texts = |set: &&[&str]| set.iter().map(|&text| text.to_owned()).collect();
        sets.iter().map(texts).collect()
    }

    #[test]
    fn what_a_regex_cannot_do_without() {
        assert_eq!(of("curl"), sets(&[&["curl"]]));
        assert_eq!(of("(?i)SKE"), sets(&[&["ske"]]));
        assert_eq!(of(r"\bnmap\b.*-s[ST]"), sets(&[&["nmap"], &["-ss", "-st"]]));
        assert_eq!(of("(?:foo|barbar)"), sets(&[&["barbar", "foo"]]));
        assert_eq!(
            of("x(?:foo.*|bar+)y"),
            sets(&[&["ba", "foo"], &["x"], &["y"]])
        );
        assert_eq!(of("(?:abcd)+"), sets(&[&["abcd"]]));
        assert_eq!(
            of(r"php[0-9.]*\s+-c.*(?:exec|system)"),
            sets(&[&["exec", "system"], &["php"], &["-c"]])
        );
        assert_eq!(of("ab?cdef"), sets(&[&["abcdef", "acdef"]]));
        assert_eq!(of(r"`\w+-.*<"), sets(&[&["`"], &["<"]]));
        for without in ["(?:abcd)*", "a?", r"\d+", ".*"] {
            assert!(of(without).is_empty(), "{without}");
        }
    }
}
