//! Values as a test gives them, to values of an event.

use crate::check::{self, Admitted};
use crate::diagnostics::{Diagnostic, Problem, Sink, nearest};
use crate::yaml::{Node, ScalarKind, Value};
use picket_model::field::Field;
use picket_model::{Datum, capability};
use std::net::IpAddr;

/// A field's value in a test.
#[derive(Clone, Copy)]
pub(super) enum Given<'n> {
    /// As it is written.
    Value(&'n Node<'n>),
    /// Named under `unknown`, there.
    Unknown(&'n Node<'n>),
}

/// Reads values of one field.
pub(super) struct Reader<'r> {
    pub(super) field: Field,
    pub(super) given: Given<'r>,
    pub(super) sink: &'r mut Sink,
}

impl Reader<'_> {
    fn read<T>(
        self,
        wanted: &'static str,
        convert: impl FnOnce(&Node<'_>) -> Result<T, Option<String>>,
    ) -> Datum<T> {
        let node = match self.given {
            Given::Value(node) => node,
            Given::Unknown(_) => return Datum::Unknown,
        };
        match convert(node) {
            Ok(value) => Datum::Known(value),
            Err(help) => {
                let problem = Problem::EventValue {
                    field: self.field.to_string(),
                    wanted,
                };
                let diagnostic = Diagnostic::new(&problem, node.span.clone());
                self.sink.push(match help {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                });
                Datum::Absent
            }
        }
    }

    /// Text that the field can have.
    pub(super) fn text(self) -> Datum<Box<str>> {
        let field = self.field;
        let is_text = match self.given {
            Given::Value(node) => node.as_text().is_some(),
            Given::Unknown(_) => true,
        };
        let wanted = if is_text {
            "a value that it can have"
        } else {
            "a text"
        };
        self.read(wanted, |node| {
            let text = text_of(node)?;
            match check::admit(field, text, false) {
                Admitted::Yes => Ok(text.into()),
                Admitted::No(help) => Err(Some(help)),
            }
        })
    }

    pub(super) fn texts(self) -> Datum<Box<[Box<str>]>> {
        self.read("a list of texts", |node| {
            let Value::List(items) = &node.value else {
                return Err(None);
            };
            items
                .iter()
                .map(|item| text_of(item).map(Box::from))
                .collect()
        })
    }

    pub(super) fn capabilities(self) -> Datum<u64> {
        self.read("a list of capabilities", |node| {
            let Value::List(items) = &node.value else {
                return Err(None);
            };
            items.iter().try_fold(0, |bits, item| {
                let name = text_of(item)?;
                let all: Vec<_> = capability::names(u64::MAX).collect();
                let help = || {
                    nearest(name, all.iter().copied()).map(|near| format!("did you mean `{near}`?"))
                };
                capability::bit(name)
                    .map(|bit| bits | 1 << bit)
                    .ok_or_else(help)
            })
        })
    }

    pub(super) fn number<T: TryFrom<i64>>(self, wanted: &'static str) -> Datum<T> {
        self.read(wanted, |node| {
            match node.scalar().map(|scalar| scalar.kind) {
                Some(ScalarKind::Integer(number)) => T::try_from(number).map_err(|_| None),
                _ => Err(None),
            }
        })
    }

    pub(super) fn truth(self) -> Datum<bool> {
        self.read("true or false", |node| {
            match node.scalar().map(|scalar| scalar.kind) {
                Some(ScalarKind::Boolean(value)) => Ok(value),
                _ => Err(None),
            }
        })
    }

    pub(super) fn address(self) -> Datum<IpAddr> {
        self.read("an IP address", |node| {
            text_of(node).and_then(|text| check::address(text).ok_or(None))
        })
    }
}

fn text_of<'n>(node: &'n Node<'_>) -> Result<&'n str, Option<String>> {
    node.as_text().ok_or_else(|| {
        let scalar = node
            .scalar()
            .filter(|scalar| scalar.kind != ScalarKind::Null)?;
        Some(format!("quote it: \"{}\"", scalar.text))
    })
}
