//! What would have been killed, and arming on it.

use crate::client::Client;
use crate::lab::Lab;
use crate::world::{self, define, finding, policy, project, rule, stage};
use picket_server::auth::Role;
use picket_store::{Micros, NewFinding, Uuid};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PLAIN: &str = "process.name == \"sh\"";
const POLICY: &str = "/api/v1/policies/stop-it";
const PATIENCE: Duration = Duration::from_secs(60);

fn simulated(uid: &str, sensor: Uuid, time: Micros, host: &str, projects: &[Uuid]) -> NewFinding {
    let mut new = finding(sensor, uid, time, projects);
    new.columns.host = host.to_owned();
    new.columns.process = Some("/usr/bin/dash".to_owned());
    new.facts = json!({
        "parent": "/usr/sbin/nginx",
        "policies": [{"name": "stop-it", "outcome": "simulated", "kill": true}],
    });
    new
}

/// A rule and a policy on it, both being simulated.
fn world(lab: &Lab) -> (Uuid, Micros) {
    define(
        &lab.admin,
        "rules",
        "web-shell",
        &rule("web-shell", "", PLAIN),
    );
    let text = policy("stop-it", "web-shell", "", "block");
    define(&lab.admin, "policies", "stop-it", &text);
    stage(&lab.admin, "rules", "web-shell", "simulate");
    stage(&lab.admin, "policies", "stop-it", "simulate");
    let sensor = world::sensor(lab, "web-1");
    let shown = lab.admin.get(POLICY).expect(200).json();
    let since: jiff::Timestamp = shown["changed_at"].as_str().unwrap().parse().unwrap();
    (sensor, since.as_microsecond())
}

/// The evidence, once so many kills are in it: findings are digested a moment later.
fn shows(client: &Client, path: &str, kills: u64) -> Value {
    let begun = Instant::now();
    loop {
        let shown = client.get(&format!("{path}/evidence")).expect(200).json();
        let actions = &shown["evidence"]["actions"];
        if actions["would_kill"] == kills {
            return shown;
        }
        assert!(begun.elapsed() < PATIENCE, "{shown:#}");
        std::thread::yield_now();
    }
}

fn arm(client: &Client, body: Value) -> crate::client::Answer {
    let etag = client.get(POLICY).expect(200).etag();
    client.post_at(&format!("{POLICY}/stage"), &etag, body)
}

fn codes(shown: &Value) -> Vec<&str> {
    let warnings = shown["evidence"]["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect()
}

pub fn what_would_have_been_killed_is_shown(lab: &mut Lab) {
    let (sensor, since) = world(lab);
    let admin = &lab.admin;
    let nothing = shows(admin, POLICY, 0);
    assert_eq!(codes(&nothing), ["short", "no_evidence"]);
    let mut acted = simulated("e9", sensor, since + 9, "web-1", &[]);
    acted.facts["policies"][0]["outcome"] = "withheld".into();
    let mut sshd = simulated("e4", sensor, since + 4, "web-2", &[]);
    sshd.columns.process = Some("/usr/sbin/sshd".to_owned());
    let before = simulated("e0", sensor, since - 1, "web-1", &[]);
    let mut found = vec![acted, sshd, before];
    found.extend((1..4).map(|n| simulated(&format!("e{n}"), sensor, since + n, "web-1", &[])));
    world::store(lab, found);
    let shown = shows(admin, POLICY, 4);
    assert_eq!(codes(&shown), ["short", "critical_process", "withheld"]);
    let page = &shown["evidence"];
    assert_eq!(page["version"], 2);
    assert_eq!(page["actions"]["withheld"], 1);
    assert_eq!(page["hosts"]["different"], 2);
    let top = &page["processes"]["top"][0];
    let shell = json!({"name": "/usr/bin/dash", "parent": "/usr/sbin/nginx", "count": 3});
    assert_eq!(top, &shell);
    assert_eq!(page["rules"][0]["rule"], "web-shell");
    let sample = page["samples"][0]["finding"].as_str().unwrap();
    let finding = admin.get(&format!("/api/v1/findings/{sample}")).expect(200);
    assert_eq!(finding.json()["process"], "/usr/sbin/sshd");
    // The rule has stood a little longer than the policy.
    let of_rule = shows(admin, "/api/v1/rules/web-shell", 5);
    assert_eq!(of_rule["evidence"]["kind"], "rule");
    let longer = admin.get(&format!("{POLICY}/evidence?from=2026-01-01T00:00:00Z"));
    let longer = longer.expect(200).json();
    assert_eq!(longer["evidence"]["actions"]["would_kill"], 5);
    assert!(codes(&longer).contains(&"other_version"));
    // What was shown can be looked at again.
    let digest = shown["digest"].as_str().unwrap();
    let kept = admin
        .get(&format!("/api/v1/evidence/{digest}"))
        .expect(200)
        .json();
    assert_eq!(kept["evidence"], shown["evidence"]);
    assert_eq!(kept["armed_at"], Value::Null);
}

pub fn nothing_is_armed_without_evidence(lab: &mut Lab) {
    let (sensor, since) = world(lab);
    let admin = &lab.admin;
    let armer = lab.user("armer", &[(None, Role::Armer)]);
    let author = lab.user("author", &[(None, Role::Author)]);
    let to_block =
        |digest: &str| json!({"stage": "block", "reason": "seen it", "evidence": digest});
    let says = arm(&armer, json!({"stage": "block", "reason": "now"})).problem(422);
    assert!(says.contains("/api/v1/policies/stop-it/evidence"), "{says}");
    for wrong in ["", "00", &"f".repeat(300)] {
        let says = arm(&armer, to_block(wrong)).problem(409);
        assert!(says.contains("no evidence"), "{says}");
    }
    let of_rule = world::evidence(&armer, "rules", "web-shell");
    let says = arm(&armer, to_block(&of_rule)).problem(409);
    assert!(says.contains("something else"), "{says}");
    // Of an older version it is no good, nor to one who may not arm.
    let old = world::evidence(&armer, "policies", "stop-it");
    stage(admin, "policies", "stop-it", "draft");
    stage(admin, "policies", "stop-it", "simulate");
    let says = arm(&armer, to_block(&old)).problem(409);
    assert!(says.contains("version 2"), "{says}");
    world::store(
        lab,
        vec![simulated("e1", sensor, since + 60_000_000, "web-1", &[])],
    );
    let shown = shows(&armer, POLICY, 1);
    let digest = shown["digest"].as_str().unwrap();
    arm(&author, to_block(digest)).problem(403);
    let body = policy("stop-it", "web-shell", "", "block") + "# Other than what was simulated.\n";
    let etag = admin.get(POLICY).etag();
    let put = json!({"body": body, "stage": "block", "reason": "x", "evidence": digest});
    admin.put(POLICY, &etag, put).problem(422);
    arm(&armer, to_block(digest)).expect(200);

    // It stands in the audit log, and the page stays.
    let log = admin.get("/api/v1/audit?limit=1").expect(200).json();
    let entry = &log["items"][0];
    assert_eq!(entry["actor"], "user:armer");
    assert_eq!(entry["detail"]["evidence"], digest);
    let kept = admin
        .get(&format!("/api/v1/evidence/{digest}"))
        .expect(200)
        .json();
    assert_eq!(kept["evidence"], shown["evidence"]);
    assert!(kept["armed_at"].is_string());
    admin.get("/api/v1/audit/verify").expect(200);
    // Back, and it takes new evidence to arm it again.
    stage(&author, "policies", "stop-it", "simulate");
    let says = arm(&armer, to_block(digest)).problem(409);
    assert!(says.contains("version"), "{says}");
}

pub fn evidence_shows_no_more_than_one_may_see(lab: &mut Lab) {
    let (sensor, since) = world(lab);
    project(&lab.admin, "payments", "web-*");
    project(&lab.admin, "other", "db-*");
    let payments = world::project_id(lab, "payments");
    let other = world::project_id(lab, "other");
    world::store(
        lab,
        vec![
            simulated("e1", sensor, since + 1, "web-1", &[payments]),
            simulated("e2", sensor, since + 2, "db-1", &[other]),
        ],
    );
    let whole = shows(&lab.admin, POLICY, 2);
    assert_eq!(whole["evidence"].get("projects"), None);
    let member = lab.user("member", &[(Some("payments"), Role::Armer)]);
    let part = shows(&member, POLICY, 1);
    assert_eq!(part["evidence"]["projects"], json!(["payments"]));
    assert_eq!(part["evidence"]["hosts"]["top"][0]["name"], "web-1");
    let digest = |shown: &Value| shown["digest"].as_str().unwrap().to_owned();
    member
        .get(&format!("/api/v1/evidence/{}", digest(&whole)))
        .problem(404);
    member
        .get(&format!("/api/v1/evidence/{}", digest(&part)))
        .expect(200);
    // For every sensor it is armed on what is known of every sensor.
    let body = json!({"stage": "block", "reason": "x", "evidence": digest(&part)});
    let says = arm(&lab.admin, body).problem(409);
    assert!(says.contains("every project"), "{says}");
}
