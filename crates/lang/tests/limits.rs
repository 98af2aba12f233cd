//! Input of hostile size or depth: a diagnostic, soon, and never a crash.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside `#[test]` functions"
)]

use picket_lang::{Checked, Limits, Source, check, render_json, render_text};
use std::time::{Duration, Instant};

/// Generous, because tests run unoptimised on busy machines; what is wrong here
/// takes minutes.
const SOON: Duration = Duration::from_secs(90);

fn quick(text: String) -> Checked {
    let sources = [Source::new("big.yaml", text)];
    let start = Instant::now();
    let checked = check(&sources, &Limits::default());
    let shown = render_text(&checked.diagnostics, &sources, false);
    render_json(&checked.diagnostics, &sources);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(shown.len() < 300_000, "{} bytes of text", shown.len());
    checked
}

fn codes(checked: &Checked) -> Vec<&'static str> {
    checked
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect()
}

fn rule(condition: &str) -> String {
    format!(
        "rules:\n  - {{id: r, title: T, event: process.exec, severity: low, condition: '{condition}'}}\n"
    )
}

#[test]
fn a_condition_of_ten_megabytes() {
    let long = format!("process.name == \"{}\"", "x".repeat(10 << 20));
    assert_eq!(codes(&quick(rule(&long))), ["PK0410"]);
    let words = "process.memfd and ".repeat(10 << 16);
    let folded = format!(
        "rules:\n  - id: r\n    title: T\n    event: process.exec\n    severity: low\n    condition: >\n      {words}\n"
    );
    assert_eq!(codes(&quick(folded)), ["PK0410"]);
}

#[test]
fn a_hundred_thousand_parentheses() {
    let deep = |open: &str, close: &str| {
        let limits = Limits {
            condition_bytes: 10 << 20,
            ..Limits::default()
        };
        let condition = format!(
            "{}process.memfd{}",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        let sources = [Source::new("deep.yaml", rule(&condition))];
        codes(&check(&sources, &limits))
    };
    assert_eq!(deep("(", ")"), ["PK0409"]);
    assert_eq!(deep("not ", ""), ["PK0409"]);
    assert_eq!(deep("not (", ")"), ["PK0409"]);
    assert!(deep("any process.ancestors (", ")").contains(&"PK0409"));
}

#[test]
fn a_hundred_thousand_brackets() {
    for piece in ["[", "{a: ", "[\n", "- ", "? "] {
        assert_eq!(
            codes(&quick(piece.repeat(1 << 20))),
            ["PK0104"],
            "{piece:?}"
        );
    }
}

#[test]
fn a_regex_of_any_depth() {
    let nested = format!(
        "process.name matches \"{}a{}\"",
        "(".repeat(1000),
        ")".repeat(1000)
    );
    assert_eq!(codes(&quick(rule(&nested))), ["PK0512"]);
    let counted = "process.name matches \"((((a{100}){100}){100}){100}){100}\"";
    assert_eq!(codes(&quick(rule(counted))), ["PK0512"]);
}

#[test]
fn more_mistakes_than_anyone_reads() {
    let mut text = String::from("rules:\n");
    for number in 0..20_000 {
        text += &format!("  - {{id: r{number}, titel: x}}\n");
    }
    let checked = quick(text);
    assert_eq!(
        checked.diagnostics.len(),
        Limits::default().diagnostics_per_file + 1
    );
    assert_eq!(checked.diagnostics.last().unwrap().code, "PK0113");
}

#[test]
fn forty_errors_in_one_rule() {
    let parts: Vec<_> = (0..40)
        .map(|number| format!("no.field{number} == {number}"))
        .collect();
    assert_eq!(codes(&quick(rule(&parts.join(" or ")))), ["PK0301"; 40]);
}

#[test]
fn macros_that_multiply() {
    let mut text = String::from("macros:\n  m0: process.memfd\n");
    for number in 1..60 {
        text += &format!(
            "  m{number}: {}\n",
            vec![format!("m{}", number - 1); 10].join(" or ")
        );
    }
    assert!(codes(&quick(text)).contains(&"PK0411"));
}

#[test]
fn macros_in_a_long_chain() {
    for reversed in [false, true] {
        let mut lines: Vec<_> = (1..20_000)
            .map(|number| format!("  m{number}: not m{}\n", number - 1))
            .collect();
        lines.push("  m0: process.memfd\n".to_owned());
        if reversed {
            lines.reverse();
        }
        assert!(codes(&quick(format!("macros:\n{}", lines.concat()))).contains(&"PK0409"));
    }
}

#[test]
fn one_line_of_ten_megabytes() {
    let checked = quick(format!(
        "rules: [{{id: \"{}\", x: 1}}]\n",
        "y".repeat(10 << 20)
    ));
    assert!(codes(&checked).contains(&"PK0201"));
}

#[test]
fn a_list_of_a_hundred_thousand_items() {
    let items: Vec<_> = (0..100_000)
        .map(|number| format!("\"host-{number}.example\""))
        .collect();
    let text = format!(
        "lists:\n  hosts: [{}]\n{}",
        items.join(", "),
        rule("process.name in $hosts")
    );
    let checked = quick(text);
    assert_eq!(codes(&checked), [""; 0]);
    assert_eq!(checked.rules.len(), 1);
}

#[test]
fn ten_thousand_rules() {
    let mut text = String::from("rules:\n");
    for number in 0..10_000 {
        text += &format!(
            "  - {{id: r{number}, title: T, event: process.exec, severity: low, condition: 'process.name == \"x{number}\" and process.cmd_line matches \"abc{number} +x\"'}}\n"
        );
    }
    assert_eq!(quick(text).rules.len(), 10_000);
}
