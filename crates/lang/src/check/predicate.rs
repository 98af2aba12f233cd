//! One predicate: field, operator and constants to a [`Test`].

use crate::check::address::{self, NotANetwork};
use crate::check::constant::{self, Operand, Value};
use crate::check::lower::ir_span;
use crate::check::{Context, Scope, field, text};
use crate::condition::ast::{self, Form};
use crate::condition::{Op, parse_range};
use crate::diagnostics::{Diagnostic, Problem};
use crate::ir::{IpNetwork, Predicate, Test};
use crate::source::SourceSpan;
use picket_model::field::{Field, FieldType};
use std::ops::RangeInclusive;

/// How many of the constants must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// There is one constant.
    One,
    /// `anyof`
    Any,
    /// `allof`
    All,
    /// A plain list, as `in` takes it.
    Set,
}

/// What is tested, and where its parts stand.
pub(crate) struct Target {
    pub(crate) field: Field,
    /// As it was written.
    pub(crate) name: String,
    pub(crate) op: Op,
    pub(crate) op_span: SourceSpan,
    pub(crate) operands_span: SourceSpan,
}

pub(super) fn lower(
    cx: &mut Context<'_>,
    syntax: &ast::Predicate,
    scope: Scope<'_>,
) -> Option<Predicate> {
    let field = field::resolve(cx, &syntax.field, scope, false);
    let mut cx = Context {
        limits: cx.limits,
        names: cx.names,
        sink: cx.sink,
    };
    let operands = constant::operands(&mut cx, &syntax.operands.constants, scope);
    let field = field?;
    let quantifier = match syntax.operands.form {
        Form::None | Form::One if !names_list(&syntax.operands) => Quantifier::One,
        Form::None | Form::One | Form::Set => Quantifier::Set,
        Form::AnyOf => Quantifier::Any,
        Form::AllOf => Quantifier::All,
    };
    let target = Target {
        field,
        name: syntax.field.text.clone(),
        op: syntax.op,
        op_span: scope.node.locate(syntax.op_span.clone()),
        operands_span: scope.node.locate(syntax.operands.span.clone()),
    };
    // Even with unreadable constants, the operator can be told to be wrong.
    if !takes(&target, &mut cx) {
        return None;
    }
    let test = test(&mut cx, &target, quantifier, &operands?)?;
    Some(Predicate {
        field,
        test,
        span: ir_span(&syntax.span),
    })
}

fn names_list(operands: &ast::Operands) -> bool {
    matches!(
        operands.constants.as_slice(),
        [ast::Constant {
            value: ast::Literal::List(_),
            ..
        }]
    )
}

/// The test that a target and its constants make; nothing if they do not fit,
/// which has been reported.
pub(crate) fn test(
    cx: &mut Context<'_>,
    target: &Target,
    quantifier: Quantifier,
    operands: &[Operand<'_>],
) -> Option<Test> {
    if target.op == Op::Exists {
        return Some(Test::Exists);
    }
    if !takes(target, cx) || !fits(target, quantifier, cx) {
        return None;
    }
    match target.field.ty() {
        FieldType::Int => numbers(cx, target, operands, false),
        FieldType::Port => numbers(cx, target, operands, true),
        FieldType::Ip => addresses(cx, target, operands),
        FieldType::Bool => booleans(cx, target, operands),
        FieldType::Str
        | FieldType::Path
        | FieldType::Digest
        | FieldType::Enum(_)
        | FieldType::StrList => text::test(cx, target, quantifier, operands),
    }
}

/// Whether the operator works on the field's type.
fn takes(target: &Target, cx: &mut Context<'_>) -> bool {
    let ty = target.field.ty();
    let takes = match target.op {
        Op::Equal | Op::NotEqual | Op::Exists => true,
        Op::In => ty != FieldType::Bool,
        Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => ty.is_number(),
        Op::Text(..) => ty.is_text(),
    };
    if takes {
        return true;
    }
    let help = match ty {
        FieldType::Bool => "booleans take == and !=, or stand alone",
        FieldType::Ip => "addresses take ==, != and `in`, with networks such as \"10.0.0.0/8\"",
        ty if ty.is_number() => {
            "numbers take == != < <= > >= and `in`, with ranges such as 8000..8999"
        }
        _ => {
            "text takes == != in contains startswith endswith glob matches, and the i… forms without regard to case"
        }
    };
    let problem = Problem::OperatorType {
        op: target.op.name(),
        field: target.name.clone(),
        ty: ty.name(),
    };
    cx.sink
        .push(Diagnostic::new(&problem, target.op_span.clone()).help(help));
    false
}

/// Whether the operator takes its constants in this form.
fn fits(target: &Target, quantifier: Quantifier, cx: &mut Context<'_>) -> bool {
    let op = target.op.name();
    let name = &target.name;
    let (problem, help) = match (target.op, quantifier) {
        (Op::In, Quantifier::Set) => return true,
        (Op::In, Quantifier::One) => (
            Problem::InNeedsList,
            format!("write `{name} in ( … )`, `{name} in $list`, or use `==`"),
        ),
        (Op::In, _) => (
            Problem::InNeedsList,
            format!("write `{name} in ( … )` without `anyof` or `allof`"),
        ),
        (_, Quantifier::One) => return true,
        (_, Quantifier::All) if !target.field.ty().is_text() => (
            Problem::AllOfNotText {
                field: name.clone(),
            },
            "use `and` between several tests".to_owned(),
        ),
        (Op::Equal | Op::Text(..), Quantifier::Any | Quantifier::All) => return true,
        (Op::Equal, _) => (
            Problem::OneConstant { op },
            format!("write `{name} in ( … )` or `{name} in $list`"),
        ),
        (Op::NotEqual, _) => (
            Problem::OneConstant { op },
            format!("write `not {name} in ( … )`"),
        ),
        (Op::Text(..), _) => (
            Problem::OneConstant { op },
            format!("write `{name} {op} anyof ( … )` or `{name} {op} anyof $list`"),
        ),
        (..) => (
            Problem::OneConstant { op },
            "a number is less or greater than one other".to_owned(),
        ),
    };
    cx.sink
        .push(Diagnostic::new(&problem, target.operands_span.clone()).help(help));
    false
}

/// Reports that a constant is not of the field's type.
pub(super) fn wrong_type(
    cx: &mut Context<'_>,
    target: &Target,
    operand: &Operand<'_>,
    wanted: &'static str,
    help: Option<String>,
) {
    let problem = Problem::ConstantType {
        field: target.name.clone(),
        wanted,
        found: operand.value.describe(),
    };
    let diagnostic = Diagnostic::new(&problem, operand.place.span());
    let diagnostic = match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    };
    cx.sink.push(via(diagnostic, operand));
}

/// Names the use of the list that a constant comes from.
pub(super) fn via(diagnostic: Diagnostic, operand: &Operand<'_>) -> Diagnostic {
    match &operand.via {
        Some(place) => diagnostic.also(place.clone(), "the list is used here"),
        None => diagnostic,
    }
}

fn numbers(
    cx: &mut Context<'_>,
    target: &Target,
    operands: &[Operand<'_>],
    port: bool,
) -> Option<Test> {
    let mut ranges = Vec::with_capacity(operands.len());
    let mut sound = true;
    for operand in operands {
        match number(cx, target, operand, port) {
            Some(range) => ranges.push(range),
            None => sound = false,
        }
    }
    if !sound {
        return None;
    }
    let value = ranges.first().map(|range| *range.start())?;
    Some(match target.op {
        Op::NotEqual => Test::NumberNot(value),
        // No port is less than the least or greater than the greatest.
        Op::Less if port && value == 0 => Test::Number(Vec::new()),
        Op::Greater if port && value == 65535 => Test::Number(Vec::new()),
        Op::Less => Test::Number(
            value
                .checked_sub(1)
                .map(|last| i64::MIN..=last)
                .into_iter()
                .collect(),
        ),
        Op::LessOrEqual => Test::Number(vec![i64::MIN..=value]),
        Op::Greater => Test::Number(
            value
                .checked_add(1)
                .map(|first| first..=i64::MAX)
                .into_iter()
                .collect(),
        ),
        Op::GreaterOrEqual => Test::Number(vec![value..=i64::MAX]),
        _ => Test::Number(merged(ranges)),
    })
}

fn number(
    cx: &mut Context<'_>,
    target: &Target,
    operand: &Operand<'_>,
    port: bool,
) -> Option<RangeInclusive<i64>> {
    let ranges_fit = matches!(target.op, Op::In);
    let (from, to) = match operand.value {
        Value::Integer(number) => (number, number),
        Value::Range(from, to) if ranges_fit => (from, to),
        Value::Text(text) => match parse_range(text) {
            Some(range) if operand.is_yaml() && ranges_fit => range,
            _ => {
                let help = (!operand.is_yaml())
                    .then(|| "numbers and ranges stand without quotes".to_owned());
                wrong_type(cx, target, operand, "numbers", help);
                return None;
            }
        },
        Value::Range(..) => {
            let help = format!("write `{} in ( … )`", target.name);
            wrong_type(cx, target, operand, "a number", Some(help));
            return None;
        }
        _ => {
            wrong_type(cx, target, operand, "numbers", None);
            return None;
        }
    };
    let not_a_port = [from, to]
        .into_iter()
        .find(|value| port && !(0..=65535).contains(value));
    let problem = match not_a_port {
        Some(value) => Problem::NotAPort { value },
        None if from > to => Problem::BackwardRange { from, to },
        None => return Some(from..=to),
    };
    cx.sink.push(via(
        Diagnostic::new(&problem, operand.place.span()),
        operand,
    ));
    None
}

/// Sorted, and without overlaps or neighbours.
fn merged(mut ranges: Vec<RangeInclusive<i64>>) -> Vec<RangeInclusive<i64>> {
    ranges.sort_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<i64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn addresses(cx: &mut Context<'_>, target: &Target, operands: &[Operand<'_>]) -> Option<Test> {
    let mut networks = Vec::with_capacity(operands.len());
    let mut sound = true;
    for operand in operands {
        match address(cx, target, operand) {
            Some(network) => networks.push(network),
            None => sound = false,
        }
    }
    if !sound {
        return None;
    }
    if target.op == Op::NotEqual {
        return networks.first().map(|network| Test::IpNot(network.base));
    }
    let mut seen = std::collections::HashSet::new();
    networks.retain(|network| seen.insert(*network));
    Some(Test::Ip(networks))
}

fn address(cx: &mut Context<'_>, target: &Target, operand: &Operand<'_>) -> Option<IpNetwork> {
    let (Value::Text(text) | Value::Address(text)) = operand.value else {
        wrong_type(cx, target, operand, "addresses", None);
        return None;
    };
    let (problem, help) = match address::network(text) {
        Ok(network) if target.op == Op::In || !text.contains('/') => return Some(network),
        Ok(_) if target.op == Op::NotEqual => {
            let help = format!("write `not {} in ({text})`", target.name);
            (
                Problem::OneConstant {
                    op: target.op.name(),
                },
                Some(help),
            )
        }
        Ok(_) => {
            let help = format!(
                "write `{} in ({text})`: a network is not one address",
                target.name
            );
            (
                Problem::OneConstant {
                    op: target.op.name(),
                },
                Some(help),
            )
        }
        Err(NotANetwork::HostBits(network)) => {
            let help = format!("the network is {}/{}", network.base, network.prefix);
            (
                Problem::HostBits {
                    text: text.to_owned(),
                },
                Some(help),
            )
        }
        Err(NotANetwork::Syntax) => (
            Problem::BadAddress {
                text: text.to_owned(),
            },
            None,
        ),
    };
    let mut diagnostic = via(Diagnostic::new(&problem, operand.place.span()), operand);
    if let Some(help) = help {
        diagnostic = diagnostic.help(help);
    }
    cx.sink.push(diagnostic);
    None
}

fn booleans(cx: &mut Context<'_>, target: &Target, operands: &[Operand<'_>]) -> Option<Test> {
    let operand = operands.first()?;
    let Value::Boolean(value) = operand.value else {
        wrong_type(cx, target, operand, "true or false", None);
        return None;
    };
    Some(Test::Bool(value == (target.op == Op::Equal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge() {
        assert_eq!(
            merged(vec![5..=9, 1..=2, 3..=3, 8..=20, 30..=i64::MAX, 40..=41]),
            vec![1..=3, 5..=20, 30..=i64::MAX]
        );
    }
}
