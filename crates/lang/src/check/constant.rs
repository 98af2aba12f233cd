//! Constants, wherever they come from: a condition, a list, an exception.

use crate::check::{Context, Scope};
use crate::condition::ast::{Constant, Literal};
use crate::condition::within_string;
use crate::source::SourceSpan;
use crate::yaml::{Node, ScalarKind};
use std::ops::Range;

/// A constant and where it stands.
#[derive(Clone)]
pub(crate) struct Operand<'o> {
    pub(super) value: Value<'o>,
    pub(super) place: Place<'o>,
    /// Where the list it comes from is used.
    pub(super) via: Option<SourceSpan>,
}

/// What a constant is.
#[derive(Clone, Copy)]
pub(super) enum Value<'o> {
    Text(&'o str),
    Integer(i64),
    Range(i64, i64),
    /// An address without quotes.
    Address(&'o str),
    Boolean(bool),
    /// A list, a mapping, nothing.
    Other(&'static str),
}

/// Where a constant stands.
#[derive(Clone)]
pub(crate) enum Place<'o> {
    /// In a condition.
    Condition(&'o Node<'o>, Range<usize>),
    /// As a YAML value of its own.
    Node(&'o Node<'o>),
}

impl Place<'_> {
    pub(crate) fn span(&self) -> SourceSpan {
        match self {
            Place::Condition(node, range) => node.locate(range.clone()),
            Place::Node(node) => node.span.clone(),
        }
    }

    /// Where bytes of the constant's text stand.
    pub(super) fn within(&self, range: Range<usize>) -> SourceSpan {
        match self {
            Place::Condition(node, token) => {
                let text = node
                    .as_text()
                    .and_then(|text| text.get(token.clone()))
                    .unwrap_or("");
                let inside = within_string(text, range);
                node.locate(token.start + inside.start..token.start + inside.end)
            }
            Place::Node(node) => node.locate(range),
        }
    }
}

impl Value<'_> {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "a number",
            Value::Range(..) => "a range",
            Value::Address(_) => "an address without quotes",
            Value::Boolean(_) => "true or false",
            Value::Other(what) => what,
        }
    }
}

impl<'o> Operand<'o> {
    /// A YAML value as a constant.
    pub(crate) fn of_node(node: &'o Node<'o>) -> Operand<'o> {
        let value = match node.scalar() {
            Some(scalar) => match scalar.kind {
                ScalarKind::Text => Value::Text(&scalar.text),
                ScalarKind::Integer(number) => Value::Integer(number),
                ScalarKind::Boolean(value) => Value::Boolean(value),
                ScalarKind::OtherNumber | ScalarKind::Null => Value::Other(node.kind()),
            },
            None => Value::Other(node.kind()),
        };
        Operand {
            value,
            place: Place::Node(node),
            via: None,
        }
    }

    /// True when it was written in YAML, where ranges and addresses are texts.
    pub(super) fn is_yaml(&self) -> bool {
        matches!(self.place, Place::Node(_))
    }
}

/// A condition's constants, lists taken apart; nothing if one could not be read
/// or a list is not there, which has been reported.
pub(super) fn operands<'o>(
    cx: &mut Context<'o>,
    constants: &'o [Constant],
    scope: Scope<'o>,
) -> Option<Vec<Operand<'o>>> {
    let mut sound = true;
    let mut operands = Vec::with_capacity(constants.len());
    for constant in constants {
        let value = match &constant.value {
            Literal::Text(text) => Value::Text(text),
            Literal::Integer(number) => Value::Integer(*number),
            Literal::Range(from, to) => Value::Range(*from, *to),
            Literal::Address(text) => Value::Address(text),
            Literal::Boolean(value) => Value::Boolean(*value),
            Literal::List(name) => {
                match list_operands(cx, name, scope.node.locate(constant.span.clone())) {
                    Some(items) => operands.extend(items),
                    None => sound = false,
                }
                continue;
            }
            Literal::Flawed => {
                sound = false;
                continue;
            }
        };
        let place = Place::Condition(scope.node, constant.span.clone());
        operands.push(Operand {
            value,
            place,
            via: None,
        });
    }
    sound.then_some(operands)
}

/// The items of a list used at `place`; nothing if there is no such list or it
/// has errors of its own, which has been reported.
pub(crate) fn list_operands<'o>(
    cx: &mut Context<'o>,
    name: &str,
    place: SourceSpan,
) -> Option<Vec<Operand<'o>>> {
    let names = cx.names;
    let list = names.list(name, place.clone(), cx.sink)?;
    let item = |item| Operand {
        via: Some(place.clone()),
        ..Operand::of_node(item)
    };
    list.sound
        .then(|| list.items.iter().map(|node| item(node)).collect())
}
