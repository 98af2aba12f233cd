//! `picket match`.

use crate::support::{Bench, EVENTS, Ran};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const PORTS: &str = r#"rules:
  - id: port-4444
    title: A connection to port 4444
    event: network.connect
    severity: medium
    projects: [payments]
    condition: 'dst_endpoint.port == 4444'
  - id: cron
    title: A cron job was opened for writing
    event: file.open
    severity: high
    category: persistence
    condition: 'file.parent_folder == "/etc/cron.d" and file.open.write'
  - id: txt
    title: A TXT question
    event: dns.query
    severity: low
    condition: 'query.type == "TXT"'
policies:
  - {id: stop-cron, trigger: {categories: [persistence]}, action: block}
  - {id: watch-payments, trigger: {severity: ">= medium"}, projects: [payments], action: simulate}
"#;

fn events() -> String {
    EVENTS.map(|event| format!("{event}\n")).concat()
}

fn rules(ran: &Ran) -> Vec<String> {
    let findings = ran.json_lines();
    let id = |finding: &Value| finding["finding_info"]["analytic"]["uid"].to_string();
    findings
        .iter()
        .map(|finding| id(finding).replace('"', ""))
        .collect()
}

#[test]
fn the_contract() {
    let bench = Bench::with_web_shell();
    bench.write("events.jsonl", events());
    let ran = bench
        .run(&["match", "--rules", "web.yaml", "events.jsonl"])
        .expect_code(0)
        .silent_on_stderr();
    let findings = ran.json_lines();
    assert_eq!(findings.len(), 1);
    for (pointer, wanted) in [
        ("/class_uid", json!(2004)),
        ("/type_uid", json!(200_401)),
        ("/finding_info/uid", json!("e1/web-shell")),
        ("/finding_info/analytic/uid", json!("web-shell")),
        ("/metadata/correlation_uid", json!("e1")),
        ("/severity_id", json!(5)),
        ("/disposition", json!("Logged")),
        ("/evidences/0/process/cmd_line", json!("sh -c id")),
        ("/ext/rule/file", json!("web.yaml")),
    ] {
        assert_eq!(findings[0].pointer(pointer), Some(&wanted), "{pointer}");
    }
}

#[test]
fn events_come_from_a_file_a_dash_or_nothing() {
    let bench = Bench::with_web_shell();
    bench.write("events.jsonl", events());
    let whole = bench
        .run(&["match", "--rules", "web.yaml", "events.jsonl"])
        .stdout;
    assert!(!whole.is_empty());
    for args in [
        &["match", "--rules", "web.yaml"][..],
        &["match", "--rules", "web.yaml", "-"],
        &["match", "--rules=web.yaml", "-"],
        &["match", "-", "--rules", "web.yaml"],
    ] {
        let ran = bench.run_with(args, &events()).expect_code(0);
        assert_eq!(ran.stdout, whole, "{args:?}");
    }
}

#[test]
fn several_rule_paths() {
    let bench = Bench::with_web_shell();
    bench.write("more/ports.yaml", PORTS);
    bench.write("events.jsonl", events());
    let all = ["web-shell", "port-4444", "txt", "cron"];
    for args in [
        &[
            "match",
            "--rules",
            "web.yaml",
            "--rules",
            "more",
            "events.jsonl",
        ][..],
        &["match", "--rules", "web.yaml", "more", "events.jsonl"],
        &[
            "match",
            "--rules",
            "web.yaml",
            "more/ports.yaml",
            "events.jsonl",
        ],
        &["match", "--rules", ".", "events.jsonl"],
    ] {
        assert_eq!(rules(&bench.run(args).expect_code(0)), all, "{args:?}");
    }
    bench
        .run(&["match", "--rules", "web.yaml", "a.jsonl", "b.jsonl"])
        .expect_code(2)
        .says("error: more than one file of events: b.jsonl");
}

#[test]
fn policies_are_named_but_nothing_is_acted_on() {
    let bench = Bench::new();
    bench.write("ports.yaml", PORTS);
    let ran = bench.run_with(&["match", "--rules", "ports.yaml"], &events());
    let findings = ran.expect_code(0).json_lines();
    let responses = |at: usize| findings[at]["ext"]["responses"].clone();
    assert_eq!(findings[2]["finding_info"]["analytic"]["uid"], "cron");
    assert_eq!(findings[2]["disposition_id"], 17);
    assert_eq!(responses(1), Value::Null);
    assert_eq!(responses(2).as_array().unwrap().len(), 2);
    assert_eq!(responses(2)[0]["policy"], "stop-cron");
    assert_eq!(responses(2)[0]["outcome"], "withheld");
    assert_eq!(responses(2)[0]["reason"], "replay");
    assert_eq!(responses(2)[0]["pid"], 4715);
    assert_eq!(responses(2)[1]["policy"], "watch-payments");
}

#[test]
fn a_project_narrows_rules_and_policies() {
    let bench = Bench::new();
    bench.write("ports.yaml", PORTS);
    let of = |project: &str| {
        let args = ["match", "--rules", "ports.yaml", "--project", project];
        bench.run_with(&args, &events()).expect_code(0)
    };
    assert_eq!(rules(&of("payments")), ["port-4444", "txt", "cron"]);
    let other = of("shop");
    assert_eq!(rules(&other), ["txt", "cron"]);
    let responses = &other.json_lines()[1]["ext"]["responses"];
    assert_eq!(responses.as_array().unwrap().len(), 1);
}

#[test]
fn a_bad_line_is_told_and_the_rest_goes_on() {
    let bench = Bench::with_web_shell();
    let lines = format!(
        "{{\"class_uid\":1007\n\n{}\n{{\"class_uid\":4001,\"activity_id\":1,\"dst_endpoint\":{{\"ip\":\"\\u001b[2J\"}}}}\n",
        EVENTS[0]
    );
    let ran = bench
        .run_with(&["match", "--rules", "web.yaml"], &lines)
        .expect_code(2)
        .says("error: standard input, line 1: not JSON: EOF while parsing an object (column 17)\n")
        .says("error: standard input, line 4: dst_endpoint.ip: `\\x1b[2J` is no IP address\n")
        .says("error: 2 lines could not be read as an event\n");
    assert_eq!(rules(&ran), ["web-shell"]);

    let ran = bench.run_with(&["match", "--rules", "web.yaml"], &"x\n".repeat(1_000));
    let ran = ran.expect_code(2).says("1000 lines could not be read");
    assert_eq!(ran.stderr.lines().count(), 101);
}

#[test]
fn undecided_rules_are_counted() {
    let bench = Bench::with_web_shell();
    let event = r#"{"class_uid":1007,"activity_id":1,"process":{"name":"sh"},"unknown":["process.ancestors"]}"#;
    bench
        .run_with(
            &["match", "--rules", "web.yaml"],
            &format!("{event}\n{event}\n"),
        )
        .expect_code(0)
        .silent_on_stdout()
        .says("warning: rule web-shell could not decide 2 events");
}

#[test]
fn bad_rules_and_missing_files_are_code_2() {
    let bench = Bench::with_web_shell();
    bench.write("broken.yaml", "rules: [{id: x}]");
    bench
        .run(&["match", "--rules", "broken.yaml"])
        .expect_code(2)
        .silent_on_stdout()
        .says("broken.yaml")
        .says("error: the rules have ");
    bench
        .run(&["match", "--rules", "web.yaml", "missing.jsonl"])
        .expect_code(2)
        .says("error: cannot read missing.jsonl: No such file or directory (os error 2)\n");
    bench
        .run(&["match", "--rules", "missing.yaml"])
        .expect_code(2)
        .says("error: cannot read missing.yaml");
}

#[test]
fn as_text_with_the_process_tree() {
    let bench = Bench::with_web_shell();
    bench
        .run_with(
            &["match", "--rules", "web.yaml", "--format", "text"],
            &events(),
        )
        .expect_code(0)
        .prints("CRITICAL  A web server started a shell  (web-shell)\n")
        .prints("└─ 4711 /usr/bin/dash  sh -c id\n");
}

#[test]
fn findings_come_at_once_and_evidence_can_be_matched_again() {
    let bench = Bench::with_web_shell();
    let mut child = bench
        .command(&["match", "--rules", "web.yaml"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in stdout.lines() {
            let _ = sender.send(line.unwrap());
        }
    });
    writeln!(stdin, "{}", EVENTS[0]).unwrap();
    // The input is still open: nothing would come if findings were held back.
    let first = lines
        .recv_timeout(Duration::from_secs(20))
        .unwrap_or_default();
    let finding: Value = serde_json::from_str(&first).unwrap_or_default();
    writeln!(stdin, "{}", finding["evidences"][0]).unwrap();
    drop(stdin);
    let status = child.wait().unwrap();
    reader.join().unwrap();
    let again: Vec<String> = lines.iter().collect();
    assert_eq!(again, [first]);
    assert!(status.success());
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let bench = Bench::with_web_shell();
    bench.write("events.jsonl", events().repeat(5_000));
    let mut child = bench
        .command(&["match", "--rules", "web.yaml", "events.jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_builtin_rules_can_be_used() {
    let bench = Bench::with_web_shell();
    bench
        .run_with(&["match", "--builtin-rules"], &events())
        .expect_code(0)
        .silent_on_stderr();
}
