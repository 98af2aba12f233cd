//! Golden texts.

use crate::datum::Datum;
use crate::finding::{Decision, Finding, Mechanism, Outcome, Withheld};
use crate::ocsf::event_from_json;
use crate::policy::Effects;
use crate::rule::{Origin, Outputs, RuleInfo};
use crate::severity::Severity;
use std::sync::Arc;

fn rule() -> RuleInfo {
    RuleInfo {
        id: "web-shell".to_owned(),
        title: "A web server started a shell".to_owned(),
        description: String::new(),
        severity: Severity::Critical,
        category: Some("web_shell".to_owned()),
        projects: Vec::new(),
        tags: vec![
            "attack.t1505.003".to_owned(),
            "attack.persistence".to_owned(),
        ],
        author: None,
        false_positives: Vec::new(),
        references: Vec::new(),
        outputs: Outputs {
            finding: true,
            issue: false,
        },
        origin: Origin {
            file: "rules/web.yaml".to_owned(),
            line: 3,
        },
    }
}

fn bare_rule() -> RuleInfo {
    RuleInfo {
        category: None,
        tags: Vec::new(),
        origin: Origin::default(),
        severity: Severity::Low,
        ..rule()
    }
}

fn text(rule: RuleInfo, json: &str, outcomes: &[(Mechanism, Outcome)]) -> String {
    let decision = |(mechanism, outcome): &(Mechanism, Outcome)| Decision {
        policy: "stop".into(),
        effects: Effects::BLOCK,
        pid: 4711,
        mechanisms: vec![*mechanism],
        outcome: outcome.clone(),
    };
    let finding = Finding {
        rule: Arc::new(rule),
        event: Arc::new(event_from_json(json.as_bytes(), 1).unwrap()),
        decisions: outcomes.iter().map(decision).collect(),
    };
    super::finding(&finding, false).to_string()
}

#[test]
fn exec_with_its_tree() {
    let json = r#"{"class_uid":1007,"activity_id":1,"time":1795400000000,"metadata":{"uid":"e1"},
        "device":{"hostname":"web-1"},"container":{"uid":"3f2a9c81d0aa3f2a9c81d0aa3f2a9c81d0aa3f2a9c81d0aa3f2a9c81d0aa0123",
        "image":{"name":"nginx:1.27"},"ext":{"privileged":true,"k8s":{"namespace":"shop","pod":"web-0"}}},
        "process":{"pid":4711,"name":"sh","file":{"path":"/usr/bin/dash"},"cmd_line":"sh -c id","working_directory":"/srv",
        "ancestry":[{"pid":99,"name":"nginx","file":{"path":"/usr/sbin/nginx"},"cmd_line":"nginx: worker process"},
        {"pid":1,"name":"systemd"}]},
        "actor":{"process":{"pid":4711,"name":"nginx","file":{"path":"/usr/sbin/nginx"}},"user":{"name":"www-data","uid":"33"},
        "session":{"ext":{"auid":1000}}}}"#;
    assert_eq!(
        text(rule(), json, &[(Mechanism::PidfdKill, Outcome::Simulated)]),
        "\
CRITICAL  A web server started a shell  (web-shell)
  when      2026-11-23 02:13:20.000000 UTC, event e1
  where     web-1, container 3f2a9c81d0aa (nginx:1.27, pod shop/web-0, privileged)
  who       www-data (uid 33, login uid 1000)
  what      process.exec: sh -c id, in /srv, called by /usr/sbin/nginx
  tree      1 systemd
            └─ 99 /usr/sbin/nginx  nginx: worker process
               └─ 4711 /usr/bin/dash  sh -c id
  rule      rules/web.yaml:3, category web_shell, tags attack.t1505.003 attack.persistence
  response  stop: would have killed process 4711 (simulated)
"
    );
}

#[test]
fn what_is_not_known_is_said() {
    let json = r#"{"class_uid":1007,"activity_id":1,"metadata":{"uid":"e1"},
        "unknown":["process.working_directory","process.ancestors","actor.user.name"],"truncated":["process.cmd_line"],
        "process":{"pid":5,"name":"x","cmd_line":"x -","ext":{"memfd":true,"deleted":true,"upper_layer":true}}}"#;
    assert_eq!(
        text(bare_rule(), json, &[]),
        "\
LOW  A web server started a shell  (web-shell)
  when      1970-01-01 00:00:00.000000 UTC, event e1
  who       ?
  what      process.exec: x -…, in ?, from memory alone (memfd), from a deleted file, from a file that is not in the image
  tree      … (older ancestors are not known)
            └─ 5 x  x -…
"
    );
}

#[test]
fn each_class_has_its_line() {
    let what = |json: &str| {
        let text = text(bare_rule(), json, &[]);
        let line = text
            .lines()
            .find(|line| line.starts_with("  what"))
            .unwrap();
        line["  what      ".len()..].to_owned()
    };
    assert_eq!(
        what(
            r#"{"class_uid":4001,"activity_id":1,"dst_endpoint":{"ip":"2001:db8::1","port":443,"hostname":"a.example"},
            "src_endpoint":{"ip":"192.0.2.1","port":5},"connection_info":{"protocol_name":"tcp"},"status":"ECONNREFUSED"}"#
        ),
        "network.connect: tcp to [2001:db8::1]:443 (a.example), from 192.0.2.1:5, ECONNREFUSED"
    );
    assert_eq!(
        what(
            r#"{"class_uid":4001,"activity_id":7,"src_endpoint":{"port":53},"unknown":["status"]}"#
        ),
        "network.listen: socket on port 53, outcome not known"
    );
    assert_eq!(
        what(
            r#"{"class_uid":4003,"activity_id":1,"query":{"hostname":"a.example","type":"TXT"},
            "dst_endpoint":{"ip":"127.0.0.53","port":53},"connection_info":{"protocol_name":"udp"}}"#
        ),
        "dns.query: TXT of a.example, asked of 127.0.0.53:53, over udp"
    );
    assert_eq!(
        what(
            r#"{"class_uid":1001,"activity_id":14,"file":{"path":"/etc/passwd","ext":{"open":{"read":true,"write":true}}},"status":"Success"}"#
        ),
        "file.open: /etc/passwd, for reading and writing, ok"
    );
    assert_eq!(
        what(
            r#"{"class_uid":1001,"activity_id":5,"file":{"path":"/b","ext":{"rename_from":"/a"}}}"#
        ),
        "file.rename: /b, was /a"
    );
    assert_eq!(
        what(r#"{"class_uid":1001,"activity_id":6,"file":{"path":"/b","ext":{"mode":2541}}}"#),
        "file.chmod: /b, mode 4755"
    );
}

#[test]
fn every_outcome_in_words() {
    use Mechanism::{KernelDeny, KernelKill, PidfdKill};
    let json = r#"{"class_uid":4003,"activity_id":1,"metadata":{"uid":"e1"}}"#;
    let acted = |latency_ns, operation_completed| Outcome::Acted {
        latency_ns,
        operation_completed,
    };
    let held = |why| (PidfdKill, Outcome::Withheld(why));
    let outcomes = [
        (
            PidfdKill,
            acted(Datum::Known(1_234_567), Datum::Known(true)),
        ),
        (KernelKill, acted(Datum::Known(950), Datum::Known(false))),
        (PidfdKill, acted(Datum::Known(45_600), Datum::Unknown)),
        (KernelDeny, acted(Datum::Absent, Datum::Absent)),
        held(Withheld::Protected {
            entry: "sshd".into(),
        }),
        held(Withheld::OutOfScope),
        held(Withheld::BudgetExceeded),
        held(Withheld::Disarmed),
        held(Withheld::CannotEnforce),
        held(Withheld::ProcessGone),
        held(Withheld::Replay),
        (PidfdKill, Outcome::Failed { errno: 1 }),
        (KernelDeny, Outcome::Failed { errno: 524 }),
    ];
    let text = text(bare_rule(), json, &outcomes);
    assert_eq!(
        text,
        "\
LOW  A web server started a shell  (web-shell)
  when      1970-01-01 00:00:00.000000 UTC, event e1
  what      dns.query: ?
  response  stop: killed process 4711 after 1.2 ms; the operation had been carried out by then
            stop: killed process 4711 in the kernel after 950 ns; the operation was not carried out
            stop: killed process 4711 after 45.6 us; whether the operation was carried out is not known
            stop: denied the operation
            stop: held back: process 4711 is protected (sshd)
            stop: held back: process 4711 is outside the enforcement scope
            stop: held back: its budget is used up, it simulates from here on
            stop: held back: every block was lifted by hand, it simulates
            stop: held back: nothing on this host can do what it asks
            stop: held back: process 4711 had already ended
            stop: held back: the event comes from a recording
            stop: failed to kill process 4711: EPERM
            stop: failed to deny the operation: E524
"
    );
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    let mut rule = rule();
    rule.title = "title\x1b]0;x\x07".to_owned();
    let json = r#"{"class_uid":1007,"activity_id":1,"metadata":{"uid":"\u001b[2J"},"device":{"hostname":"h\n"},
        "process":{"pid":1,"cmd_line":"sh\u001b[31m\u202e","file":{"path":"/\r"}},"actor":{"user":{"name":"\u009b"}}}"#;
    let text = text(rule, json, &[]);
    let acts = |char: char| char != '\n' && (char.is_control() || char == '\u{202e}');
    assert!(!text.contains(acts), "{text:?}");
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn colours_only_when_asked_for() {
    let event = event_from_json(br#"{"class_uid":4003,"activity_id":1}"#, 1).unwrap();
    let finding = Finding {
        rule: Arc::new(rule()),
        event: Arc::new(event),
        decisions: Vec::new(),
    };
    let text = |colour| super::finding(&finding, colour).to_string();
    assert!(!text(false).contains('\x1b'));
    let coloured = text(true);
    assert!(
        coloured.starts_with("\x1b[1;97;41mCRITICAL\x1b[0m"),
        "{coloured:?}"
    );
    let plain: String = ["\x1b[1;97;41m", "\x1b[0m", "\x1b[1m", "\x1b[2m"]
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(plain, text(false));
}
