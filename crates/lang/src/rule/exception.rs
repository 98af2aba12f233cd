//! Exceptions: fields, operators and tuples of values.

use crate::check::{Context, Operand, Quantifier, Target, list_operands, resolve_any, test};
use crate::condition::{OPERATORS, Op};
use crate::diagnostics::{Diagnostic, Problem, Sink};
use crate::ir::{self, Expr, Predicate, Span};
use crate::source::SourceSpan;
use crate::words;
use crate::yaml::{self, Keys, Node, Value};
use picket_model::EventClass;
use picket_model::field::Field;
use std::collections::HashMap;
use std::rc::Rc;

const KEYS: &[&str] = &["name", "fields", "comps", "values", "expires"];
/// Of one that stands apart from its rule.
const KEYS_APART: &[&str] = &["rule", "name", "fields", "comps", "values", "expires"];

/// Which rule an exception is of that stands apart.
pub(super) fn rule(node: &Node<'_>, sink: &mut Sink) -> Option<String> {
    let keys = Keys::of(node, "an exception", KEYS_APART, sink)?;
    let rule = keys.require("rule", sink)?;
    yaml::text(rule, "`rule`", sink).map(str::to_owned)
}

/// Checks a rule's `exceptions`, and those of it that stand apart.
pub(super) fn check(
    cx: &mut Context<'_>,
    own: Option<&Node<'_>>,
    apart: &[Rc<Node<'_>>],
    classes: &[EventClass],
    now_ns: Option<i64>,
) -> Vec<ir::Exception> {
    let mut names = HashMap::new();
    let mut exceptions = Vec::new();
    let own = own.and_then(|node| yaml::list(node, "`exceptions`", cx.sink));
    for node in own.unwrap_or_default() {
        exceptions.extend(exception(cx, node, KEYS, classes, now_ns, &mut names));
    }
    for node in apart {
        exceptions.extend(exception(cx, node, KEYS_APART, classes, now_ns, &mut names));
    }
    exceptions
}

/// A field of an exception with its operator.
struct Column {
    field: Option<Field>,
    name: String,
    place: SourceSpan,
    op: Option<(Op, SourceSpan)>,
}

fn exception(
    cx: &mut Context<'_>,
    node: &Node<'_>,
    known: &'static [&'static str],
    classes: &[EventClass],
    now_ns: Option<i64>,
    names: &mut HashMap<String, SourceSpan>,
) -> Option<ir::Exception> {
    let keys = Keys::of(node, "an exception", known, cx.sink)?;
    let name_node = keys.require("name", cx.sink);
    let name = name_node.and_then(|node| yaml::text(node, "`name`", cx.sink));
    if let (Some(name), Some(node)) = (name, name_node) {
        if let Some(before) = names.insert(name.to_owned(), node.span.clone()) {
            let problem = Problem::DuplicateException {
                name: name.to_owned(),
            };
            cx.sink
                .push(Diagnostic::new(&problem, node.span.clone()).also(before, "first here"));
        }
    }
    let columns = keys
        .require("fields", cx.sink)
        .map(|fields| columns(cx, fields, keys.get("comps").map(|node| &**node), classes));
    let values = keys.require("values", cx.sink);
    let tuples = values.and_then(|values| yaml::list(values, "`values`", cx.sink));
    if let (Some([]), Some(values)) = (tuples, values) {
        cx.sink
            .report(&Problem::Empty { what: "`values`" }, values.span.clone());
    }
    let condition = columns.zip(tuples).map(|(columns, tuples)| {
        let tuples: Vec<_> = tuples
            .iter()
            .map(|tuple| conjunction(cx, tuple, &columns))
            .collect();
        tuples.into_iter().collect::<Option<Vec<_>>>()
    });
    let expires_ns = keys
        .get("expires")
        .and_then(|node| words::time(node, "`expires`", cx.sink));
    if let (Some(expires), Some(now), Some(node), Some(name)) =
        (expires_ns, now_ns, keys.get("expires"), name)
    {
        if expires <= now {
            let problem = Problem::ExpiredException {
                name: name.to_owned(),
            };
            cx.sink.report(&problem, node.span.clone());
        }
    }
    Some(ir::Exception {
        name: name?.to_owned(),
        condition: join(condition??, Expr::Or),
        expires_ns,
    })
}

fn columns(
    cx: &mut Context<'_>,
    fields: &Node<'_>,
    comps: Option<&Node<'_>>,
    classes: &[EventClass],
) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for node in yaml::list(fields, "`fields`", cx.sink).unwrap_or_default() {
        let name = yaml::text(node, "a field", cx.sink);
        let field = name.and_then(|name| match resolve_any(name, classes, node.span.clone()) {
            Ok(field) => Some(field),
            Err(diagnostic) => {
                cx.sink.push(*diagnostic);
                None
            }
        });
        columns.push(Column {
            field,
            name: name.unwrap_or_default().to_owned(),
            place: node.span.clone(),
            op: Some((Op::Equal, node.span.clone())),
        });
    }
    if columns.is_empty() && matches!(fields.value, Value::List(_)) {
        cx.sink
            .report(&Problem::Empty { what: "`fields`" }, fields.span.clone());
    }
    let Some(comps) = comps else {
        return columns;
    };
    let operators = yaml::list(comps, "`comps`", cx.sink).unwrap_or_default();
    arity(cx, "`comps`", comps, columns.len(), operators.len());
    for (column, node) in columns.iter_mut().zip(operators) {
        column.op = operator(cx, node).map(|op| (op, node.span.clone()));
    }
    columns
}

fn operator(cx: &mut Context<'_>, node: &Node<'_>) -> Option<Op> {
    let text = yaml::text(node, "an operator", cx.sink)?;
    let names: Vec<_> = OPERATORS
        .iter()
        .filter(|entry| entry.op != Op::Exists)
        .map(|entry| entry.name)
        .collect();
    words::word(text, &names, "an operator", &node.span, cx.sink)?;
    Op::from_name(text)
}

fn arity(
    cx: &mut Context<'_>,
    what: &'static str,
    node: &Node<'_>,
    wanted: usize,
    found: usize,
) -> bool {
    if wanted != found {
        let problem = Problem::ExceptionArity {
            what,
            wanted,
            found,
        };
        cx.sink.report(&problem, node.span.clone());
    }
    wanted == found
}

/// One tuple of values: a test of each field.
fn conjunction(cx: &mut Context<'_>, tuple: &Rc<Node<'_>>, columns: &[Column]) -> Option<Expr> {
    // A single field needs no tuple around its value.
    let alone = std::slice::from_ref(tuple);
    let values = match &tuple.value {
        Value::List(values) => values,
        _ if columns.len() == 1 => alone,
        _ => yaml::list(tuple, "a tuple of values", cx.sink)?,
    };
    if !arity(cx, "the tuple", tuple, columns.len(), values.len()) {
        return None;
    }
    let mut sound = true;
    let mut parts = Vec::with_capacity(columns.len());
    for (column, value) in columns.iter().zip(values) {
        match predicate(cx, column, value) {
            Some(predicate) => parts.push(Expr::Predicate(predicate)),
            None => sound = false,
        }
    }
    sound.then(|| join(parts, Expr::And))
}

fn predicate(cx: &mut Context<'_>, column: &Column, value: &Node<'_>) -> Option<Predicate> {
    let field = column.field?;
    let (op, op_span) = column.op.clone()?;
    let target = Target {
        field,
        name: column.name.clone(),
        op,
        op_span: if op_span == column.place {
            value.span.clone()
        } else {
            op_span
        },
        operands_span: value.span.clone(),
    };
    let mut cx = Context {
        limits: cx.limits,
        names: cx.names,
        sink: cx.sink,
    };
    let (quantifier, operands) = match (
        &value.value,
        value.as_text().and_then(|text| text.strip_prefix('$')),
    ) {
        (Value::List(items), _) => {
            if items.is_empty() {
                cx.sink
                    .report(&Problem::Empty { what: "the list" }, value.span.clone());
                return None;
            }
            let quantifier = if op == Op::In {
                Quantifier::Set
            } else {
                Quantifier::Any
            };
            (
                quantifier,
                items.iter().map(|item| Operand::of_node(item)).collect(),
            )
        }
        (_, Some(list)) if op == Op::In => (
            Quantifier::Set,
            list_operands(&mut cx, list, value.span.clone())?,
        ),
        _ => (Quantifier::One, vec![Operand::of_node(value)]),
    };
    let test = test(&mut cx, &target, quantifier, &operands)?;
    Some(Predicate {
        field,
        test,
        span: Span::default(),
    })
}

fn join(mut parts: Vec<Expr>, how: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => how(parts),
    }
}
