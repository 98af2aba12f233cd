//! Tells of conditions that the engine must try on every event.
//!
//! The engine files each rule under something that every match must have and
//! few events do: a text, an address, a port. A regex behind such a handle
//! costs next to nothing, whatever it looks like.

use super::Context;
use super::regex;
use crate::diagnostics::{Diagnostic, Problem};
use crate::ir::{Expr, Predicate, Test, TextMatch};
use crate::yaml::Node;
use picket_model::field::FieldType;

/// Warns of a condition without a handle that holds a regex without a literal.
pub(crate) fn warn_if_costly(cx: &mut Context<'_>, condition: &Expr, node: &Node<'_>) {
    let mut costly = false;
    condition.predicates(&mut |predicate| {
        costly |= is_regex(predicate) && !is_handle(predicate);
    });
    if costly && !has_handle(condition) {
        let diagnostic = Diagnostic::new(&Problem::RegexWithoutLiteral, node.span.clone()).help(
            "a few letters that every match must hold make the rule many times cheaper, in the \
             regex or in a predicate joined to it by `and`",
        );
        cx.sink.push(diagnostic);
    }
}

fn has_handle(condition: &Expr) -> bool {
    match condition {
        Expr::And(parts) => parts.iter().any(has_handle),
        Expr::Or(parts) => parts.iter().all(has_handle),
        Expr::Not(_) => false,
        Expr::Predicate(predicate) => is_handle(predicate),
        Expr::Any(_, body) => has_handle(body),
    }
}

fn is_regex(predicate: &Predicate) -> bool {
    matches!(&predicate.test, Test::Text(text) if text.how == TextMatch::Regex)
}

fn is_handle(predicate: &Predicate) -> bool {
    match &predicate.test {
        Test::Text(text) => {
            let certain = |pattern: &String| match text.how {
                TextMatch::Regex => regex::has_literal(pattern),
                TextMatch::Equals => true,
                _ => pattern.len() >= regex::USEFUL_LITERAL,
            };
            if text.all {
                text.patterns.iter().any(certain)
            } else {
                text.patterns.iter().all(certain)
            }
        }
        Test::Ip(_) => true,
        Test::Number(_) => predicate.field.ty() == FieldType::Port,
        Test::Exists
        | Test::TextNot { .. }
        | Test::NumberNot(_)
        | Test::IpNot(_)
        | Test::Bool(_) => false,
    }
}
