//! The operators: one table of names and meanings.

use crate::ir::TextMatch;

/// An operator between a field and its constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Exists,
    /// A test of text, and whether it regards case.
    Text(TextMatch, Case),
}

/// Whether a test of text regards case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Case {
    Regard,
    Ignore,
}

/// An operator's entry in the language reference.
pub(crate) struct Entry {
    pub(crate) op: Op,
    pub(crate) name: &'static str,
    pub(crate) types: &'static str,
    pub(crate) doc: &'static str,
}

const fn entry(op: Op, name: &'static str, types: &'static str, doc: &'static str) -> Entry {
    Entry {
        op,
        name,
        types,
        doc,
    }
}

use Case::{Ignore, Regard};
use TextMatch::{Contains, EndsWith, Equals, Glob, Regex, StartsWith};

/// Every operator.
pub(crate) const OPERATORS: &[Entry] = &[
    entry(Op::Equal, "==", "all", "equals the constant"),
    entry(
        Op::NotEqual,
        "!=",
        "all",
        "has a value, and it differs from the constant",
    ),
    entry(Op::Less, "<", "numbers", "is less"),
    entry(Op::LessOrEqual, "<=", "numbers", "is less or equal"),
    entry(Op::Greater, ">", "numbers", "is greater"),
    entry(Op::GreaterOrEqual, ">=", "numbers", "is greater or equal"),
    entry(
        Op::In,
        "in",
        "all but boolean",
        "equals one of a list; numbers: or lies in a range `8000..8999`; addresses: or lies in a network `\"10.0.0.0/8\"`",
    ),
    entry(
        Op::Exists,
        "exists",
        "all",
        "the event has the field; takes no constant",
    ),
    entry(
        Op::Text(Contains, Regard),
        "contains",
        "text",
        "holds the constant somewhere",
    ),
    entry(
        Op::Text(StartsWith, Regard),
        "startswith",
        "text",
        "begins with the constant",
    ),
    entry(
        Op::Text(EndsWith, Regard),
        "endswith",
        "text",
        "ends with the constant",
    ),
    entry(
        Op::Text(Glob, Regard),
        "glob",
        "text",
        "the whole value fits the pattern: `*` any run of characters (`/` too), `?` one character, `[abc]` `[a-z]` `[!a]` one of a set, `\\` takes the next character as it is",
    ),
    entry(
        Op::Text(Equals, Ignore),
        "iequals",
        "text",
        "as `==`, without regard to case",
    ),
    entry(
        Op::Text(Contains, Ignore),
        "icontains",
        "text",
        "as `contains`, without regard to case",
    ),
    entry(
        Op::Text(StartsWith, Ignore),
        "istartswith",
        "text",
        "as `startswith`, without regard to case",
    ),
    entry(
        Op::Text(EndsWith, Ignore),
        "iendswith",
        "text",
        "as `endswith`, without regard to case",
    ),
    entry(
        Op::Text(Glob, Ignore),
        "iglob",
        "text",
        "as `glob`, without regard to case",
    ),
    entry(
        Op::Text(Regex, Regard),
        "matches",
        "text",
        "the regex (syntax of the `regex` crate) matches anywhere; `\\d`, `\\w`, `\\s` and `\\b` are ASCII unless `(?u)` is set",
    ),
];

impl Op {
    pub(crate) fn from_name(name: &str) -> Option<Op> {
        OPERATORS
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.op)
    }

    pub(crate) fn name(self) -> &'static str {
        OPERATORS
            .iter()
            .find(|entry| entry.op == self)
            .map_or("matches", |entry| entry.name)
    }

    /// The operators that are words.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        OPERATORS
            .iter()
            .map(|entry| entry.name)
            .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
    }
}
