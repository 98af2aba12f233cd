//! Things to ask for: projects, rules, sensors, findings.

use crate::client::Client;
use crate::lab::{Lab, cause};
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{
    Certificate, EdgeKind, FindingColumns, Fingerprint, GraphWrites, Labels, Micros, NewFinding,
    NewJoinToken, NewSensor, Node, Uuid, new_id,
};
use serde_json::{Value, json};

/// Long enough for a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

pub const NOW: Micros = 1_790_000_000_000_000;

pub fn rule(id: &str, projects: &str, condition: &str) -> String {
    format!(
        "rules:\n  - id: {id}\n    title: A test\n    event: process.exec\n    severity: high\n    \
         projects: [{projects}]\n    condition: '{condition}'\n"
    )
}

pub fn policy(id: &str, rule: &str, projects: &str, action: &str) -> String {
    format!(
        "policies:\n  - id: {id}\n    trigger: {{rules: [{rule}]}}\n    projects: [{projects}]\n    \
         action: {action}\n"
    )
}

pub const LIST: &str = "lists:\n  shells: [\"sh\", \"bash\"]\n";

pub fn project(admin: &Client, name: &str, hosts: &str) {
    let body = json!({"name": name, "selector": {"hosts": [hosts]}, "reason": "test"});
    admin.post("/api/v1/projects", body).expect(201);
}

pub fn define(client: &Client, kind: &str, name: &str, body: &str) -> String {
    let body = json!({"name": name, "body": body, "reason": "test"});
    let made = client.post(&format!("/api/v1/{kind}"), body);
    made.expect(201).etag()
}

/// What a rule about shells is to leave alone for a day.
pub fn exception(name: &str) -> Value {
    let day = std::time::Duration::from_secs(86_400);
    let end = jiff::Timestamp::now() + day;
    json!({"name": name, "fields": ["process.path"], "values": [["/opt/known/sh"]],
        "expires_at": end.to_string(), "reason": "test"})
}

/// An order to cut a host off for a while.
pub fn isolate() -> Value {
    json!({"action": {"kind": "isolate_host"}, "lease_seconds": 60, "reason": "test"})
}

/// An order to end a process that is not there.
pub fn kill_tree() -> Value {
    let process = json!({"pid": 4_000_000, "start_ns": 1});
    json!({"action": {"kind": "kill_tree", "process": process}, "reason": "test"})
}

/// The digest of what is known of a rule or policy.
pub fn evidence(client: &Client, kind: &str, name: &str) -> String {
    let path = format!("/api/v1/{kind}/{name}/evidence");
    let shown = client.get(&path).expect(200).json();
    shown["digest"].as_str().unwrap().to_owned()
}

/// Moves a rule or policy on; to block on what is known of it. Gives its new tag.
pub fn stage(client: &Client, kind: &str, name: &str, stage: &str) -> String {
    let path = format!("/api/v1/{kind}/{name}");
    let etag = client.get(&path).expect(200).etag();
    let mut body = json!({"stage": stage, "reason": "test"});
    if stage == "block" {
        body["evidence"] = evidence(client, kind, name).into();
    }
    client
        .post_at(&format!("{path}/stage"), &etag, body)
        .expect(200)
        .etag()
}

pub fn sensor(lab: &Lab, host: &str) -> Uuid {
    let id = new_id();
    let hash = picket_server::auth::digest(&id.to_string());
    lab.runtime.block_on(async {
        let token = NewJoinToken {
            hash,
            labels: Labels::from([("env".to_owned(), "prod".to_owned())]),
            expires_at: NOW + 1,
            uses: 1,
        };
        lab.store.make_join_token(token, &cause()).await.unwrap();
        let sensor = NewSensor {
            id,
            host: host.to_owned(),
            facts: json!({"kernel": "6.18"}),
            certificate: Certificate {
                serial: id.simple().to_string(),
                issued_at: NOW,
                expires_at: NOW + 1_000_000,
            },
        };
        lab.store.enrol(&hash, sensor, NOW).await.unwrap();
    });
    id
}

pub fn finding(sensor: Uuid, uid: &str, time: Micros, projects: &[Uuid]) -> NewFinding {
    NewFinding {
        sensor,
        uid: uid.to_owned(),
        columns: FindingColumns {
            time,
            severity: Severity::High,
            disposition: Disposition::Logged,
            rule: "web-shell".to_owned(),
            host: "web-1".to_owned(),
            container: None,
            image: None,
            user: None,
            process: None,
            fingerprint: Fingerprint {
                version: 1,
                value: "f".to_owned(),
            },
        },
        projects: projects.to_vec(),
        ocsf: json!({"finding_info": {"uid": uid}}),
        facts: json!({}),
    }
}

/// One whose rule opens an issue; of this fingerprint.
pub fn alarming(uid: &str, time: Micros, print: &str, projects: &[Uuid]) -> NewFinding {
    let mut new = finding(new_id(), uid, time, projects);
    new.columns.fingerprint.value = print.to_owned();
    new.facts =
        json!({"title": "A web server started a shell", "issue": true, "namespace": "shop"});
    new
}

/// Stores findings, and waits for the issues that they lead to: so many findings in all.
pub fn digested(lab: &Lab, findings: Vec<NewFinding>, counted: i64) -> Vec<Value> {
    store(lab, findings);
    let begun = std::time::Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "they are not digested");
        let page = lab.admin.get("/api/v1/issues").expect(200).json();
        let issues = page["items"].as_array().unwrap().clone();
        let count: i64 = issues
            .iter()
            .map(|issue| issue["count"].as_i64().unwrap())
            .sum();
        assert!(count <= counted, "{issues:?}");
        if count == counted {
            return issues;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

pub fn store(lab: &Lab, findings: Vec<NewFinding>) {
    let stored = lab.store.store_findings(findings, NOW);
    lab.runtime.block_on(stored).unwrap();
}

/// A host on which a rule matched, in these projects; gives the host's node.
pub fn graph(lab: &Lab, projects: &[Uuid]) -> Uuid {
    let host = Node::host("web-1");
    let mut writes = GraphWrites::default();
    let mut seen = writes.sighting(NOW, projects, 1);
    seen.edge(&Node::rule("web-shell"), EdgeKind::Matched, &host);
    lab.runtime
        .block_on(lab.store.add_to_graph(writes))
        .unwrap();
    host.id()
}

pub fn project_id(lab: &Lab, name: &str) -> Uuid {
    let project = lab
        .store
        .definition_named(picket_store::Kind::Project, name);
    lab.runtime.block_on(project).unwrap().id
}

/// The `uid`s on a page.
pub fn uids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["uid"].as_str().unwrap().to_owned())
        .collect()
}
