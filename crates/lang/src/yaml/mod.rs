//! YAML with a source span for every value.

use crate::source::SourceSpan;
use saphyr_parser::ScalarStyle;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

mod load;
mod offsets;
mod read;

pub(crate) use load::load;
pub(crate) use read::{Keys, integer, list, text, texts, truth};

/// One YAML value and where it stands.
#[derive(Debug)]
pub(crate) struct Node<'s> {
    /// For an alias, where its anchor stands.
    pub(crate) span: SourceSpan,
    pub(crate) value: Value<'s>,
    /// How many values it holds, itself included and aliases expanded.
    pub(crate) weight: usize,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Value<'s> {
    Scalar(Scalar<'s>),
    List(Vec<Rc<Node<'s>>>),
    Map(Vec<(Rc<Node<'s>>, Rc<Node<'s>>)>),
}

/// A scalar as it was written and as it reads.
#[derive(Debug)]
pub(crate) struct Scalar<'s> {
    /// After YAML's unescaping.
    pub(crate) text: Cow<'s, str>,
    /// As it stands in the source, quotes included.
    raw: &'s str,
    style: ScalarStyle,
    pub(crate) kind: ScalarKind,
}

/// What a scalar reads as by YAML 1.2's core schema: only plain ones are
/// anything but text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ScalarKind {
    Text,
    Integer(i64),
    /// A number that is no `i64`.
    OtherNumber,
    Boolean(bool),
    Null,
}

impl<'s> Node<'s> {
    /// The kind of the value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) => match scalar.kind {
                ScalarKind::Text => "a text",
                ScalarKind::Integer(_) | ScalarKind::OtherNumber => "a number",
                ScalarKind::Boolean(_) => "a boolean",
                ScalarKind::Null => "nothing",
            },
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar<'s>> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text, if it reads as one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        self.scalar()
            .filter(|scalar| scalar.kind == ScalarKind::Text)
            .map(|scalar| &*scalar.text)
    }

    /// Where bytes of a scalar's text stand in the source; of anything else,
    /// the whole node.
    pub(crate) fn locate(&self, range: Range<usize>) -> SourceSpan {
        let Value::Scalar(scalar) = &self.value else {
            return self.span.clone();
        };
        let within = offsets::locate(&scalar.text, scalar.raw, scalar.style, range);
        SourceSpan {
            source: self.span.source,
            start: self.span.start + within.start,
            end: self.span.start + within.end,
        }
    }
}
