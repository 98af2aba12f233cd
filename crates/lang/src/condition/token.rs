//! Tokens of the condition language.

use crate::condition::operator::Op;
use std::ops::Range;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A field, macro or list of processes; also a word that may prove to be an operator.
    Word(String),
    Text(String),
    Integer(i64),
    Range(i64, i64),
    Address(String),
    Boolean(bool),
    /// `$name`, without the `$`.
    List(String),
    Op(Op),
    And,
    Or,
    Not,
    Any,
    AnyOf,
    AllOf,
    Open,
    Close,
    Comma,
    /// It has been reported, and stands for whatever is needed.
    Flawed,
    End,
}

impl Kind {
    /// The keyword of that spelling.
    pub(crate) fn keyword(word: &str) -> Option<Kind> {
        Some(match word {
            "and" => Kind::And,
            "or" => Kind::Or,
            "not" => Kind::Not,
            "any" => Kind::Any,
            "anyof" => Kind::AnyOf,
            "allof" => Kind::AllOf,
            "true" => Kind::Boolean(true),
            "false" => Kind::Boolean(false),
            _ => return Op::from_name(word).map(Kind::Op),
        })
    }

    /// The keyword's one right spelling.
    pub(crate) fn spelling(&self) -> Option<&'static str> {
        Some(match self {
            Kind::And => "and",
            Kind::Or => "or",
            Kind::Not => "not",
            Kind::Any => "any",
            Kind::AnyOf => "anyof",
            Kind::AllOf => "allof",
            Kind::Boolean(true) => "true",
            Kind::Boolean(false) => "false",
            Kind::Op(op) => op.name(),
            Kind::Open => "(",
            Kind::Close => ")",
            Kind::Comma => ",",
            _ => return None,
        })
    }

    /// For messages: "expected …, found THIS".
    pub(crate) fn describe(&self) -> String {
        match (self, self.spelling()) {
            (_, Some(spelling)) => format!("`{spelling}`"),
            (Kind::Word(word), _) => format!("`{word}`"),
            (Kind::Text(_), _) => "a string".to_owned(),
            (Kind::Integer(_), _) => "a number".to_owned(),
            (Kind::Range(..), _) => "a range".to_owned(),
            (Kind::Address(_), _) => "an address".to_owned(),
            (Kind::List(name), _) => format!("`${name}`"),
            (Kind::End, _) => "the end of the condition".to_owned(),
            _ => "something that cannot be read".to_owned(),
        }
    }
}
