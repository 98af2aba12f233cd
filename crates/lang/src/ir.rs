//! Checked rules: what the checker makes and the engine compiles.
//!
//! Lists, macros and exceptions are already resolved; every predicate's field
//! exists in every class of its rule and takes its operator; every regex
//! compiles. A [`Rule`] therefore needs no error path downstream.

use picket_model::EventClass;
use picket_model::field::{Field, ProcessList};
use picket_model::rule::RuleInfo;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// One checked rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it says of itself.
    pub info: Arc<RuleInfo>,
    /// The classes it looks at, without repetition; at least one.
    pub classes: Vec<EventClass>,
    /// When it matches.
    pub condition: Expr,
    /// When it does not, although the condition holds.
    pub exceptions: Vec<Exception>,
}

/// One exception: events it holds for are not matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// Unique within the rule.
    pub name: String,
    /// When it holds: an `or` over its value tuples of `and`s over its fields.
    pub condition: Expr,
    /// It holds for events before this time only, nanoseconds since the epoch
    /// (the start of the day named, UTC). It is compared with the event's time,
    /// never with a clock, so that a replay gives what the live run gave.
    pub expires_ns: Option<i64>,
}

/// A condition.
///
/// The checker makes `and`s and `or`s of at least two parts and no `and` directly
/// in an `and` (nor `or` in `or`); nesting is bounded by
/// [`crate::Limits::condition_depth`]. Its [`Display`](std::fmt::Display) form is
/// text of the rule language that checks to the same condition again.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// All of them; true when empty.
    And(Vec<Expr>),
    /// Any of them; false when empty.
    Or(Vec<Expr>),
    /// Not it; unknown stays unknown.
    Not(Box<Expr>),
    /// One field, one operator, constants.
    Predicate(Predicate),
    /// `any LIST ( … )`: true if the body is true of one process of the list.
    /// Inside, fields are [`picket_model::field::Subject::Element`]s. If it is true of
    /// none: unknown if it is unknown of one, or if the list is incomplete.
    Any(ProcessList, Box<Expr>),
}

/// One test of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// Which field.
    pub field: Field,
    /// What must hold of its value.
    pub test: Test,
    /// Where the predicate stands in the rule's condition, for explanations. One
    /// that came from a macro has the place where the rule uses the macro; one of
    /// an exception has the empty span.
    pub span: Span,
}

/// Bytes of the rule's condition text (after YAML unescaping).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// What must hold of a field's value. On an absent value every test is false,
/// [`Test::Exists`] and the negative ones included (`!=` is a test of its own,
/// not a negated `==`).
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The event has the field. Unknown values exist.
    Exists,
    /// Text tests; on a list field, true if any element passes.
    Text(TextTest),
    /// `!=` on text: on a list, true if any element differs.
    TextNot {
        /// The constant.
        value: String,
        /// Compare without case.
        ignore_case: bool,
    },
    /// `== < <= > >=` and `in` on numbers and ports: inclusive ranges, sorted,
    /// disjoint and not adjacent. `<` is a range from `i64::MIN`, `>` one to
    /// `i64::MAX`; without a range (`port < 0`) the test is never true.
    Number(Vec<RangeInclusive<i64>>),
    /// `!=` on numbers.
    NumberNot(i64),
    /// `==` and `in` on addresses; a single address is a full-length network.
    Ip(Vec<IpNetwork>),
    /// `!=` on addresses.
    IpNot(IpAddr),
    /// `==`, `!=` on Booleans, or the bare field name.
    Bool(bool),
}

/// A test on text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextTest {
    /// How each pattern is held against the text.
    pub how: TextMatch,
    /// Without regard to case: both sides by Unicode simple lower-casing, char by
    /// char. Patterns of such a test (other than regexes) are already lower-cased.
    pub ignore_case: bool,
    /// At least one, none twice.
    pub patterns: Vec<String>,
    /// `allof`: every pattern must hold (on a list: each by some element).
    /// Otherwise any one is enough. Never set with one pattern.
    pub all: bool,
}

/// How a pattern is held against a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// The whole text equals it.
    Equals,
    /// The text holds it.
    Contains,
    /// The text begins with it.
    StartsWith,
    /// The text ends with it.
    EndsWith,
    /// `*` any run, `?` any one character, `[abc]`/`[a-z]`/`[!a]` one of a set,
    /// `\` takes the next character literally; the whole text. `*` crosses `/`.
    Glob,
    /// `regex` crate syntax, searched anywhere; `\d`, `\w`, `\s` and `\b` are
    /// ASCII (the checker has rewritten the pattern so that the `regex` crate's
    /// defaults give just that; it compiles as it stands here).
    Regex,
}

/// An IP network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    /// Its first address: host bits are zero.
    pub base: IpAddr,
    /// Length of the prefix in bits, at most 32 or 128.
    pub prefix: u8,
}

impl IpNetwork {
    /// Whether the address lies in it; families never mix.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl Expr {
    /// Calls `each` on every predicate, outermost first, left to right.
    pub fn predicates<'e>(&'e self, each: &mut dyn FnMut(&'e Predicate)) {
        match self {
            Expr::And(parts) | Expr::Or(parts) => {
                parts.iter().for_each(|part| part.predicates(each))
            }
            Expr::Not(part) | Expr::Any(_, part) => part.predicates(each),
            Expr::Predicate(predicate) => each(predicate),
        }
    }
}
