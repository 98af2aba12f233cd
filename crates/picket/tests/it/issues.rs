//! `picket issue`, on a server that has some.

use crate::server::{CONFIG, Server};
use crate::support::Bench;
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{FindingColumns, Fingerprint, Location, NewFinding, open};
use serde_json::{Value, json};

/// A finding whose rule opens an issue.
fn finding(uid: &str, host: &str) -> NewFinding {
    NewFinding {
        sensor: picket_store::new_id(),
        uid: uid.to_owned(),
        columns: FindingColumns {
            time: 1_790_000_000_000_000,
            severity: Severity::High,
            disposition: Disposition::Logged,
            rule: "web-shell".to_owned(),
            host: host.to_owned(),
            container: None,
            image: None,
            user: None,
            process: Some("/usr/bin/dash".to_owned()),
            fingerprint: Fingerprint {
                version: 2,
                value: host.to_owned(),
            },
        },
        projects: Vec::new(),
        ocsf: json!({"finding_info": {"uid": uid}}),
        facts: json!({"title": "A web server started a shell", "issue": true}),
    }
}

/// As if a sensor had delivered them: the server finds them by itself.
fn store(bench: &Bench, findings: Vec<NewFinding>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = Location::Sqlite(bench.path().join("data/picket.db"));
        let store = open(&place).await.unwrap();
        store.store_findings(findings, 1).await.unwrap();
        store.close().await;
    });
}

#[test]
fn issues_are_listed_shown_and_changed() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    let server = Server::start(&bench);
    let url = server.log_in(&bench);
    let run = |args: &[&str]| {
        let remote = ["--server", &url, "--token-file", "token"];
        let ca = ["--ca", "data/tls/server.crt"];
        bench.run(&[&["issue"], args, &remote, &ca].concat())
    };
    let none = run(&["list"]).expect_code(0);
    assert_eq!(none.stdout, "");
    none.says("no issues");

    store(
        &bench,
        vec![
            finding("a", "web-1"),
            finding("b", "web-1"),
            finding("c", "db\u{1b}[1"),
        ],
    );
    let lines: Vec<Value> = loop {
        let listed = run(&["list", "--format", "json"]).expect_code(0).stdout;
        let lines = listed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        if lines.len() == 2 {
            break lines;
        }
    };
    let of_web = lines.iter().find(|issue| issue["host"] == "web-1").unwrap();
    assert_eq!(of_web["count"], 2);
    let id = of_web["id"].as_str().unwrap();
    // What a host's name does to a terminal is not done.
    let text = run(&["list", "--text", "db", "--severity", "high"])
        .expect_code(0)
        .stdout;
    assert!(
        text.contains("db\\x1b[1: A web server started a shell"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);

    run(&["show", id])
        .expect_code(0)
        .prints("status     open")
        .prints("assignee   nobody")
        .prints("findings   2")
        .prints("/usr/bin/dash");
    run(&[
        "set",
        id,
        "--assignee",
        "admin",
        "--status",
        "in_progress",
        "--note",
        "looking",
    ])
    .expect_code(0)
    .prints("status     in_progress")
    .prints("assignee   admin");
    let reject = ["set", id, "--status", "rejected"];
    run(&reject).expect_code(2).says("rejection");
    let why = [
        "--rejection",
        "false_positive",
        "--reason",
        "a health check",
    ];
    run(&[&reject[..], &why].concat())
        .expect_code(0)
        .prints("status     rejected (false_positive)")
        .prints("reason     a health check");
    let whole = run(&["show", id, "--format", "json"]).expect_code(0).stdout;
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["notes"][0]["text"], "looking");
    assert_eq!(whole["findings"].as_array().unwrap().len(), 2);
    let open = run(&["list"]).expect_code(0).stdout;
    assert_eq!(open.lines().count(), 1, "{open}");
    let all = run(&["list", "--all", "--limit", "5"])
        .expect_code(0)
        .stdout;
    assert_eq!(all.lines().count(), 2, "{all}");

    run(&["set", id])
        .expect_code(2)
        .says("nothing is to be changed");
    run(&["show", "../users"])
        .expect_code(2)
        .says("no issue's id");
    run(&["show", "019aa3f0-5c1e-7c44-9d1b-0d6a7be1d3c2"])
        .expect_code(2)
        .says("there is no issue");
    server.stop();
}

#[test]
fn findings_are_exported_whole() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    let server = Server::start(&bench);
    let url = server.log_in(&bench);
    let run = |args: &[&str]| {
        let remote = ["--server", &url, "--token-file", "token"];
        let ca = ["--ca", "data/tls/server.crt"];
        bench.run(&[&["findings", "export"], args, &remote, &ca].concat())
    };
    let new = (0..250).map(|n| finding(&format!("f{n}"), "web-1"));
    store(&bench, new.collect());
    store(&bench, vec![finding("odd", "=db&1")]);
    let all = run(&[]).expect_code(0).stdout;
    let uid = |line| serde_json::from_str::<Value>(line).unwrap()["finding_info"]["uid"].clone();
    let uids: std::collections::BTreeSet<String> =
        all.lines().map(|line| uid(line).to_string()).collect();
    assert_eq!(uids.len(), 251);
    let table = run(&["--format", "csv", "--host", "=db&1"]).expect_code(0);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].contains(",\"'=db&1\","), "{lines:?}");
    run(&["-o", "all.jsonl"]).expect_code(0);
    let file = std::fs::read_to_string(bench.path().join("all.jsonl")).unwrap();
    assert_eq!(file, all);
    // Nothing is overwritten, and a bad filter is told.
    run(&["-o", "all.jsonl"]).expect_code(2).says("all.jsonl");
    run(&["--from", "yesterday"]).expect_code(2).says("from");
    server.stop();
}
