//! The formats rule files come in. Sigma and Falco files are recognised by
//! their keys; until each has a reader of its own, they are told apart and
//! refused, never half understood.

use crate::yaml::{Node, Value};

mod falco;
mod sigma;

/// What a document's keys say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Native,
    Sigma,
    Falco,
}

/// Recognises a document by its keys.
pub(crate) fn detect(document: &Node<'_>) -> Format {
    match &document.value {
        Value::Map(_) if has_key(document, sigma::KEYS) => Format::Sigma,
        Value::List(items) if items.iter().any(|item| has_key(item, falco::KEYS)) => Format::Falco,
        _ => Format::Native,
    }
}

fn has_key(node: &Node<'_>, keys: &[&str]) -> bool {
    let Value::Map(pairs) = &node.value else {
        return false;
    };
    pairs
        .iter()
        .any(|(key, _)| key.as_text().is_some_and(|key| keys.contains(&key)))
}

/// Our name of a field that Falco or Sigma names so, and which of them does.
pub(crate) fn our_field(name: &str, in_exec: bool) -> Option<(&'static str, String)> {
    let (format, attr) = None
        .or_else(|| falco::field(name).map(|attr| ("Falco", attr)))
        .or_else(|| sigma::field(name).map(|attr| ("Sigma", attr)))?;
    // `process.` stands for the acting process, whose prefix depends on the class.
    let ours = match attr.strip_prefix("process.") {
        Some(rest) if !in_exec && !rest.starts_with("parent_process.") => {
            format!("actor.process.{rest}")
        }
        _ => attr.to_owned(),
    };
    Some((format, ours))
}
