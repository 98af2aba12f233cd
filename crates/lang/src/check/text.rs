//! Tests of text: constants to patterns.

use crate::check::constant::{Operand, Value};
use crate::check::predicate::{via, wrong_type};
use crate::check::{Context, Quantifier, Target, glob, regex};
use crate::condition::{Op, quote};
use crate::diagnostics::{Diagnostic, Problem, nearest};
use crate::fold::fold_str;
use crate::ir::{Test, TextMatch, TextTest};
use picket_model::errno;
use picket_model::field::{EventAttr, Field, FieldType};
use std::collections::HashSet;

pub(super) fn test(
    cx: &mut Context<'_>,
    target: &Target,
    quantifier: Quantifier,
    operands: &[Operand<'_>],
) -> Option<Test> {
    let (how, ignore_case) = match target.op {
        Op::Text(how, case) => (how, case == crate::condition::Case::Ignore),
        _ => (TextMatch::Equals, false),
    };
    let mut patterns = Vec::with_capacity(operands.len());
    let mut seen = HashSet::new();
    let mut sound = true;
    for operand in operands {
        match pattern(cx, target, operand, how, ignore_case) {
            Some(pattern) if seen.insert(pattern.clone()) => patterns.push(pattern),
            Some(_) => {}
            None => sound = false,
        }
    }
    if !sound {
        return None;
    }
    if target.op == Op::NotEqual {
        return Some(Test::TextNot {
            value: patterns.pop()?,
            ignore_case,
        });
    }
    let all = quantifier == Quantifier::All && patterns.len() > 1;
    (!patterns.is_empty()).then_some(Test::Text(TextTest {
        how,
        ignore_case,
        patterns,
        all,
    }))
}

fn pattern(
    cx: &mut Context<'_>,
    target: &Target,
    operand: &Operand<'_>,
    how: TextMatch,
    ignore_case: bool,
) -> Option<String> {
    let Value::Text(text) = operand.value else {
        let help = match operand.value {
            Value::Integer(number) => Some(format!("write it in quotes: \"{number}\"")),
            Value::Address(text) => Some(format!("write it in quotes: \"{text}\"")),
            _ => None,
        };
        wrong_type(cx, target, operand, "strings", help);
        return None;
    };
    match how {
        TextMatch::Regex => {
            return match regex::check(text, cx.limits) {
                Ok(rewritten) => Some(rewritten),
                Err(flaw) => {
                    let place = operand.place.within(flaw.span);
                    cx.sink
                        .push(via(Diagnostic::new(&flaw.problem, place), operand));
                    None
                }
            };
        }
        TextMatch::Glob => {
            if let Err(flaw) = glob::check(text) {
                let place = operand.place.within(flaw.span);
                let problem = Problem::BadGlob {
                    detail: flaw.detail,
                };
                cx.sink.push(via(Diagnostic::new(&problem, place), operand));
                return None;
            }
        }
        TextMatch::Equals => never_that_value(cx, target, operand, text, ignore_case)?,
        TextMatch::Contains | TextMatch::StartsWith | TextMatch::EndsWith => {
            if text.is_empty() {
                let problem = Problem::EmptyPattern {
                    op: target.op.name(),
                };
                let help = format!("`{} exists` says that there is one", target.name);
                cx.sink.push(via(
                    Diagnostic::new(&problem, operand.place.span()).help(help),
                    operand,
                ));
            }
        }
    }
    Some(if ignore_case {
        fold_str(text)
    } else {
        text.to_owned()
    })
}

/// Reports a value that the field never has: nothing then.
fn never_that_value(
    cx: &mut Context<'_>,
    target: &Target,
    operand: &Operand<'_>,
    text: &str,
    ignore_case: bool,
) -> Option<()> {
    let Admitted::No(help) = admit(target.field, text, ignore_case) else {
        return Some(());
    };
    let problem = Problem::NeverThatValue {
        field: target.name.clone(),
        value: text.to_owned(),
    };
    cx.sink.push(via(
        Diagnostic::new(&problem, operand.place.span()).help(help),
        operand,
    ));
    None
}

/// Whether a field can have a value.
pub(crate) enum Admitted {
    Yes,
    /// And what it can have instead.
    No(String),
}

/// Holds a text against the values a field can have.
pub(crate) fn admit(field: Field, text: &str, ignore_case: bool) -> Admitted {
    let same = |a: &str, b: &str| a == b || (ignore_case && a.eq_ignore_ascii_case(b));
    let (admitted, help) = match (field, field.ty()) {
        (Field::Event(EventAttr::QueryType), FieldType::Enum(words)) => (
            is_query_type(text) || words.iter().any(|word| same(word, text)),
            query_type_help(text, words),
        ),
        (_, FieldType::Enum(words)) => {
            let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
            (
                words.iter().any(|word| same(word, text)),
                format!("it is one of {}", quoted.join(", ")),
            )
        }
        (Field::Event(EventAttr::Status), _) => (
            errno_names().any(|name| same(name, text)),
            status_help(text),
        ),
        (_, FieldType::Digest) => {
            let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let help = if hex {
                format!(
                    "write it in lower case: {}",
                    quote(&text.to_ascii_lowercase())
                )
            } else {
                "a SHA-256 has 64 hex digits".to_owned()
            };
            (
                hex && (ignore_case || !text.bytes().any(|byte| byte.is_ascii_uppercase())),
                help,
            )
        }
        _ => return Admitted::Yes,
    };
    if admitted {
        Admitted::Yes
    } else {
        Admitted::No(help)
    }
}

/// `TYPE65280`, for record types without a name (RFC 3597 section 5).
fn is_query_type(text: &str) -> bool {
    text.strip_prefix("TYPE").is_some_and(|number| {
        number
            .parse::<u16>()
            .is_ok_and(|parsed| parsed.to_string() == number)
    })
}

fn query_type_help(text: &str, words: &[&'static str]) -> String {
    match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None => "it is a record type such as \"TXT\", or \"TYPE65280\" for one without a name"
            .to_owned(),
    }
}

fn status_help(text: &str) -> String {
    let lower = text.to_lowercase();
    if matches!(
        lower.as_str(),
        "success" | "ok" | "0" | "succeeded" | "pass"
    ) {
        return "success is \"ok\"".to_owned();
    }
    match nearest(text, errno_names()) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None => "it is \"ok\" or an errno's name such as \"ECONNREFUSED\"".to_owned(),
    }
}

/// `ok` and the names of all errnos; Linux has none past this number.
fn errno_names() -> impl Iterator<Item = &'static str> {
    (0..=133).filter_map(errno::name)
}
