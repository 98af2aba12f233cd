//! What must hold for every input: printed conditions check to the same again,
//! places are where they are said to be, and no input is a panic.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside `#[test]` functions"
)]

use picket_lang::ir::{Expr, IpNetwork, Predicate, Span, Test, TextMatch, TextTest};
use picket_lang::{Checked, Limits, Source, check, fold_str, render_json, render_text};
use picket_model::EventClass;
use picket_model::field::{EventAttr, Field, FieldType, ProcessAttr, ProcessList, Subject};
use proptest::prelude::*;
use std::net::IpAddr;
use std::ops::RangeInclusive;

fn check_text(text: &str) -> (Checked, Vec<Source>) {
    let sources = vec![Source::new("test.yaml", text)];
    (check(&sources, &Limits::default()), sources)
}

fn rule(class: EventClass, condition: &str) -> String {
    format!(
        "rules:\n  - id: r\n    title: T\n    event: {class}\n    severity: low\n    condition: {}\n",
        serde_json::to_string(condition).unwrap()
    )
}

fn without_spans(expr: Expr) -> Expr {
    match expr {
        Expr::And(parts) => Expr::And(parts.into_iter().map(without_spans).collect()),
        Expr::Or(parts) => Expr::Or(parts.into_iter().map(without_spans).collect()),
        Expr::Not(inner) => Expr::Not(Box::new(without_spans(*inner))),
        Expr::Any(list, body) => Expr::Any(list, Box::new(without_spans(*body))),
        Expr::Predicate(predicate) => Expr::Predicate(Predicate {
            span: Span::default(),
            ..predicate
        }),
    }
}

/// Text that needs quoting in every way.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/.]{1,8}",
        "\\PC{0,6}",
        r#"["\\$ \n\t'#:é€😀-]{1,6}"#,
        any::<String>().prop_map(|text| text.chars().take(6).collect()),
    ]
}

fn pattern(how: TextMatch) -> BoxedStrategy<String> {
    match how {
        TextMatch::Glob => prop_oneof![Just("*.so"), Just("[a-z]?x"), Just(r"a\*b"), Just("[!x]*")]
            .prop_map(str::to_owned)
            .boxed(),
        // As the check leaves them: no `\d` and the like.
        TextMatch::Regex => prop_oneof![
            Just("curl +http"),
            Just("(?i)wget|curl"),
            Just(r"(?-u:\b)nc [0-9]{1,5}"),
            Just("\"\\\\x41bcd")
        ]
        .prop_map(str::to_owned)
        .boxed(),
        _ => text().boxed(),
    }
}

fn text_test() -> impl Strategy<Value = Test> {
    let how = prop_oneof![
        Just(TextMatch::Equals),
        Just(TextMatch::Contains),
        Just(TextMatch::StartsWith),
        Just(TextMatch::EndsWith),
        Just(TextMatch::Glob),
        Just(TextMatch::Regex),
    ];
    how.prop_flat_map(|how| {
        let patterns = prop::collection::vec(pattern(how), 1..4);
        (patterns, any::<bool>(), any::<bool>()).prop_map(move |(patterns, ignore_case, all)| {
            let ignore_case = ignore_case && how != TextMatch::Regex;
            let mut patterns: Vec<String> = patterns
                .into_iter()
                .map(|pattern| {
                    if ignore_case {
                        fold_str(&pattern)
                    } else {
                        pattern
                    }
                })
                .collect();
            let mut seen = std::collections::HashSet::new();
            patterns.retain(|pattern| seen.insert(pattern.clone()));
            let all = all && patterns.len() > 1;
            Test::Text(TextTest {
                how,
                ignore_case,
                patterns,
                all,
            })
        })
    })
}

fn words_test(words: &'static [&'static str]) -> BoxedStrategy<Test> {
    (prop::sample::select(words), any::<bool>())
        .prop_map(|(word, not)| {
            if not {
                return Test::TextNot {
                    value: word.to_owned(),
                    ignore_case: false,
                };
            }
            let patterns = vec![word.to_owned()];
            Test::Text(TextTest {
                how: TextMatch::Equals,
                ignore_case: false,
                patterns,
                all: false,
            })
        })
        .boxed()
}

fn merged(mut points: Vec<i64>) -> Vec<RangeInclusive<i64>> {
    points.sort();
    points.dedup();
    let mut ranges: Vec<RangeInclusive<i64>> = Vec::new();
    for pair in points.chunks(2) {
        let (from, to) = (pair[0], *pair.last().unwrap());
        match ranges.last_mut() {
            Some(last) if last.end().saturating_add(1) >= from => *last = *last.start()..=to,
            _ => ranges.push(from..=to),
        }
    }
    ranges
}

fn number_test(port: bool) -> BoxedStrategy<Test> {
    let number = if port {
        (0..=65535i64).boxed()
    } else {
        prop_oneof![any::<i64>(), -5..5i64].boxed()
    };
    prop_oneof![
        prop::collection::vec(number.clone(), 1..6).prop_map(|points| Test::Number(merged(points))),
        number
            .clone()
            .prop_map(|value| Test::Number(vec![i64::MIN..=value])),
        number
            .clone()
            .prop_map(|value| Test::Number(vec![value..=i64::MAX])),
        number.prop_map(Test::NumberNot),
        Just(Test::Number(Vec::new())),
    ]
    .boxed()
}

fn network() -> impl Strategy<Value = IpNetwork> {
    let v4 = (any::<u32>(), 0..=32u8).prop_map(|(bits, prefix)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        IpNetwork {
            base: IpAddr::V4((bits & mask).into()),
            prefix,
        }
    });
    let v6 = (any::<u128>(), 0..=128u8).prop_map(|(bits, prefix)| {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        // Never an IPv4-mapped one: the check makes those IPv4.
        IpNetwork {
            base: IpAddr::V6(((bits | 1 << 127) & mask).into()),
            prefix,
        }
    });
    prop_oneof![v4, v6]
}

fn ip_test() -> impl Strategy<Value = Test> {
    prop_oneof![
        prop::collection::vec(network(), 1..4).prop_map(|mut networks| {
            let mut seen = std::collections::HashSet::new();
            networks.retain(|network| seen.insert(*network));
            Test::Ip(networks)
        }),
        any::<[u8; 4]>().prop_map(|bytes| Test::IpNot(bytes.into())),
    ]
}

const DIGESTS: &[&str] = &["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"];

fn predicate(field: Field) -> BoxedStrategy<Expr> {
    let test = match field.ty() {
        FieldType::Str if field == Field::Event(EventAttr::Status) => {
            words_test(&["ok", "ECONNREFUSED"])
        }
        FieldType::Enum(words) => words_test(words),
        FieldType::Digest => words_test(DIGESTS),
        FieldType::Str | FieldType::Path | FieldType::StrList => prop_oneof![
            text_test(),
            text().prop_map(|value| Test::TextNot {
                value,
                ignore_case: false
            }),
        ]
        .boxed(),
        FieldType::Int => number_test(false),
        FieldType::Port => number_test(true),
        FieldType::Bool => any::<bool>().prop_map(Test::Bool).boxed(),
        FieldType::Ip => ip_test().boxed(),
    };
    prop_oneof![9 => test, 1 => Just(Test::Exists)]
        .prop_map(move |test| {
            Expr::Predicate(Predicate {
                field,
                test,
                span: Span::default(),
            })
        })
        .boxed()
}

fn joined(parts: Vec<Expr>, and: bool) -> Expr {
    let mut flat = Vec::new();
    for part in parts {
        match (part, and) {
            (Expr::And(inner), true) | (Expr::Or(inner), false) => flat.extend(inner),
            (other, _) => flat.push(other),
        }
    }
    match flat.len() {
        1 => flat.remove(0),
        _ if and => Expr::And(flat),
        _ => Expr::Or(flat),
    }
}

fn tree(leaf: BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 1..4), any::<bool>())
                .prop_map(|(parts, and)| joined(parts, and)),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
    .boxed()
}

fn condition() -> impl Strategy<Value = (EventClass, Expr)> {
    prop::sample::select(EventClass::ALL.to_vec()).prop_flat_map(|class| {
        let fields: Vec<_> = Field::all()
            .filter(|field| field.classes().contains(&class))
            .collect();
        let element = prop::sample::select(ProcessAttr::ALL.to_vec())
            .prop_flat_map(|attr| predicate(Field::Process(Subject::Element, attr)));
        let any = (
            prop::sample::select(ProcessList::ALL.to_vec()),
            tree(element.boxed()),
        )
            .prop_map(|(list, body)| Expr::Any(list, Box::new(body)));
        let leaf =
            prop_oneof![4 => prop::sample::select(fields).prop_flat_map(predicate), 1 => any];
        tree(leaf.boxed()).prop_map(move |expr| (class, expr))
    })
}

/// Pieces of rule files, to be put together at random.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "rules:\n",
        "  - ",
        "id: a\n",
        "    condition: ",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "      ",
        "\n",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "#",
        "&a ",
        "*a",
        "!!str ",
        "---\n",
        "...\n",
        "? ",
        "%TAG ! x\n",
        "event: process.exec\n",
        "title: t\n",
        "severity: high\n",
        "process.name",
        " == ",
        "\\u00e9",
        "\\",
        "any process.ancestors (",
        ")",
        "(",
        " and ",
        " or ",
        "not ",
        " in ",
        "$l",
        "1..2",
        "10.0.0.0/8",
        "\"x\"",
        "r\"",
        "é",
        "\u{feff}",
        "\t",
        "\r\n",
        "lists:\n",
        "macros:\n",
        "  m: m\n",
        "tests:\n",
        "<<",
        "\u{85}",
        "\u{2028}",
        "0x",
        "-",
        " matches ",
        "policies:\n",
        "exists",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn survives(bytes: &[u8]) {
    let sources = vec![Source::new("a.yaml", bytes), Source::new("b.yaml", bytes)];
    let checked = check(&sources, &Limits::default());
    render_text(&checked.diagnostics, &sources, false);
    render_json(&checked.diagnostics, &sources);
    for diagnostic in &checked.diagnostics {
        for label in diagnostic.labels.iter().chain([&diagnostic.primary]) {
            assert!(label.span.start <= label.span.end && label.span.end <= bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_conditions_check_to_the_same((class, expr) in condition()) {
        let printed = expr.to_string();
        let (checked, sources) = check_text(&rule(class, &printed));
        prop_assert!(!checked.has_errors(), "{}", render_text(&checked.diagnostics, &sources, false));
        let again = without_spans(checked.rules[0].condition.clone());
        prop_assert_eq!(&again, &expr, "{}", printed);
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn any_bytes_survive(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn any_text_survives(text in any::<String>()) {
        survives(text.as_bytes());
    }

    #[test]
    fn any_soup_survives(text in soup()) {
        survives(text.as_bytes());
    }

    #[test]
    fn any_condition_survives(text in soup(), class in prop::sample::select(EventClass::ALL.to_vec())) {
        survives(rule(class, &text).as_bytes());
    }

    #[test]
    fn any_regex_survives(text in r#"[a-c()\[\]{}|?*+.\\dwsWDSbB^$0-9,:<>!=iuxP&~-]{0,24}"#) {
        survives(rule(EventClass::ProcessExec, &format!("process.name matches r\"{text}\"")).as_bytes());
    }

    /// Whatever the YAML style and the line breaks, the mark is under the mistake.
    #[test]
    fn marks_are_under_the_mistake(
        before in prop::collection::vec(prop::sample::select(vec!["process.name == \"é\"", "process.path contains '€ ' ", "(process.memfd)", "process.name == \"a\\\\b\""]), 0..4),
        breaks in prop::collection::vec(0..4usize, 12),
        style in 0..5usize,
    ) {
        let mut words = Vec::new();
        for part in &before {
            words.push(part.replace('\'', "\""));
            words.push("and".to_owned());
        }
        words.extend(["zzz.zzz".to_owned(), "==".to_owned(), "1".to_owned()]);
        let mut breaks = breaks.into_iter().cycle();
        let mut condition = String::new();
        for word in words {
            if !condition.is_empty() {
                let space = match (breaks.next().unwrap(), style) {
                    (0, _) | (_, 2) => " ",
                    (1, _) => "   ",
                    (2, _) => "\n      ",
                    _ => "\n\n      ",
                };
                condition.push_str(space);
            }
            condition.push_str(&word);
        }
        let written = match style {
            0 => condition.clone(),
            1 => format!("'{}'", condition.replace('\'', "''")),
            2 => serde_json::to_string(&condition).unwrap(),
            3 => format!("|\n      {condition}"),
            _ => format!(">-\n      {condition}"),
        };
        let text = format!("rules:\n  - id: r\n    title: é\n    event: process.exec\n    severity: low\n    condition: {written}\n");
        let (checked, _) = check_text(&text);
        let spans: Vec<_> = checked.diagnostics.iter().filter(|d| d.code == "PK0301").map(|d| d.primary.span.clone()).collect();
        prop_assert_eq!(spans.len(), 1, "{}: {:?}", text, checked.diagnostics);
        prop_assert_eq!(&text[spans[0].range()], "zzz.zzz", "{}", text);
    }
}
