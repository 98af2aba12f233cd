//! Findings, listed and live.

use crate::client::Client;
use crate::lab::Lab;
use crate::world::{NOW, finding, project, project_id, store, uids};
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_server::auth::Role;
use picket_store::new_id;
use std::io::{BufRead, BufReader};
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn every_filter_filters(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    let payments = project_id(lab, "payments");
    let sensor = new_id();
    let plain = finding(sensor, "plain", NOW, &[]);
    let mut odd = finding(sensor, "odd", NOW + 1_000_000, &[payments]);
    odd.columns.severity = Severity::Critical;
    odd.columns.disposition = Disposition::Blocked;
    odd.columns.rule = "miner".to_owned();
    odd.columns.host = "db-1".to_owned();
    odd.columns.container = Some("c1".to_owned());
    odd.columns.image = Some("redis:7".to_owned());
    odd.columns.user = Some("root".to_owned());
    odd.columns.process = Some("/usr/bin/x & y".to_owned());
    odd.columns.fingerprint.value = "g".to_owned();
    store(lab, vec![plain, odd]);
    let all = lab.admin.get("/api/v1/findings").expect(200).json();
    assert_eq!(uids(&all), ["odd", "plain"]);
    let at = all["items"][0]["time"].as_str().unwrap().to_owned();
    for filter in [
        &format!("from={at}"),
        "severity=critical",
        "severity=critical&severity=low",
        "disposition=blocked",
        "rule=miner",
        "project=payments",
        "host=db-1&host=nobody",
        "container=c1",
        "image=redis:7",
        "user=root",
        "process=/usr/bin/x%20%26%20y",
        "fingerprint=g",
    ] {
        let found = lab.admin.get(&format!("/api/v1/findings?{filter}"));
        assert_eq!(uids(&found.expect(200).json()), ["odd"], "{filter}");
    }
    let before = lab.admin.get(&format!("/api/v1/findings?until={at}"));
    assert_eq!(uids(&before.expect(200).json()), ["plain"]);
    for (bad, status) in [
        ("severity=terrible", 400),
        ("form=2020", 400),
        ("from=yesterday", 400),
        ("project=nowhere", 404),
        ("limit=501", 422),
        ("cursor=x", 400),
    ] {
        lab.admin
            .get(&format!("/api/v1/findings?{bad}"))
            .problem(status);
    }
    let whole = lab
        .admin
        .get("/api/v1/findings?include=ocsf&rule=miner")
        .json();
    assert_eq!(whole["items"][0]["ocsf"]["finding_info"]["uid"], "odd");
    let id = whole["items"][0]["id"].as_str().unwrap();
    let one = lab
        .admin
        .get(&format!("/api/v1/findings/{id}"))
        .expect(200)
        .json();
    assert_eq!(one["projects"], serde_json::json!(["payments"]));
    assert_eq!(one["ocsf"]["finding_info"]["uid"], "odd");
}

/// A finding about a process that was started with these arguments.
pub fn started(uid: &str, time: i64, name: &str, cmd_line: &str) -> picket_store::NewFinding {
    let mut new = finding(new_id(), uid, time, &[]);
    let process = serde_json::json!({"pid": 4711, "name": name, "cmd_line": cmd_line,
        "file": {"path": format!("/usr/bin/{name}")}});
    let event = serde_json::json!({"class_uid": 1007, "activity_id": 1, "time": time / 1000,
        "metadata": {"uid": uid}, "device": {"hostname": "web-1"}, "process": process,
        "actor": {"process": {"pid": 99, "name": "nginx"}}});
    new.ocsf["evidences"] = serde_json::json!([event]);
    new
}

pub fn findings_are_found_by_any_field_of_their_events(lab: &mut Lab) {
    const OTHERS: i64 = 900;
    let mut all: Vec<_> = (0..OTHERS)
        .map(|n| started(&format!("o{n}"), NOW + n, "sh", "sh -c id"))
        .collect();
    for n in 0..5 {
        let uid = format!("c{n}");
        all.push(started(
            &uid,
            NOW + n * 200,
            "curl",
            "curl http://a.example/x",
        ));
    }
    // Nothing is known of its event: it is found by nothing.
    all.push(finding(new_id(), "bare", NOW + 7, &[]));
    store(lab, all);
    let list = |condition: &str, more: &str| {
        let condition = condition.replace(' ', "%20").replace('"', "%22");
        let path = format!("/api/v1/findings?where={condition}{more}");
        lab.admin.get(&path)
    };
    let curl = "process.cmd_line contains \"curl\" and actor.process.name == \"nginx\"";
    let found = list(curl, "").expect(200).json();
    assert_eq!(uids(&found), ["c4", "c3", "c2", "c1", "c0"]);
    assert_eq!(found["next"], serde_json::Value::Null);
    // Pages go on where the one before ended.
    let first = list(curl, "&limit=2").expect(200).json();
    assert_eq!(uids(&first), ["c4", "c3"]);
    let next = first["next"].as_str().unwrap();
    let second = list(curl, &format!("&limit=3&cursor={next}"))
        .expect(200)
        .json();
    assert_eq!(uids(&second), ["c2", "c1", "c0"]);
    // With the other filters too, and in an export.
    let none = list(curl, "&severity=low").expect(200).json();
    assert_eq!(uids(&none), [""; 0]);
    let shell = "process.name%20==%20%22sh%22";
    let export = format!("/api/v1/findings/export?format=csv&where={shell}");
    let lines = lab.admin.get(&export).expect(200).text;
    assert_eq!(lines.lines().count() as i64, 1 + OTHERS);
    for (bad, says) in [
        ("process.nmae == \"sh\"", "nmae"),
        ("process.name == ", "where"),
        ("process.name == \"a\"&where=process.name == \"b\"", "where"),
    ] {
        let answer = list(bad, "");
        assert!(matches!(answer.status, 400 | 422), "{bad}");
        assert!(answer.text.contains(says), "{bad}: {}", answer.text);
    }
}

pub fn pages_follow_each_other(lab: &mut Lab) {
    let sensor = new_id();
    // Some at the same time: the cursor tells them apart.
    let new = |n: i64| finding(sensor, &format!("f{n:03}"), NOW + n / 3, &[]);
    store(lab, (0..100).map(new).collect());
    let (mut seen, mut query) = (Vec::new(), "?limit=7".to_owned());
    loop {
        let page = lab
            .admin
            .get(&format!("/api/v1/findings{query}"))
            .expect(200)
            .json();
        seen.extend(uids(&page));
        if seen.len() == 7 {
            // What comes meanwhile is on no later page.
            store(lab, vec![finding(sensor, "late", NOW + 1000, &[])]);
        }
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=7&cursor={next}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((seen.len(), sorted.len()), (100, 100));
}

/// Lines of a stream, read by a thread of their own.
pub struct Events {
    lines: mpsc::Receiver<String>,
}

impl Events {
    fn open(client: &Client, query: &str, headers: &[(&str, &str)]) -> Events {
        Events::at(client, &format!("/api/v1/findings/stream{query}"), headers)
    }

    pub fn at(client: &Client, path: &str, headers: &[(&str, &str)]) -> Events {
        let response = client.send("GET", path, headers, None);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let reader = BufReader::new(response.into_body().into_reader());
            for line in reader.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Events { lines }
    }

    /// The type of the next one, whatever it says.
    pub fn kind(&self) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("an event");
            if let Some(kind) = line.strip_prefix("event: ") {
                return kind.to_owned();
            }
        }
    }

    /// The id and uid of the next one.
    fn next(&self) -> (String, String) {
        let mut id = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("an event");
            if let Some(found) = line.strip_prefix("id: ") {
                id = found.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data: serde_json::Value = serde_json::from_str(data).unwrap();
                assert_eq!(data["id"], id);
                return (id, data["uid"].as_str().unwrap().to_owned());
            }
        }
    }

    /// Whether it ends, with nothing more of a finding in it.
    fn ends(&self) -> bool {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => assert!(!line.starts_with("data"), "{line}"),
                Err(mpsc::RecvTimeoutError::Disconnected) => return true,
                Err(mpsc::RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}

pub fn live_ones_come_as_they_are_stored(lab: &mut Lab) {
    let sensor = new_id();
    let new = |uid: &str, time| finding(sensor, uid, time, &[]);
    store(lab, vec![new("before", NOW)]);
    let all = Events::open(&lab.admin, "", &[]);
    let critical = Events::open(
        &lab.admin,
        "?severity=critical&severity=low&host=web-1&host=x",
        &[],
    );
    store(lab, vec![new("one", NOW + 5)]);
    let (first, uid) = all.next();
    assert_eq!(uid, "one");
    // Of an hour ago, from a sensor that was away: live all the same.
    let mut bad = new("two", NOW - 3_600_000_000);
    bad.columns.severity = Severity::Critical;
    store(lab, vec![bad, new("three", NOW)]);
    assert_eq!(all.next().1, "two");
    assert_eq!(all.next().1, "three");
    assert_eq!(critical.next().1, "two");
    // Back after a break: nothing that came meanwhile is missed.
    let again = Events::open(&lab.admin, "", &[("last-event-id", &first)]);
    let mut seen = vec![again.next().1];
    while seen.last().is_some_and(|uid| uid != "three") {
        seen.push(again.next().1);
    }
    assert!(
        seen.ends_with(&["two".to_owned(), "three".to_owned()]),
        "{seen:?}"
    );
    let bad = lab.admin.send(
        "GET",
        "/api/v1/findings/stream",
        &[("last-event-id", "x")],
        None,
    );
    assert_eq!(bad.status(), 400);
    let metrics = lab.admin.get("/metrics").text;
    assert!(metrics.contains("picket_live_streams 3"), "{metrics}");
}

pub fn a_stream_ends_with_its_token(lab: &mut Lab) {
    let admin = &lab.admin;
    admin
        .post("/api/v1/users", serde_json::json!({"name": "tv"}))
        .expect(201);
    let path = "/api/v1/users/tv";
    let viewer = serde_json::json!({"role": "viewer"});
    admin.post(&format!("{path}/grants"), viewer).expect(204);
    let named = serde_json::json!({"name": "wall"});
    let made = admin
        .post(&format!("{path}/tokens"), named)
        .expect(201)
        .json();
    let tv = admin.with_token(made["token"].as_str().unwrap());
    let events = Events::open(&tv, "", &[]);
    store(lab, vec![finding(new_id(), "one", NOW, &[])]);
    assert_eq!(events.next().1, "one");
    let id = made["id"].as_str().unwrap();
    admin
        .call("DELETE", &format!("{path}/tokens/{id}"), &[], None)
        .expect(204);
    assert!(events.ends());
}

pub fn projects_hide_findings(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    project(&lab.admin, "other", "db-*");
    let (payments, other) = (project_id(lab, "payments"), project_id(lab, "other"));
    let member = lab.user("member", &[(Some("payments"), Role::Viewer)]);
    let events = Events::open(&member, "", &[]);
    let sensor = new_id();
    let new = |uid: &str, projects: &[_]| finding(sensor, uid, NOW, projects);
    store(lab, vec![new("theirs", &[other]), new("nobodys", &[])]);
    store(lab, vec![new("both", &[payments, other])]);
    let listed = member.get("/api/v1/findings").expect(200).json();
    assert_eq!(uids(&listed), ["both"]);
    assert_eq!(events.next().1, "both");
    member.get("/api/v1/findings?project=other").problem(404);
    let all = lab.admin.get("/api/v1/findings").expect(200).json();
    for item in all["items"].as_array().unwrap() {
        let path = format!("/api/v1/findings/{}", item["id"].as_str().unwrap());
        let wanted = if item["uid"] == "both" { 200 } else { 404 };
        let one = member.get(&path).expect(wanted);
        if wanted == 200 {
            // That it is in another project too is none of their business.
            assert_eq!(one.json()["projects"], serde_json::json!(["payments"]));
        }
    }
}
