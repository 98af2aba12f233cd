//! The condition language: text to tokens to a syntax tree. Nothing here knows
//! which fields exist; that is the check's part.

pub(crate) mod ast;
mod lexer;
mod literal;
mod operator;
mod parser;
mod token;

pub(crate) use literal::{parse_range, quote, within_string};
pub(crate) use operator::{Case, OPERATORS, Op};
pub(crate) use parser::{Flaw, parse};

/// Whether the word means something in conditions, in whatever case.
pub(crate) fn is_keyword(word: &str) -> bool {
    token::Kind::keyword(&word.to_lowercase()).is_some()
}
