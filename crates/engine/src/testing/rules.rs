//! Rules from bytes.

use super::events::{ADDRESSES, NUMBERS};
use super::{Choices, WORDS};
use crate::fold::fold;
use picket_lang::ir::{
    Exception, Expr, IpNetwork, Predicate, Rule, Span, Test, TextMatch, TextTest,
};
use picket_model::field::{EventAttr, Field, FieldType, ProcessAttr, ProcessList, Subject};
use picket_model::rule::RuleInfo;
use picket_model::{EventClass, Severity};
use std::net::IpAddr;
use std::sync::Arc;

/// Regexes besides those made of words.
const REGEXES: &[&str] = &[
    r"\bbash\b",
    "^/usr",
    "(?i)BA[ST]H",
    r"-e$",
    "a.*b",
    "(?:curl|nginx) ?",
    r"x\d",
    "[a-c]b?",
    "",
    "(?i)longer-?word.{1,6}text",
    "(?i)s",
    "(?x) usr # slash",
    "(foo|a)+b",
    r"\s-e\s?",
    "é|É",
    "(?:bash|.)a",
    r"\x{17F}",
    "(?i)k1?",
];

/// A rule over any fields, also such as its classes do not have.
pub(super) fn rule(choices: &mut Choices<'_>, number: usize) -> Rule {
    let mut classes: Vec<EventClass> = EventClass::ALL.to_vec();
    if choices.one_in(2) {
        classes = vec![choices.pick(&EventClass::ALL), EventClass::ProcessExec];
        classes.dedup();
    }
    let exceptions = match choices.below(3) {
        2 => 1 + choices.below(2),
        _ => 0,
    };
    Rule {
        info: Arc::new(info(number)),
        classes,
        condition: expr(choices, 4, false),
        exceptions: (0..exceptions)
            .map(|number| Exception {
                name: number.to_string(),
                condition: expr(choices, 2, false),
                expires_ns: choices.one_in(2).then(|| choices.below(4) as i64 * 100),
            })
            .collect(),
    }
}

fn info(number: usize) -> RuleInfo {
    RuleInfo::named(&format!("rule-{number}"), Severity::Low)
}

fn expr(choices: &mut Choices<'_>, depth: usize, inside: bool) -> Expr {
    let kinds = if depth == 0 { 5 } else { 10 };
    match choices.below(kinds) {
        5 | 6 => Expr::And(exprs(choices, depth, inside)),
        7 => Expr::Or(exprs(choices, depth, inside)),
        8 => Expr::Not(Box::new(expr(choices, depth - 1, inside))),
        9 => {
            let list = choices.pick(&ProcessList::ALL);
            Expr::Any(list, Box::new(expr(choices, depth - 1, true)))
        }
        _ => Expr::Predicate(predicate(choices, inside)),
    }
}

fn exprs(choices: &mut Choices<'_>, depth: usize, inside: bool) -> Vec<Expr> {
    (0..choices.below(4))
        .map(|_| expr(choices, depth - 1, inside))
        .collect()
}

fn predicate(choices: &mut Choices<'_>, inside: bool) -> Predicate {
    // The texts of a process come first: that is what rules speak of.
    let attrs = if choices.one_in(3) {
        ProcessAttr::ALL
    } else {
        &ProcessAttr::ALL[..5]
    };
    let field = if inside && !choices.one_in(8) {
        Field::Process(Subject::Element, choices.pick(attrs))
    } else if choices.one_in(4) {
        Field::Event(choices.pick(EventAttr::ALL))
    } else {
        let subject = choices.pick(&[
            Subject::Process,
            Subject::Actor,
            Subject::Parent,
            Subject::Actor,
            Subject::Element,
        ]);
        Field::Process(subject, choices.pick(attrs))
    };
    Predicate {
        field,
        test: test(choices, field.ty()),
        span: Span::default(),
    }
}

fn test(choices: &mut Choices<'_>, ty: FieldType) -> Test {
    if choices.one_in(16) {
        return Test::Exists;
    }
    match ty {
        FieldType::Bool => Test::Bool(choices.one_in(2)),
        FieldType::Ip if choices.one_in(4) => Test::IpNot(address(choices)),
        FieldType::Ip => Test::Ip(
            (0..1 + choices.below(3))
                .map(|_| network(choices))
                .collect(),
        ),
        FieldType::Int | FieldType::Port if choices.one_in(4) => Test::NumberNot(number(choices)),
        FieldType::Int | FieldType::Port => numbers(choices),
        _ if choices.one_in(8) => {
            let ignore_case = choices.one_in(2);
            Test::TextNot {
                value: constant(choices, ignore_case),
                ignore_case,
            }
        }
        _ => Test::Text(text_test(choices)),
    }
}

fn text_test(choices: &mut Choices<'_>) -> TextTest {
    let how = choices.pick(&[
        TextMatch::Contains,
        TextMatch::Equals,
        TextMatch::StartsWith,
        TextMatch::EndsWith,
        TextMatch::Glob,
        TextMatch::Regex,
    ]);
    let ignore_case = choices.one_in(3);
    let patterns = (0..1 + choices.below(3))
        .map(|_| match how {
            TextMatch::Glob => glob(choices, ignore_case),
            TextMatch::Regex => regex(choices),
            _ => constant(choices, ignore_case),
        })
        .collect();
    TextTest {
        how,
        ignore_case,
        patterns,
        all: choices.one_in(4),
    }
}

fn constant(choices: &mut Choices<'_>, ignore_case: bool) -> String {
    let text = choices.text();
    if ignore_case { fold(&text) } else { text }
}

fn glob(choices: &mut Choices<'_>, ignore_case: bool) -> String {
    let pattern: String = (0..choices.below(6))
        .map(|_| match choices.below(4) {
            0 => choices.pick(WORDS),
            1 => "*",
            2 => choices.pick(&["?", "[a-c]", "[!b]", "\\", "[", "]"]),
            _ => "/",
        })
        .collect();
    if ignore_case { fold(&pattern) } else { pattern }
}

fn regex(choices: &mut Choices<'_>) -> String {
    if choices.one_in(2) {
        return choices.pick(REGEXES).to_owned();
    }
    let mut pattern = String::new();
    for _ in 0..1 + choices.below(3) {
        pattern += &regex::escape(choices.pick(WORDS));
        pattern += choices.pick(&["", ".*", "?", "+", r"\b", "|", ".", "[a-z]", "$"]);
    }
    pattern
}

fn numbers(choices: &mut Choices<'_>) -> Test {
    let mut ranges = Vec::new();
    for _ in 0..1 + choices.below(3) {
        let low = number(choices);
        let high = if choices.one_in(2) {
            number(choices).max(low)
        } else {
            low
        };
        ranges.push(low..=high);
    }
    Test::Number(ranges)
}

fn number(choices: &mut Choices<'_>) -> i64 {
    choices.pick(NUMBERS).into()
}

fn address(choices: &mut Choices<'_>) -> IpAddr {
    choices
        .pick(ADDRESSES)
        .parse()
        .unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

fn network(choices: &mut Choices<'_>) -> IpNetwork {
    let base = address(choices);
    let longest = if base.is_ipv4() { 32 } else { 128 };
    IpNetwork {
        base,
        prefix: choices.pick(&[longest, 8, 10, 0, longest - 1]),
    }
}
