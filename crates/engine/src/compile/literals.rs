//! The literals a regex cannot do without.

use crate::compile::pattern::filter_char;
use crate::regexes::LazyRegex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// More alternatives than this are not worth looking for.
const MOST: usize = 24;
/// A literal longer than this is cut: it is selective enough.
const LONGEST: usize = 48;

/// Texts in filter form one of which stands in every text the regex matches;
/// none if there is no such set of non-empty texts.
pub(crate) fn required(pattern: &str, ignore_case: bool) -> Option<Vec<String>> {
    let hir = LazyRegex::new(pattern, ignore_case).parse().ok()?;
    let mut found = Found::default();
    let exact = walk(&hir, &mut found);
    if let Some(exact) = exact {
        found.offer(exact);
    }
    found.best
}

/// The best set seen so far on the way through a concatenation.
#[derive(Default)]
struct Found {
    best: Option<Vec<String>>,
}

impl Found {
    fn offer(&mut self, mut set: Vec<String>) {
        set.sort();
        set.dedup();
        if set.is_empty() || set.iter().any(String::is_empty) {
            return;
        }
        let better = match &self.best {
            None => true,
            Some(best) => value(&set) > value(best),
        };
        if better {
            self.best = Some(set);
        }
    }
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
            Some(vec![text.chars().map(filter_char).collect()])
        }
        HirKind::Class(class) => class_chars(class),
        HirKind::Capture(capture) => walk(&capture.sub, found),
        HirKind::Repetition(repetition) => {
            if repetition.min == 0 {
                if repetition.max == Some(1) {
                    let mut inside = Found::default();
                    let mut all = walk(&repetition.sub, &mut inside)?;
                    all.push(String::new());
                    return Some(all);
                }
                return None;
            }
            let mut inside = Found::default();
            let all = walk(&repetition.sub, &mut inside);
            if repetition.min == 1 && repetition.max == Some(1) {
                return all;
            }
            all.into_iter()
                .chain(inside.best)
                .for_each(|set| found.offer(set));
            None
        }
        HirKind::Concat(parts) => concat(parts, found),
        HirKind::Alternation(parts) => {
            let mut all = Some(Vec::new());
            let mut required = Some(Vec::new());
            for part in parts {
                let mut inside = Found::default();
                let exact = walk(part, &mut inside);
                if let Some(exact) = &exact {
                    inside.offer(exact.clone());
                }
                all = both(all, exact);
                required = both(required, inside.best);
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

/// The chars of a small class, in filter form.
fn class_chars(class: &Class) -> Option<Vec<String>> {
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
        .map(|c| filter_char(c).to_string())
        .collect();
    chars.sort();
    chars.dedup();
    (!chars.is_empty() && chars.len() <= 8).then_some(chars)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<Vec<String>> {
        required(pattern, false)
    }

    fn texts(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn what_a_regex_cannot_do_without() {
        assert_eq!(of("curl"), texts(&["curl"]));
        assert_eq!(of("(?i)SKE"), texts(&["ske"]));
        assert_eq!(of(r"\bnmap\b.*-s[ST]"), texts(&["nmap"]));
        assert_eq!(of("(?:foo|barbar)"), texts(&["barbar", "foo"]));
        assert_eq!(of("x(?:foo.*|bar+)y"), texts(&["ba", "foo"]));
        assert_eq!(of("(?:abcd)+"), texts(&["abcd"]));
        assert_eq!(of("(?:abcd)*"), None);
        assert_eq!(of("a?"), None);
        assert_eq!(of(r"\d+"), None);
        assert_eq!(of("ab?cdef"), texts(&["abcdef", "acdef"]));
    }
}
