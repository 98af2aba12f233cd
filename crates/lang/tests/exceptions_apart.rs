//! Exceptions that stand apart from their rules.

use picket_lang::{Limits, Source, check};

const RULE: &str = "rules:\n  - id: sh\n    title: t\n    event: process.exec\n    severity: high\n    \
    condition: 'process.name == \"sh\"'\n    exceptions:\n      - {name: own, fields: \
    [process.path], values: [/bin/own]}\n";

fn told(exception: &str) -> (Vec<String>, Vec<String>) {
    let sources = [
        Source::new("rule.yaml", RULE.as_bytes()),
        Source::new("exception.yaml", exception.as_bytes()),
    ];
    let checked = check(&sources, &Limits::default());
    let names = checked.rules.iter().flat_map(|rule| &rule.exceptions);
    let codes = checked.diagnostics.iter().map(|one| one.code.to_owned());
    (names.map(|one| one.name.clone()).collect(), codes.collect())
}

#[test]
fn they_are_their_rules_and_checked_as_such() {
    let one = "exceptions: [{rule: sh, name: apart, fields: [process.path], comps: [startswith], \
               values: [[/opt/x]]}]";
    assert_eq!(
        told(one),
        (vec!["own".to_owned(), "apart".to_owned()], vec![])
    );
    for (exception, code) in [
        // The same name, no such rule, a field of another class, no rule at all.
        (
            "{rule: sh, name: own, fields: [process.path], values: [/x]}",
            "PK0211",
        ),
        (
            "{rule: shh, name: x, fields: [process.path], values: [/x]}",
            "PK0602",
        ),
        ("{rule: sh, name: x, fields: [dst.port], values: [1]}", ""),
        ("{name: x, fields: [process.path], values: [/x]}", ""),
    ] {
        let (_, codes) = told(&format!("exceptions: [{exception}]"));
        assert!(!codes.is_empty(), "{exception}");
        assert!(
            code.is_empty() || codes.contains(&code.to_owned()),
            "{exception}: {codes:?}"
        );
    }
}
