//! The syntax tree of a condition. Spans are bytes of the condition's text.

use crate::condition::operator::Op;
use std::ops::Range;

/// A condition as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// `any LIST ( body )`.
    Any {
        list: Name,
        body: Box<Expr>,
    },
    Predicate(Predicate),
    /// A name alone: a macro, or a boolean field.
    Bare(Name),
    /// Something that could not be read; it has been reported.
    Flawed,
}

/// `field operator constant(s)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Predicate {
    pub(crate) field: Name,
    pub(crate) op: Op,
    pub(crate) op_span: Range<usize>,
    pub(crate) operands: Operands,
    pub(crate) span: Range<usize>,
}

/// What follows an operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operands {
    pub(crate) form: Form,
    pub(crate) constants: Vec<Constant>,
    pub(crate) span: Range<usize>,
}

/// How the constants stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing follows: `exists`.
    None,
    /// One constant or `$list`.
    One,
    /// `anyof …`
    AnyOf,
    /// `allof …`
    AllOf,
    /// Parentheses alone: `in ( … )`.
    Set,
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constant {
    pub(crate) value: Literal,
    pub(crate) span: Range<usize>,
}

/// What a constant is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    /// A quoted string, unescaped.
    Text(String),
    Integer(i64),
    Range(i64, i64),
    /// An address or network without quotes, as written.
    Address(String),
    Boolean(bool),
    /// `$name`, without the `$`.
    List(String),
    /// It has been reported.
    Flawed,
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}
