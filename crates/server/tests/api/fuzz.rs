//! Odd bodies and paths: answered, never a fault of the server's.

use crate::lab::Lab;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Requests in each run. More by `PROPTEST_CASES`.
const CASES: u32 = 600;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Texts that mean something to somebody, and any others.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "",
            "\0",
            "x\0y",
            "..",
            "../x",
            "'; DROP TABLE users; --",
            "%",
            "%00",
            "\u{202e}",
            "admin",
            "draft",
            "block",
            "viewer",
            "rules:\n  - id: a\n",
            "lists: {a: [x]}",
            "rules: [&a [*a]]",
            "2026-01-01T00:00:00Z",
            "9999999999999999999",
            "-1",
            "{}",
            "null",
        ])
        .prop_map(str::to_owned),
    ]
}

/// A body of the endpoint's own shape, with odd values.
fn shaped(schema: Value) -> BoxedStrategy<Value> {
    let Some(members) = schema.as_object().cloned() else {
        return any_json().boxed();
    };
    let names: Vec<String> = members.keys().cloned().collect();
    let count = names.len();
    (
        prop::collection::vec(any_json(), count),
        prop::collection::vec(prop::sample::select(vec![0, 1, 2]), count),
    )
        .prop_map(move |(odd, how)| {
            let mut body = serde_json::Map::new();
            for ((name, odd), how) in names.iter().zip(odd).zip(how) {
                match how {
                    0 => {}
                    1 => {
                        body.insert(name.clone(), odd);
                    }
                    _ => {
                        body.insert(name.clone(), members[name].clone());
                    }
                }
            }
            Value::Object(body)
        })
        .boxed()
}

pub fn odd_bodies_never_break_it(lab: &mut Lab) {
    let admin = lab.admin.clone();
    admin
        .post("/api/v1/users", json!({"name": "bob"}))
        .expect(201);
    let rule = crate::world::rule("a", "", "process.pid > 1");
    let endpoints: Vec<(&str, &str, Value)> = vec![
        (
            "POST",
            "/api/v1/session",
            json!({"name": "bob", "password": "x", "token": true}),
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"name": "n", "password": "long enough to do", "reason": ""}),
        ),
        (
            "PUT",
            "/api/v1/users/bob",
            json!({"password": "long enough to do", "disabled": false, "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/users/bob/grants",
            json!({"role": "viewer", "project": "p"}),
        ),
        (
            "POST",
            "/api/v1/users/bob/tokens",
            json!({"name": "t", "expires_at": "2030-01-01T00:00:00Z", "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/projects",
            json!({"name": "p", "selector": {"hosts": ["a"]}, "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/project-preview",
            json!({"selector": {"labels": {"a": ["b"]}}}),
        ),
        (
            "POST",
            "/api/v1/rules",
            json!({"name": "a", "body": rule, "reason": ""}),
        ),
        (
            "PUT",
            "/api/v1/rules/a",
            json!({"body": rule, "stage": "simulate", "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/rules/a/stage",
            json!({"stage": "simulate", "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/policies",
            json!({"name": "p", "body": "policies: []", "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/lists",
            json!({"name": "l", "body": "lists: {a: [x]}", "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/apply",
            json!({"files": [{"name": "a.yaml", "text": rule}], "dry_run": true, "prune": false, "stage": "draft", "reason": ""}),
        ),
        (
            "POST",
            "/api/v1/join-tokens",
            json!({"labels": {"a": "b"}, "uses": 1, "expires_at": "2030-01-01T00:00:00Z", "reason": ""}),
        ),
    ];
    let request = (0..endpoints.len()).prop_flat_map(move |at| {
        let (method, path, shape) = endpoints[at].clone();
        (
            Just(method),
            Just(path),
            prop_oneof![3 => shaped(shape), 1 => any_json()],
        )
    });
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let tags = ["", "*", "\"0.0\"", "\"x\""];
    let ran = runner.run(
        &(request, 0..tags.len(), any_text()),
        |((method, path, body), tag, query)| {
            let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let path = format!("{path}?cursor={query}");
            let answer = admin.call(method, &path, &[("if-match", tags[tag])], Some(&body));
            prop_assert!(
                answer.status < 500,
                "{method} {path} {body}: {} {}",
                answer.status,
                answer.text
            );
            if answer.status >= 400 {
                prop_assert_eq!(answer.header("content-type"), "application/problem+json");
            }
            Ok(())
        },
    );
    if let Err(why) = ran {
        panic!("{why}");
    }
    // It still serves, and says so.
    lab.admin.get("/readyz").expect(200);
    let listed = lab.admin.get("/api/v1/audit/verify").expect(200).json();
    assert_eq!(listed["whole"], true);
}
