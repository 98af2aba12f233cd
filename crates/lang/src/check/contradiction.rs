//! Obvious contradictions: two tests of one field that never hold together.

use crate::diagnostics::{Diagnostic, Problem, Sink};
use crate::ir::{Expr, Predicate, Test, TextMatch};
use crate::yaml::Node;
use picket_model::field::FieldType;

/// Warns of the first pair in an `and` that excludes each other.
pub(super) fn warn(parts: &[Expr], node: &Node<'_>, sink: &mut Sink) {
    let tests: Vec<&Predicate> = parts
        .iter()
        .filter_map(|part| match part {
            Expr::Predicate(predicate) => Some(predicate),
            _ => None,
        })
        // Bounded, because each is held against each.
        .take(64)
        .collect();
    for (at, second) in tests.iter().enumerate() {
        let Some(first) = tests[..at].iter().find(|first| exclude(first, second)) else {
            continue;
        };
        let place = |predicate: &Predicate| {
            node.locate(predicate.span.start as usize..predicate.span.end as usize)
        };
        let problem = Problem::NeverBoth {
            field: second.field.to_string(),
        };
        sink.push(Diagnostic::new(&problem, place(second)).also(place(first), "the other"));
        return;
    }
}

fn exclude(first: &Predicate, second: &Predicate) -> bool {
    // Of a list's elements each test may hold for another.
    if first.field != second.field || first.field.ty() == FieldType::StrList {
        return false;
    }
    match (&first.test, &second.test) {
        (Test::Text(a), Test::Text(b)) => {
            let equals = |test: &crate::ir::TextTest| {
                test.how == TextMatch::Equals && !test.ignore_case && !test.all
            };
            equals(a)
                && equals(b)
                && !a
                    .patterns
                    .iter()
                    .any(|pattern| b.patterns.contains(pattern))
        }
        (Test::Number(a), Test::Number(b)) => !a.iter().any(|a| {
            b.iter()
                .any(|b| a.start() <= b.end() && b.start() <= a.end())
        }),
        (Test::Bool(a), Test::Bool(b)) => a != b,
        _ => false,
    }
}
