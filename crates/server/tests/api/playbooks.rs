//! Playbooks: from an issue to somebody else's server, and what holds them back.

use crate::client::Client;

use crate::lab::Lab;
use crate::receiver::{Receiver, is_signed};
use crate::world::{self, NOW, alarming, store};
use picket_server::auth::Role;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const SECRET: &str = "a secret of the other side";
const PATIENCE: Duration = Duration::from_secs(60);

fn lab() -> Lab {
    Lab::with(|config| {
        let file = config.data.join("siem.secret");
        std::fs::create_dir_all(&config.data).unwrap();
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        config.playbooks.secrets.insert("siem".to_owned(), file);
        config.playbooks.allow_private = true;
    })
}

fn webhook(receiver: &Receiver) -> Value {
    let url = format!("http://{}/hook", receiver.address);
    json!({"action": {"webhook": {"url": url, "secret": "siem"}}})
}

fn playbook(on: &str, steps: &[Value]) -> Value {
    json!({"trigger": {"on": [on], "severity": "high", "rules": ["web-*"]}, "steps": steps})
}

fn make(client: &Client, name: &str, playbook: Value) {
    let body = json!({"name": name, "playbook": playbook, "reason": "test"});
    client.post("/api/v1/playbooks", body).expect(201);
}

fn stage(client: &Client, name: &str, stage: &str) -> crate::client::Answer {
    let path = format!("/api/v1/playbooks/{name}");
    let etag = client.get(&path).expect(200).etag();
    let body = json!({"stage": stage, "reason": "test"});
    client.post_at(&format!("{path}/stage"), &etag, body)
}

/// Lets it run: from the answer on.
fn switch_on(lab: &Lab, name: &str) {
    stage(&lab.admin, name, "simulate").expect(200);
    stage(&lab.admin, name, "block").expect(200);
}

/// The first run of a playbook in a state, with its steps.
fn run_in(client: &Client, playbook: &str, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let path = format!("/api/v1/playbook-runs?playbook={playbook}&state={state}");
        let page = client.get(&path).expect(200).json();
        if let Some(run) = page["items"].get(0) {
            let id = run["id"].as_str().unwrap();
            return client
                .get(&format!("/api/v1/playbook-runs/{id}"))
                .expect(200)
                .json();
        }
        let all = client.get("/api/v1/playbook-runs").expect(200).json();
        assert!(begun.elapsed() < PATIENCE, "none is {state}: {all:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn decide(client: &Client, run: &Value, verb: &str) -> crate::client::Answer {
    let id = run["id"].as_str().unwrap();
    let path = format!("/api/v1/playbook-runs/{id}/{verb}");
    client.post(&path, json!({"reason": "looked at it"}))
}

#[test]
fn a_step_labels_the_issue_and_not_twice() {
    let lab = lab();
    let label = json!({"action": {"label": {"labels": ["by-playbook", "web"]}}});
    for (bad, says) in [
        (json!({"action": {"label": {"labels": []}}}), "at least one"),
        (json!({"action": {"label": {"labels": ["A"]}}}), "labels"),
    ] {
        let body =
            json!({"name": "bad", "playbook": playbook("issue_opened", &[bad]), "reason": "test"});
        let why = lab.admin.post("/api/v1/playbooks", body).problem(422);
        assert!(why.contains(says), "{why}");
    }
    make(
        &lab.admin,
        "sort",
        playbook("issue_opened", &[label.clone(), label]),
    );
    switch_on(&lab, "sort");
    store(&lab, vec![alarming("a", NOW, "one", &[])]);
    run_in(&lab.admin, "sort", "succeeded");
    let issues = lab
        .admin
        .get("/api/v1/issues?label=by-playbook")
        .expect(200)
        .json();
    assert_eq!(issues["items"][0]["labels"], json!(["by-playbook", "web"]));
    // The second time changed nothing: one version for the labels.
    assert_eq!(issues["items"][0]["version"], 2);
}

#[test]
fn a_webhook_is_signed_and_sent_again_after_a_failure() {
    let lab = lab();
    let receiver = Receiver::start(&[500, 200]);
    make(
        &lab.admin,
        "tell",
        playbook("issue_opened", &[webhook(&receiver)]),
    );
    switch_on(&lab, "tell");
    store(
        &lab,
        vec![
            alarming("a", NOW, "one", &[]),
            alarming("b", NOW + 1, "one", &[]),
        ],
    );
    let first = receiver.next();
    let again = receiver.next();
    assert!(is_signed(&first, SECRET) && is_signed(&again, SECRET));
    assert!(!is_signed(&again, "another"));
    assert_eq!(first.line, "POST /hook HTTP/1.1");
    assert_eq!(
        first.headers["idempotency-key"],
        again.headers["idempotency-key"]
    );
    let event: Value = serde_json::from_str(&again.body).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "dev.picket.issue_opened");
    assert_eq!(event["data"]["issue"]["count"], 2);
    assert_eq!(event["data"]["finding"]["rule"], "web-shell");
    let run = run_in(&lab.admin, "tell", "succeeded");
    assert_eq!(run["steps"][0]["attempts"], 2);
    assert!(receiver.is_silent());
    // Each attempt is in the audit log, and the secret nowhere.
    let log = lab.admin.get("/api/v1/audit?limit=500").expect(200).json();
    let steps = log["items"].as_array().unwrap().iter();
    let outcomes: Vec<&str> = steps
        .filter(|entry| entry["action"] == "playbook.step")
        .map(|entry| entry["detail"]["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["succeeded", "tried again"]);
    assert!(!log.to_string().contains(SECRET) && !run.to_string().contains(SECRET));
    let metrics = lab.admin.get("/metrics").text;
    assert!(
        metrics.contains("picket_playbook_steps_done_total 1"),
        "{metrics}"
    );
    lab.stop();
}

#[test]
fn what_somebody_has_to_approve_waits() {
    let lab = lab();
    let receiver = Receiver::start(&[200]);
    let mut held = webhook(&receiver);
    held["approval"] = true.into();
    let isolate = json!({"action": {"command": {"isolate_host": {"lease_seconds": 60}}}});
    let note = json!({"action": {"note": {"text": "told about {{ issue.title }}"}}});
    make(
        &lab.admin,
        "hold",
        playbook("issue_opened", &[held, note, isolate]),
    );
    let author = lab.user("author", &[(None, Role::Author)]);
    let responder = lab.user("responder", &[(None, Role::Responder)]);
    let viewer = lab.user("viewer", &[(None, Role::Viewer)]);
    stage(&author, "hold", "simulate").expect(200);
    // What acts on hosts is let run by those who may arm.
    stage(&author, "hold", "block").problem(403);
    stage(&lab.admin, "hold", "block").expect(200);
    store(&lab, vec![alarming("a", NOW, "one", &[])]);
    let run = run_in(&viewer, "hold", "waiting_approval");
    assert!(receiver.is_silent());
    decide(&viewer, &run, "approve").problem(403);
    decide(&responder, &run, "approve").expect(200);
    receiver.next();
    // The note is made, and the dangerous step waits without being told to.
    let run = run_in(&viewer, "hold", "waiting_approval");
    let states: Vec<&str> = (0..3)
        .map(|n| run["steps"][n]["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["succeeded", "succeeded", "waiting_approval"]);
    assert_eq!(run["steps"][0]["approved_by"], "user:responder");
    let issue = run["issue"].as_str().unwrap();
    let notes = viewer
        .get(&format!("/api/v1/issues/{issue}/notes"))
        .expect(200)
        .json();
    let notes = notes["items"].as_array().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note["text"].as_str().unwrap().starts_with("told about "))
    );
    decide(&responder, &run, "approve").problem(403);
    decide(&lab.admin, &run, "reject").expect(200);
    let run = run_in(&viewer, "hold", "failed");
    assert_eq!(run["steps"][2]["state"], "skipped");
    assert!(
        run["steps"][2]["detail"]
            .as_str()
            .unwrap()
            .contains("user:admin refused it")
    );
    decide(&lab.admin, &run, "approve").problem(409);
    decide(&lab.admin, &run, "cancel").problem(409);
    lab.stop();
}

#[test]
fn a_dry_run_changes_nothing() {
    let lab = lab();
    let receiver = Receiver::start(&[200]);
    let ticket = json!({"action": {"ticket": {
        "url": format!("http://{}/t", receiver.address), "authorization_secret": "siem",
        "body": "{\"title\": {{ issue.title | tojson }}}",
    }}});
    let missing =
        json!({"action": {"slack": {"url_secret": "nowhere", "text": "{{ issue.title }}"}}});
    let steps = [webhook(&receiver), ticket, missing];
    make(&lab.admin, "dry", playbook("issue_opened", &steps));
    stage(&lab.admin, "dry", "simulate").expect(200);
    store(&lab, vec![alarming("a", NOW, "one", &[])]);
    // At this stage each run is one.
    let run = run_in(&lab.admin, "dry", "dry_run");
    assert_eq!(run["dry_run"], true);
    let issue = run["issue"].as_str().unwrap();
    let viewer = lab.user("viewer", &[(None, Role::Viewer)]);
    let before = lab.admin.get("/api/v1/audit?limit=1").json();
    let shown = viewer.post("/api/v1/playbooks/dry/dry-run", json!({"issue": issue}));
    let shown = shown.expect(200).json();
    assert_eq!(
        shown["steps"][0]["would"]["headers"]["webhook-signature"],
        "***"
    );
    assert_eq!(shown["steps"][0]["would"]["body"]["specversion"], "1.0");
    assert_eq!(
        shown["steps"][1]["would"]["headers"]["authorization"],
        "***"
    );
    assert!(shown["steps"][1]["would"]["body"]["title"].is_string());
    assert!(
        shown["steps"][2]["fault"]
            .as_str()
            .unwrap()
            .contains("no secret")
    );
    assert!(!shown.to_string().contains(SECRET) && !run.to_string().contains(SECRET));
    assert_eq!(lab.admin.get("/api/v1/audit?limit=1").json(), before);
    let notes = lab
        .admin
        .get(&format!("/api/v1/issues/{issue}/notes"))
        .json();
    assert_eq!(notes["items"], json!([]));
    assert!(receiver.is_silent());
    viewer
        .post("/api/v1/playbooks/dry/dry-run", json!({}))
        .problem(422);
    lab.stop();
}

#[test]
fn too_many_runs_are_counted_and_not_made() {
    let lab = lab();
    let receiver = Receiver::start(&[200]);
    let mut few = playbook("issue_opened", &[webhook(&receiver)]);
    few["runs_per_hour"] = 2.into();
    make(&lab.admin, "few", few);
    switch_on(&lab, "few");
    let many = (0..10).map(|n| alarming(&format!("f{n}"), NOW + n, &format!("p{n}"), &[]));
    store(&lab, many.collect());
    let begun = Instant::now();
    loop {
        let counted = lab
            .admin
            .get("/api/v1/playbook-runs?state=suppressed")
            .expect(200)
            .json();
        let count: u64 = counted["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["count"].as_u64().unwrap())
            .sum();
        if count == 8 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{counted:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
    receiver.next();
    receiver.next();
    assert!(receiver.is_silent());
    let metrics = lab.admin.get("/metrics").text;
    assert!(
        metrics.contains("picket_playbook_runs_suppressed_total 8"),
        "{metrics}"
    );
    lab.stop();
}

#[test]
fn a_finding_opens_an_issue_and_a_mail_goes_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mail = std::thread::spawn(move || take_mail(&listener));
    let lab = Lab::with(|config| {
        config.playbooks.smtp = Some(picket_server::config::Smtp {
            host: "127.0.0.1".to_owned(),
            port,
            tls: false,
            from: "Picket <picket@example.org>".to_owned(),
            log_in: None,
        });
    });
    let steps = [
        json!({"action": {"open_issue": {}}}),
        json!({"action": {"note": {"text": "by {{ playbook }}"}}}),
        json!({"action": {"email": {"to": ["anna@example.org"], "subject": "{{ finding.rule }}\nBcc: eve@example.org",
            "text": "on {{ finding.host }}: {{ issue.id }}"}}}),
    ];
    make(&lab.admin, "mail", playbook("finding", &steps));
    switch_on(&lab, "mail");
    let mut quiet = alarming("a", NOW, "one", &[]);
    quiet.facts["issue"] = false.into();
    store(&lab, vec![quiet]);
    let run = run_in(&lab.admin, "mail", "succeeded");
    let text = mail.join().unwrap();
    let issues = lab.admin.get("/api/v1/issues").expect(200).json();
    let issue = issues["items"][0]["id"].as_str().unwrap();
    assert!(text.contains("RCPT TO:<anna@example.org>"), "{text}");
    assert!(!text.contains("RCPT TO:<eve"), "{text}");
    assert!(
        text.contains(issue) && text.contains("Subject: web-shell"),
        "{text}"
    );
    assert_eq!(run["steps"][0]["detail"], format!("issue {issue}"));
    lab.stop();
}

/// A relay that takes one mail.
fn take_mail(listener: &TcpListener) -> String {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut seen, mut in_data) = (String::new(), false);
    reader.get_mut().write_all(b"220 relay\r\n").unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return seen;
        }
        seen += &line;
        let answer: &[u8] = match line.trim_end() {
            "." if in_data => {
                in_data = false;
                b"250 queued\r\n"
            }
            _ if in_data => continue,
            "DATA" => {
                in_data = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        reader.get_mut().write_all(answer).unwrap();
    }
}

pub fn what_cannot_run_is_refused_by_field(lab: &mut Lab) {
    let admin = &lab.admin;
    let good = json!({"action": {"slack": {"url_secret": "s", "text": "x"}}});
    let step = |action: Value| json!({"action": action});
    let hook = |url: &str| step(json!({"webhook": {"url": url, "secret": "s"}}));
    let on = |steps: Vec<Value>| json!({"trigger": {"on": ["finding"]}, "steps": steps});
    let mut projects = on(vec![good.clone()]);
    projects["trigger"]["projects"] = json!(["nowhere"]);
    let mut severity = on(vec![good.clone()]);
    severity["trigger"]["severity"] = json!("bad");
    let mut slow = good.clone();
    slow["timeout_seconds"] = 3600.into();
    for (playbook, says) in [
        (on(vec![]), "playbook.steps: 1 to 20"),
        (
            json!({"trigger": {"on": []}, "steps": [good]}),
            "playbook.trigger.on",
        ),
        (projects, "no project \"nowhere\""),
        (severity, "playbook.trigger.severity"),
        (on(vec![slow]), "steps[0].timeout_seconds: 1 to 60"),
        (on(vec![hook("ftp://x/")]), "steps[0].action.webhook.url"),
        (on(vec![hook("https://user:pw@x/")]), "without a user"),
        (
            on(vec![step(
                json!({"slack": {"url_secret": "s", "text": "{{ a"}}),
            )]),
            "steps[0].action.slack.text: line 1",
        ),
        (
            on(vec![step(
                json!({"email": {"to": ["x"], "subject": "", "text": ""}}),
            )]),
            "steps[0].action.email.to",
        ),
        (
            on(vec![step(json!({"note": {"text": "x"}}))]),
            "put open_issue before it",
        ),
        (
            on(vec![step(
                json!({"ticket": {"url": "https://x/", "headers": {"Authorization": "x"}, "body": ""}}),
            )]),
            "authorization_secret",
        ),
        (
            on(vec![step(
                json!({"command": {"isolate_host": {"lease_seconds": 0}}}),
            )]),
            "lease_seconds",
        ),
    ] {
        let body = json!({"name": "p", "playbook": playbook});
        let detail = admin.post("/api/v1/playbooks", body).problem(422);
        assert!(detail.contains(says), "{detail}, not {says}");
    }
    let unknown = json!({"name": "p", "playbook": on(vec![step(json!({"format_disk": {}}))])});
    let detail = admin.post("/api/v1/playbooks", unknown).problem(422);
    assert!(detail.contains("format_disk"), "{detail}");
    world::project(admin, "payments", "web-*");
    let member = lab.user("member", &[(Some("payments"), Role::Admin)]);
    member.get("/api/v1/playbooks").problem(403);
}
