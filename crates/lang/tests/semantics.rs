//! What rules mean: from text to the checked rule.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside `#[test]` functions"
)]

use picket_lang::ir::{Expr, Test, TextMatch};
use picket_lang::{Checked, Limits, Source, check, render_text};
use picket_model::event::{Status, Value};
use picket_model::field::{EventAttr, Field, ProcessAttr, ProcessList, Subject};
use picket_model::policy::{Action, Budget, Effects, OnExceed};
use picket_model::{Datum, Event, EventClass, Severity};
use std::time::Duration;

fn checked(files: &[&str]) -> Checked {
    let sources: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(number, text)| Source::new(format!("{number}.yaml"), *text))
        .collect();
    let checked = check(&sources, &Limits::default());
    assert!(
        !checked.has_errors(),
        "{}",
        render_text(&checked.diagnostics, &sources, false)
    );
    checked
}

fn rule(event: &str, condition: &str) -> String {
    format!(
        "rules:\n  - id: r\n    title: T\n    event: {event}\n    severity: low\n    condition: |\n      {condition}\n"
    )
}

/// The condition as it is printed: its one canonical form.
fn canonical(event: &str, condition: &str) -> String {
    checked(&[&rule(event, condition)]).rules[0]
        .condition
        .to_string()
}

const DESIGN: &str = r#"
lists:
  shells: ["sh", "bash", "dash", "zsh"]
  web: ["nginx", "apache2", "php-fpm"]
macros:
  from_tmp: 'actor.process.path startswith anyof ("/tmp/", "/dev/shm/")'
rules:
  - id: web-shell
    title: A web server started a shell
    event: process.exec
    severity: critical            # informational | low | medium | high | critical
    projects: [payments]          # left out: every sensor
    tags: [attack.t1505.003]
    condition: 'process.name in $shells and any process.ancestors (name in $web and path startswith "/usr/")'
    exceptions:
      - {name: health check, fields: [process.cmd_line], values: [["sh -c /usr/bin/healthz"]], expires: 2027-06-01}
    outputs: [finding, issue]     # finding alone is the default
    tests:
      - {match: true,  event: {process: {name: sh}, ancestors: [{name: nginx, path: /usr/sbin/nginx}]}}
      - {match: false, event: {process: {name: sh}, ancestors: [{name: sshd, path: /usr/sbin/sshd}]}}
policies:
  - id: stop-web-shells
    trigger: {rules: [web-shell]}                     # and/or tags, severity: ">= high"
    projects: [payments]
    action: simulate                                   # simulate | block
    budget: {kills: 5, per: 1m, on_exceed: simulate}   # blast radius, per sensor
  - id: stop-known-malware
    trigger: {categories: [malware, malicious_ioc.hash, malicious_ioc.ip, malicious_ioc.domain, cryptominer]}
    action: block
"#;

#[test]
fn the_example_of_the_design() {
    let checked = checked(&[DESIGN]);
    let rule = &checked.rules[0];
    assert_eq!(rule.info.id, "web-shell");
    assert_eq!(rule.info.severity, Severity::Critical);
    assert_eq!(
        (rule.info.origin.file.as_str(), rule.info.origin.line),
        ("0.yaml", 8)
    );
    assert!(rule.info.outputs.finding && rule.info.outputs.issue);
    assert_eq!(rule.classes, [EventClass::ProcessExec]);
    assert_eq!(
        rule.condition.to_string(),
        r#"process.name in ("sh", "bash", "dash", "zsh") and any process.ancestors (name in ("nginx", "apache2", "php-fpm") and path startswith "/usr/")"#
    );
    let exception = &rule.exceptions[0];
    assert_eq!(
        exception.condition.to_string(),
        r#"process.cmd_line == "sh -c /usr/bin/healthz""#
    );
    assert_eq!(exception.expires_ns, Some(1_811_808_000_000_000_000));
    let tests = &checked.tests[0];
    assert_eq!(tests.rule, "web-shell");
    assert_eq!(
        tests
            .tests
            .iter()
            .map(|test| (test.expected, test.line))
            .collect::<Vec<_>>(),
        [(true, 19), (false, 20)]
    );
    assert_eq!(checked.policies[0].action, Action::Simulate);
    let budget = Budget {
        kills: 5,
        per: Duration::from_secs(60),
        on_exceed: OnExceed::Simulate,
        resume_after: None,
    };
    assert_eq!(checked.policies[0].budget, Some(budget));
    assert_eq!(checked.policies[1].action, Action::Block(Effects::BLOCK));
    assert_eq!(checked.policies[1].trigger.categories.len(), 5);
}

#[test]
fn precedence_and_form() {
    let exec = |condition| canonical("process.exec", condition);
    assert_eq!(
        exec("not process.memfd and process.deleted or process.upper_layer"),
        "not process.memfd and process.deleted or process.upper_layer"
    );
    assert_eq!(
        exec("process.memfd and (process.deleted or process.upper_layer)"),
        "process.memfd and (process.deleted or process.upper_layer)"
    );
    assert_eq!(
        exec("((process.memfd and (process.deleted and process.upper_layer)))"),
        "process.memfd and process.deleted and process.upper_layer"
    );
    assert_eq!(
        exec("not (process.memfd or process.deleted)"),
        "not (process.memfd or process.deleted)"
    );
    assert_eq!(
        exec("process.memfd == true or process.deleted != true"),
        "process.memfd or process.deleted == false"
    );
    assert_eq!(
        exec("process.memfd\n      and\n      process.deleted"),
        "process.memfd and process.deleted"
    );
}

#[test]
fn text_operators() {
    let exec = |condition| canonical("process.exec", condition);
    assert_eq!(
        exec(r#"process.name == anyof ("a", "b", "a",)"#),
        r#"process.name in ("a", "b")"#
    );
    assert_eq!(
        exec(r#"process.name iequals "ÄB""#),
        r#"process.name iequals "äb""#
    );
    assert_eq!(
        exec(r#"process.cmd_line icontains allof("A", "b")"#),
        r#"process.cmd_line icontains allof ("a", "b")"#
    );
    assert_eq!(
        exec(r#"process.cmd_line contains allof ("A")"#),
        r#"process.cmd_line contains "A""#
    );
    assert_eq!(
        exec(r#"process.cmd_line matches r"\bnc\s""#),
        r#"process.cmd_line matches "(?-u:\\b)nc[\\t-\\r\\x20]""#
    );
    assert_eq!(
        exec(r#"process.args contains "x" and process.name glob "*.so""#),
        r#"process.args contains "x" and process.name glob "*.so""#
    );
    assert_eq!(
        exec(r#"process.name == "\u00e9\ud83d\ude00\/\"""#),
        r#"process.name == "é😀/\"""#
    );
    assert_eq!(
        exec(r#"process.name == r"a\d\""#),
        r#"process.name == "a\\d\\""#
    );
    assert_eq!(exec("process.tty exists"), "process.tty exists");
}

#[test]
fn numbers_and_addresses() {
    let net = |condition| canonical("network.connect", condition);
    assert_eq!(
        net("dst_endpoint.port in (80, 8000-8999, 9000..9005, 0x51)"),
        "dst_endpoint.port in (80..81, 8000..9005)"
    );
    assert_eq!(
        net("dst_endpoint.port < 1024 and dst_endpoint.port != 22"),
        "dst_endpoint.port <= 1023 and dst_endpoint.port != 22"
    );
    assert_eq!(net("actor.process.pid > 1"), "actor.process.pid >= 2");
    assert_eq!(
        net(r#"dst_endpoint.ip in ("10.0.0.0/8", 192.168.0.1, fe80::/10, "::ffff:1.2.3.4")"#),
        r#"dst_endpoint.ip in ("10.0.0.0/8", "192.168.0.1", "fe80::/10", "1.2.3.4")"#
    );
    assert_eq!(
        net("dst_endpoint.ip != 1.2.3.4"),
        r#"dst_endpoint.ip != "1.2.3.4""#
    );
    assert_eq!(
        canonical("file.chmod", "file.mode == 0o777"),
        "file.mode == 511"
    );
    assert_eq!(
        canonical("dns.query", r#"query.type in ("TXT", "TYPE65280")"#),
        r#"query.type in ("TXT", "TYPE65280")"#
    );
}

#[test]
fn lists_and_macros_of_all_files() {
    let lists = "lists:\n  ports: [22, 8000-8999, 9000..9001]\n  nets: [10.0.0.0/8, \"::1\"]\nmacros:\n  web: name in (\"nginx\")\n";
    let rules = rule(
        "network.connect",
        "local and dst_endpoint.port in $ports and any process.ancestors (not web)",
    );
    let more = "macros:\n  local: dst_endpoint.ip in $nets or outside\n  outside: not dst_endpoint.ip in $nets\n";
    for files in [[lists, &rules, more], [more, &rules, lists]] {
        let checked = checked(&files);
        assert_eq!(
            checked.rules[0].condition.to_string(),
            r#"(dst_endpoint.ip in ("10.0.0.0/8", "::1") or not dst_endpoint.ip in ("10.0.0.0/8", "::1")) and dst_endpoint.port in (22, 8000..8999, 9000..9001) and any process.ancestors (not name == "nginx")"#
                .replace("8000..8999, 9000..9001", "8000..9001")
        );
        assert_eq!(checked.diagnostics, []);
    }
}

#[test]
fn spans_are_of_the_conditions_text() {
    let checked = checked(&[
        "macros:\n  m: process.memfd\n",
        &rule("process.exec", "m or process.name == \"é\""),
    ]);
    let mut spans = Vec::new();
    checked.rules[0]
        .condition
        .predicates(&mut |predicate| spans.push((predicate.span.start, predicate.span.end)));
    assert_eq!(spans, [(0, 1), (5, 25)]);
}

#[test]
fn several_classes() {
    let checked = checked(&[&rule(
        "[file.open, file.create]",
        "file.open.write and file.path startswith \"/etc/\"",
    )]);
    assert_eq!(
        checked.rules[0].classes,
        [EventClass::FileOpen, EventClass::FileCreate]
    );
    let Expr::And(parts) = &checked.rules[0].condition else {
        panic!()
    };
    let Expr::Predicate(predicate) = &parts[1] else {
        panic!()
    };
    let Test::Text(test) = &predicate.test else {
        panic!()
    };
    assert_eq!(test.how, TextMatch::StartsWith);
}

#[test]
fn exceptions() {
    let text = rule("process.exec", "process.memfd")
        + r#"    exceptions:
      - name: a
        fields: [process.name, process.pid]
        comps: [in, ">="]
        values:
          - [[sh, bash], 5]
          - [$names, 7]
      - {name: b, fields: [process.path], comps: [startswith], values: [/opt/, [[/usr/, /bin/]]], expires: 2027-01-01T12:00:00+02:00}
lists:
  names: [x, y]
"#;
    let checked = checked(&[&text]);
    let shown: Vec<_> = checked.rules[0]
        .exceptions
        .iter()
        .map(|exception| exception.condition.to_string())
        .collect();
    assert_eq!(
        shown,
        [
            r#"process.name in ("sh", "bash") and process.pid >= 5 or process.name in ("x", "y") and process.pid >= 7"#,
            r#"process.path startswith "/opt/" or process.path startswith anyof ("/usr/", "/bin/")"#,
        ]
    );
    assert_eq!(
        checked.rules[0].exceptions[1].expires_ns,
        Some(1_798_797_600_000_000_000)
    );
}

#[test]
fn a_rule_with_errors_holds_up_no_other() {
    let text = rule("process.exec", "process.nme == \"x\"")
        + "  - {id: s, title: T, event: process.exec, severity: low, condition: process.memfd}\n  - {id: off, title: T, event: process.exec, severity: low, condition: process.memfd, enabled: false}\npolicies:\n  - {id: p, trigger: {rules: [r, s, off]}, action: {deny: true}}\n";
    let checked = check(&[Source::new("a.yaml", text)], &Limits::default());
    let ids: Vec<_> = checked
        .rules
        .iter()
        .map(|rule| rule.info.id.as_str())
        .collect();
    assert_eq!(ids, ["s"]);
    assert_eq!(
        checked.policies[0].action,
        Action::Block(Effects {
            kill: false,
            deny: true
        })
    );
    let codes: Vec<_> = checked
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect();
    assert_eq!(codes, ["PK0301"]);
}

#[test]
fn triggers() {
    let text = rule("process.exec", "process.memfd")
        + "    tags: [attack.t1]\n    category: cryptominer\npolicies:\n  - {id: p, trigger: {tags: [attack.t1], severity: \">= high\"}, action: block}\n  - {id: q, trigger: {severity: high}, action: block}\n";
    let checked = checked(&[&text]);
    assert_eq!(checked.policies[0].trigger.severity, Some(Severity::High));
    assert_eq!(checked.policies[1].trigger.severity, Some(Severity::High));
}

fn event(class: &str, condition: &str, event: &str) -> Event {
    let text =
        rule(class, condition) + &format!("    tests:\n      - {{match: true, event: {event}}}\n");
    checked(&[&text]).tests[0].tests[0].event.clone()
}

#[test]
fn events_of_exec() {
    let event = event(
        "process.exec",
        "process.name exists",
        "{process: {name: sh, args: [sh, -c, id], capabilities: [CAP_CHOWN, CAP_KILL], inode: 7}, process.pid: 5, ancestors: [{name: nginx, hash: {sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}}, {name: systemd, pid: 1}], actor: {user: {name: www, uid: 33}, session: {auid: 1000}}, container: {uid: abc, image: {name: web}}, device: {labels: [a=b]}, unknown: [process.path, container.privileged]}",
    );
    let of = |subject, attr| event.value(Field::Process(subject, attr));
    assert_eq!(
        of(Subject::Process, ProcessAttr::Name),
        Datum::Known(Value::Str("sh"))
    );
    assert_eq!(
        of(Subject::Process, ProcessAttr::CmdLine),
        Datum::Known(Value::Str("sh -c id"))
    );
    assert_eq!(of(Subject::Process, ProcessAttr::ExePath), Datum::Unknown);
    assert_eq!(of(Subject::Process, ProcessAttr::Tty), Datum::Absent);
    assert_eq!(
        of(Subject::Process, ProcessAttr::Pid),
        Datum::Known(Value::Int(5))
    );
    assert_eq!(
        of(Subject::Process, ProcessAttr::Inode),
        Datum::Known(Value::Int(7))
    );
    assert_eq!(
        of(Subject::Parent, ProcessAttr::Name),
        Datum::Known(Value::Str("nginx"))
    );
    assert_eq!(
        event.value(Field::Event(EventAttr::UserUid)),
        Datum::Known(Value::Int(33))
    );
    assert_eq!(
        event.value(Field::Event(EventAttr::ContainerPrivileged)),
        Datum::Unknown
    );
    assert_eq!(
        event.value(Field::Event(EventAttr::ContainerImageName)),
        Datum::Known(Value::Str("web"))
    );
    for list in ProcessList::ALL {
        let names: Vec<_> = event
            .processes(list)
            .map(|process| process.image.name.known().unwrap().to_string())
            .collect();
        assert_eq!(names, ["nginx", "systemd"]);
    }
}

#[test]
fn events_of_the_other_classes() {
    let connect = event(
        "network.connect",
        "status exists",
        "{actor: {process: {name: curl}}, ancestors: [{name: sh}], dst_endpoint: {ip: 198.51.100.7, port: 4444, hostname: x.example}, connection_info: {protocol_name: udp}, status: ECONNREFUSED, unknown: [ancestors]}",
    );
    assert_eq!(connect.status(), Datum::Known(Status(111)));
    assert_eq!(
        connect.value(Field::Event(EventAttr::Protocol)),
        Datum::Known(Value::Str("udp"))
    );
    assert_eq!(
        connect.value(Field::Event(EventAttr::DstPort)),
        Datum::Known(Value::Int(4444))
    );
    let mut ancestors = connect.processes(ProcessList::ProcessAncestors);
    assert!(ancestors.next().is_some() && ancestors.next().is_none() && ancestors.is_cut());

    let dns = event(
        "dns.query",
        "query.hostname exists",
        "{query: {hostname: x.example, type: TYPE65280}, dst_endpoint: {ip: 127.0.0.53}}",
    );
    assert_eq!(
        dns.value(Field::Event(EventAttr::QueryType)),
        Datum::Known(Value::Str("TYPE65280"))
    );

    let file = event(
        "[file.create, file.open]",
        "file.path exists",
        "{class: file.open, file: {path: /etc/cron.d/job, open: {write: true}}, status: ok, time: 2027-01-01}",
    );
    assert_eq!(file.class, EventClass::FileOpen);
    assert_eq!(file.time_ns, 1_798_761_600_000_000_000);
    assert_eq!(
        file.value(Field::Event(EventAttr::FileName)),
        Datum::Known(Value::Str("job"))
    );
    assert_eq!(
        file.value(Field::Event(EventAttr::FileOpenWrite)),
        Datum::Known(Value::Bool(true))
    );
    assert_eq!(
        file.value(Field::Event(EventAttr::FileOpenRead)),
        Datum::Known(Value::Bool(false))
    );
}
