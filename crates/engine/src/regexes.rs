//! Regexes: built when they are first needed, and shared by every predicate
//! that has the same pattern.

use crate::truth::Truth;
use regex_syntax::hir::{Dot, Hir};
use std::sync::OnceLock;

/// One pattern of the rules.
#[derive(Debug)]
pub struct LazyRegex {
    pattern: Box<str>,
    ignore_case: bool,
    whole: OnceLock<Option<regex::Regex>>,
    beginning: OnceLock<Option<regex::Regex>>,
}

/// A built regex may take this much, before its caches.
const SIZE_LIMIT: usize = 32 << 20;
/// The cache of a lazily built automaton may take this much in each thread.
const CACHE_LIMIT: usize = 1 << 20;

impl LazyRegex {
    /// A pattern that the checker has accepted.
    pub fn new(pattern: &str, ignore_case: bool) -> LazyRegex {
        LazyRegex {
            pattern: pattern.into(),
            ignore_case,
            whole: OnceLock::new(),
            beginning: OnceLock::new(),
        }
    }

    /// The pattern as the rule has it.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Its syntax tree.
    pub fn parse(&self) -> Result<Hir, Box<regex_syntax::Error>> {
        regex_syntax::ParserBuilder::new()
            .case_insensitive(self.ignore_case)
            .build()
            .parse(&self.pattern)
            .map_err(Box::new)
    }

    /// Whether it matches somewhere in a whole text. Unknown only if it cannot
    /// be built, which the checker has excluded.
    pub fn on_whole(&self, text: &str) -> Truth {
        let regex = self
            .whole
            .get_or_init(|| self.parse().ok().and_then(|hir| build(&hir)));
        match regex {
            Some(regex) => regex.is_match(text).into(),
            None => Truth::Unknown,
        }
    }

    /// What the beginning of a cut text decides: true if there is a match that
    /// ends before the cut (then its look-arounds saw real text), else unknown.
    pub fn on_beginning(&self, text: &str) -> Truth {
        let regex = self.beginning.get_or_init(|| {
            let hir = self.parse().ok()?;
            build(&Hir::concat(vec![hir, Hir::dot(Dot::AnyChar)]))
        });
        match regex {
            Some(regex) if regex.is_match(text) => Truth::True,
            _ => Truth::Unknown,
        }
    }
}

fn build(hir: &Hir) -> Option<regex::Regex> {
    regex::RegexBuilder::new(&hir.to_string())
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(CACHE_LIMIT)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_must_end_before_the_cut() {
        let on = |pattern: &str, text| LazyRegex::new(pattern, false).on_beginning(text);
        assert_eq!(on("curl", "a curl x"), Truth::True);
        assert_eq!(on("curl.*", "a curl x"), Truth::True);
        assert_eq!(on("curl", "a curl"), Truth::Unknown);
        assert_eq!(on(r"curl\b", "a curl"), Truth::Unknown);
        assert_eq!(on("x$", "a x"), Truth::Unknown);
        assert_eq!(on("(?x) curl # tail", "curl x"), Truth::True);
        assert_eq!(on("wget", "a curl x"), Truth::Unknown);
    }

    #[test]
    fn case_is_the_predicates_choice() {
        assert_eq!(LazyRegex::new("CURL", true).on_whole("curl"), Truth::True);
        assert_eq!(LazyRegex::new("CURL", false).on_whole("curl"), Truth::False);
        assert_eq!(
            LazyRegex::new("(?i)CURL", false).on_whole("curl"),
            Truth::True
        );
    }
}
