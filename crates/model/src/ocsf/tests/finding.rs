//! Detection Findings.

use super::{again, parsed};
use crate::finding::{Decision, Finding, Mechanism, Outcome, Withheld};
use crate::ocsf::{event_from_json, finding_to_json};
use crate::policy::Effects;
use crate::rule::{Origin, Outputs, RuleInfo};
use crate::{Datum, Severity};
use serde_json::{Value, json};
use std::sync::Arc;

fn finding(outcomes: Vec<Outcome>) -> Finding {
    let event = parsed(
        r#"{"class_uid":1007,"activity_id":1,"time":1795400000000,"metadata":{"uid":"e1"},
        "device":{"hostname":"web-1"},"process":{"pid":4711,"name":"sh"},"unknown":["process.tty"]}"#,
    );
    let decision = |outcome| Decision {
        policy: "stop-web-shells".into(),
        effects: Effects::BLOCK,
        pid: 4711,
        mechanisms: vec![Mechanism::PidfdKill],
        outcome,
    };
    Finding {
        rule: Arc::new(RuleInfo {
            id: "web-shell".to_owned(),
            title: "A web server started a shell".to_owned(),
            description: "Shells under web servers.".to_owned(),
            severity: Severity::Critical,
            category: Some("web_shell".to_owned()),
            projects: Vec::new(),
            tags: vec![
                "attack.t1505.003".to_owned(),
                "attack.persistence".to_owned(),
            ],
            author: Some("Somebody".to_owned()),
            false_positives: vec!["Health checks".to_owned()],
            references: Vec::new(),
            outputs: Outputs {
                finding: true,
                issue: false,
            },
            origin: Origin {
                file: "rules/web.yaml".to_owned(),
                line: 3,
            },
        }),
        event: Arc::new(event),
        decisions: outcomes.into_iter().map(decision).collect(),
    }
}

fn written(finding: &Finding) -> Value {
    serde_json::from_str(&finding_to_json(finding).to_string()).unwrap()
}

#[test]
fn the_contract() {
    let finding = finding(vec![]);
    let json = written(&finding);
    for (pointer, wanted) in [
        ("/class_uid", json!(2004)),
        ("/activity_id", json!(1)),
        ("/type_uid", json!(200_401)),
        ("/time", json!(1_795_400_000_000_i64)),
        ("/severity_id", json!(5)),
        ("/severity", json!("Critical")),
        ("/disposition_id", json!(17)),
        ("/disposition", json!("Logged")),
        ("/action", json!("Allowed")),
        ("/metadata/uid", json!("e1/web-shell")),
        ("/metadata/correlation_uid", json!("e1")),
        ("/finding_info/uid", json!("e1/web-shell")),
        ("/finding_info/analytic/uid", json!("web-shell")),
        ("/finding_info/analytic/type_id", json!(1)),
        ("/finding_info/attacks/0/technique/uid", json!("T1505")),
        (
            "/finding_info/attacks/0/sub_technique/uid",
            json!("T1505.003"),
        ),
        ("/finding_info/attacks/1/tactic/uid", json!("TA0003")),
        ("/device/hostname", json!("web-1")),
        ("/evidences/0/process/pid", json!(4711)),
        ("/ext/rule/author", json!("Somebody")),
        ("/ext/rule/false_positives/0", json!("Health checks")),
        ("/ext/rule/file", json!("rules/web.yaml")),
        ("/ext/rule/line", json!(3)),
    ] {
        assert_eq!(json.pointer(pointer), Some(&wanted), "{pointer}");
    }
    assert_eq!(json.pointer("/ext/responses"), None);
    assert_eq!(json.pointer("/ext/rule/issue"), None);
}

#[test]
fn it_carries_that_the_rule_wants_an_issue() {
    let mut finding = finding(vec![]);
    Arc::make_mut(&mut finding.rule).outputs.issue = true;
    assert_eq!(written(&finding)["ext"]["rule"]["issue"], true);
}

#[test]
fn the_evidence_is_the_event() {
    let finding = finding(vec![]);
    let evidence = written(&finding)["evidences"][0].to_string();
    let event = event_from_json(evidence.as_bytes(), 1).unwrap();
    assert_eq!(event, *finding.event);
    assert_eq!(event, again(&event));
}

#[test]
fn responses_say_what_became_of_each_policy() {
    let acted = |operation_completed| Outcome::Acted {
        latency_ns: Datum::Known(1_200),
        operation_completed,
    };
    let of = |outcome| written(&finding(vec![outcome]));

    let json = of(acted(Datum::Known(false)));
    assert_eq!(json["disposition_id"], 2);
    assert_eq!(json["action"], "Denied");
    assert_eq!(
        json["ext"]["responses"][0],
        json!({"policy": "stop-web-shells", "mode": "block", "kill": true, "deny": true,
            "pid": 4711, "mechanism": "pidfd_kill", "mechanisms": ["pidfd_kill"], "outcome": "acted",
            "latency_ns": 1200, "operation_completed": false})
    );
    let json = of(acted(Datum::Unknown));
    assert_eq!(json["disposition"], "Blocked");
    assert_eq!(json["action"], "Unknown");
    assert_eq!(
        json["ext"]["responses"][0].get("operation_completed"),
        Some(&Value::Null)
    );

    for (outcome, mode, word, reason) in [
        (Outcome::Simulated, Some("simulate"), "simulated", None),
        (
            Outcome::Withheld(Withheld::Replay),
            None,
            "withheld",
            Some("replay"),
        ),
        (
            Outcome::Withheld(Withheld::BudgetExceeded),
            Some("simulate"),
            "withheld",
            Some("budget_exceeded"),
        ),
        (Outcome::Failed { errno: 3 }, Some("block"), "failed", None),
    ] {
        let json = of(outcome);
        let response = &json["ext"]["responses"][0];
        assert_eq!(json["disposition"], "Logged");
        assert_eq!(response.get("mode").and_then(Value::as_str), mode);
        assert_eq!(response["outcome"], word);
        assert_eq!(response.get("reason").and_then(Value::as_str), reason);
    }
    let protected = Withheld::Protected {
        entry: "sshd".into(),
    };
    let json = of(Outcome::Withheld(protected));
    assert_eq!(json["ext"]["responses"][0]["protected_by"], "sshd");
    let json = of(Outcome::Failed { errno: 3 });
    assert_eq!(json["ext"]["responses"][0]["error"], "ESRCH");
}
