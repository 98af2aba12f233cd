//! Reading mappings strictly: known keys once, each of the right kind.

use crate::diagnostics::{Diagnostic, Problem, Sink, nearest};
use crate::source::SourceSpan;
use crate::yaml::{Node, ScalarKind, Value};
use std::collections::HashMap;
use std::rc::Rc;

/// The keys of a mapping.
#[derive(Debug)]
pub(crate) struct Keys<'n, 's> {
    what: &'static str,
    span: SourceSpan,
    entries: Vec<(&'n str, &'n Rc<Node<'s>>, &'n Rc<Node<'s>>)>,
}

impl<'n, 's> Keys<'n, 's> {
    /// Reads a mapping with any keys that are texts.
    pub(crate) fn any(
        node: &'n Node<'s>,
        what: &'static str,
        sink: &mut Sink,
    ) -> Option<Keys<'n, 's>> {
        let Value::Map(pairs) = &node.value else {
            wrong_kind(node, what, "a mapping", sink);
            return None;
        };
        let mut entries = Vec::with_capacity(pairs.len());
        let mut first: HashMap<&str, &Node<'_>> = HashMap::new();
        for (key, value) in pairs {
            let Some(name) = key.as_text() else {
                wrong_kind(key, "a key", "a text", sink);
                continue;
            };
            if let Some(before) = first.insert(name, key) {
                let problem = Problem::DuplicateKey {
                    key: name.to_owned(),
                };
                sink.push(
                    Diagnostic::new(&problem, key.span.clone())
                        .also(before.span.clone(), "the first time"),
                );
                continue;
            }
            entries.push((name, key, value));
        }
        Some(Keys {
            what,
            span: first_line(node),
            entries,
        })
    }

    /// Reads a mapping that has only these keys.
    pub(crate) fn of(
        node: &'n Node<'s>,
        what: &'static str,
        known: &[&str],
        sink: &mut Sink,
    ) -> Option<Keys<'n, 's>> {
        let mut keys = Keys::any(node, what, sink)?;
        keys.entries.retain(|&(name, key, _)| {
            let fits = known.contains(&name);
            if !fits {
                let problem = Problem::UnknownKey {
                    key: name.to_owned(),
                    what,
                };
                let mut diagnostic = Diagnostic::new(&problem, key.span.clone());
                diagnostic = match nearest(name, known.iter().copied()) {
                    Some(near) => diagnostic.suggest(Some(near)),
                    None if name == "<<" => {
                        diagnostic.help("merge keys are not supported: write the keys out")
                    }
                    None => diagnostic.help(format!("it has: {}", known.join(", "))),
                };
                sink.push(diagnostic);
            }
            fits
        });
        Some(keys)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'n Rc<Node<'s>>> {
        self.entries
            .iter()
            .find(|(name, ..)| *name == key)
            .map(|&(.., value)| value)
    }

    /// The value of a key that must be there.
    pub(crate) fn require(&self, key: &'static str, sink: &mut Sink) -> Option<&'n Rc<Node<'s>>> {
        let value = self.get(key);
        if value.is_none() {
            let problem = Problem::MissingKey {
                key,
                what: self.what,
            };
            sink.report(&problem, self.span.clone());
        }
        value
    }

    /// Name, key and value of each entry, in order.
    pub(crate) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'n str, &'n Rc<Node<'s>>, &'n Rc<Node<'s>>)> {
        self.entries.iter().copied()
    }
}

/// Where a mapping begins: its first key, so that a caret does not underline it all.
fn first_line(node: &Node<'_>) -> SourceSpan {
    match &node.value {
        Value::Map(pairs) if !pairs.is_empty() => pairs[0].0.span.clone(),
        _ => node.span.clone(),
    }
}

/// The node's text; `what` names it in the diagnostic otherwise.
pub(crate) fn text<'n>(node: &'n Node<'_>, what: &'static str, sink: &mut Sink) -> Option<&'n str> {
    match node.as_text() {
        Some("") => {
            sink.report(&Problem::Empty { what }, node.span.clone());
            None
        }
        Some(text) => Some(text),
        None => {
            wrong_kind(node, what, "a text", sink);
            None
        }
    }
}

/// The node's items; `what` names it in the diagnostic otherwise.
pub(crate) fn list<'n, 's>(
    node: &'n Node<'s>,
    what: &'static str,
    sink: &mut Sink,
) -> Option<&'n [Rc<Node<'s>>]> {
    match &node.value {
        Value::List(items) => Some(items),
        _ => {
            wrong_kind(node, what, "a list", sink);
            None
        }
    }
}

/// A list of texts, each with its node; a text given twice is warned of.
pub(crate) fn texts<'n, 's>(
    node: &'n Node<'s>,
    what: &'static str,
    item: &'static str,
    sink: &mut Sink,
) -> Vec<(&'n str, &'n Rc<Node<'s>>)> {
    let mut found: Vec<(&str, &Rc<Node<'_>>)> = Vec::new();
    let mut seen: HashMap<&str, &Node<'_>> = HashMap::new();
    for node in list(node, what, sink).unwrap_or_default() {
        let Some(text) = text(node, item, sink) else {
            continue;
        };
        if let Some(before) = seen.insert(text, node) {
            let problem = Problem::Repeated {
                what,
                value: text.to_owned(),
            };
            sink.push(
                Diagnostic::new(&problem, node.span.clone())
                    .also(before.span.clone(), "the first time"),
            );
            continue;
        }
        found.push((text, node));
    }
    found
}

/// The node's boolean.
pub(crate) fn truth(node: &Node<'_>, what: &'static str, sink: &mut Sink) -> Option<bool> {
    match node.scalar().map(|scalar| scalar.kind) {
        Some(ScalarKind::Boolean(value)) => Some(value),
        _ => {
            wrong_kind(node, what, "true or false", sink);
            None
        }
    }
}

/// The node's integer.
pub(crate) fn integer(node: &Node<'_>, what: &'static str, sink: &mut Sink) -> Option<i64> {
    match node.scalar().map(|scalar| scalar.kind) {
        Some(ScalarKind::Integer(value)) => Some(value),
        _ => {
            wrong_kind(node, what, "a whole number", sink);
            None
        }
    }
}

fn wrong_kind(node: &Node<'_>, what: &'static str, wanted: &'static str, sink: &mut Sink) {
    let problem = Problem::WrongKind {
        what,
        wanted,
        found: node.kind(),
    };
    let mut diagnostic = Diagnostic::new(&problem, first_line(node));
    if let (Some(scalar), "a text") = (node.scalar(), wanted) {
        if scalar.kind != ScalarKind::Null {
            diagnostic = diagnostic.help(format!("quote it: \"{}\"", scalar.text));
        }
    }
    sink.push(diagnostic);
}
