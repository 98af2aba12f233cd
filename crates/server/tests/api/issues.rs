//! Issues, from findings to what people do about them.

use crate::findings::Events;
use crate::lab::Lab;
use crate::world::{NOW, alarming, digested, finding, project, project_id, store, uids};
use picket_model::severity::Severity;
use picket_server::auth::Role;
use picket_store::new_id;
use serde_json::{Value, json};

const SECOND: i64 = 1_000_000;

fn path(issue: &Value) -> String {
    format!("/api/v1/issues/{}", issue["id"].as_str().unwrap())
}

pub fn issues_are_sorted_by_labels(lab: &mut Lab) {
    let one = |uid: &str, print: &str| alarming(uid, NOW, print, &[]);
    let issues = digested(lab, vec![one("a", "a"), one("b", "b")], 2);
    let path = path(&issues[0]);
    let label = |labels: Value| {
        let etag = lab.admin.get(&path).expect(200).etag();
        lab.admin.patch(&path, &etag, json!({"labels": labels}))
    };
    let labelled = label(json!(["team:web", "phishing", "phishing"]))
        .expect(200)
        .json();
    assert_eq!(labelled["labels"], json!(["phishing", "team:web"]));
    for bad in [json!(["A"]), json!(["a,b"]), json!([""]), json!(["a_b"])] {
        label(bad).problem(422);
    }
    let found = |query: &str| {
        let page = lab
            .admin
            .get(&format!("/api/v1/issues?{query}"))
            .expect(200)
            .json();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(found("label=phishing"), 1);
    assert_eq!(found("label=other&label=team:web"), 1);
    assert_eq!(found("label=phish"), 0);
    lab.admin.get("/api/v1/issues?label=%25").problem(422);
    let table = lab
        .admin
        .get("/api/v1/issues/export?format=csv&label=phishing")
        .expect(200);
    assert!(table.text.contains("phishing team:web"), "{}", table.text);
    assert_eq!(label(json!([])).expect(200).json()["labels"], json!([]));
    assert_eq!(found("label=phishing"), 0);
}

pub fn an_attack_is_one_issue_that_people_work_on(lab: &mut Lab) {
    let batch = (0..3)
        .map(|n| alarming(&format!("f{n}"), NOW + n * SECOND, "a", &[]))
        .collect();
    // A rule that opens none.
    store(lab, vec![finding(new_id(), "quiet", NOW, &[])]);
    let issues = digested(lab, batch, 3);
    assert_eq!(issues.len(), 1, "{issues:?}");
    let issue = &issues[0];
    for (name, value) in [
        ("status", json!("open")),
        ("severity", json!("high")),
        ("title", json!("A web server started a shell")),
        ("rule", json!("web-shell")),
        ("host", json!("web-1")),
        ("namespace", json!("shop")),
        ("count", json!(3)),
        ("reopened", json!(0)),
        ("overdue", json!(false)),
        ("projects", json!([])),
    ] {
        assert_eq!(issue[name], value, "{name}");
    }
    let path = path(issue);
    let listed = lab
        .admin
        .get(&format!("{path}/findings?limit=2"))
        .expect(200)
        .json();
    assert_eq!(uids(&listed), ["f2", "f1"]);
    assert!(listed["next"].is_string());

    let anna = lab.user("anna", &[(None, Role::Responder)]);
    let etag = anna.get(&path).expect(200).etag();
    let take =
        json!({"status": "in_progress", "assignee": "anna", "severity": "low", "reason": "mine"});
    anna.call("PATCH", &path, &[], Some(&take)).problem(428);
    let taken = anna.patch(&path, &etag, take.clone()).expect(200);
    let next = taken.etag();
    let taken = taken.json();
    assert_eq!(
        (
            &taken["status"],
            &taken["assignee"],
            &taken["severity"],
            &taken["severity_set"]
        ),
        (
            &json!("in_progress"),
            &json!("anna"),
            &json!("low"),
            &json!(true)
        )
    );
    // Of low severity, it is due later.
    assert!(taken["due_at"].as_str() > issue["due_at"].as_str());
    anna.patch(&path, &etag, take).problem(412);
    for (body, says) in [
        (json!({"status": "gone"}), "status"),
        (json!({"status": "rejected"}), "rejection"),
        (json!({"rejection": "other"}), "rejection"),
        (
            json!({"status": "rejected", "rejection": "mood"}),
            "rejection",
        ),
        (
            json!({"status": "rejected", "rejection": "other"}),
            "reason",
        ),
        (json!({"assignee": "nobody-of-this-name"}), "assignee"),
        (json!({"severity": "terrible"}), "severity"),
        (json!({"sverity": "low"}), "sverity"),
    ] {
        let why = anna.patch(&path, &next, body.clone()).problem(422);
        assert!(why.contains(says), "{body}: {why}");
    }
    let reject = json!({"status": "rejected", "rejection": "false_positive", "assignee": null,
        "reason": "a health check"});
    let rejected = anna.patch(&path, &next, reject).expect(200).json();
    assert_eq!(rejected["rejection"], "false_positive");
    assert_eq!(rejected["reason"], "a health check");
    assert!(rejected["closed_at"].is_string());
    assert!(rejected.get("assignee").is_none(), "{rejected}");

    let notes = format!("{path}/notes");
    let said = json!({"text": "asked the team"});
    anna.post(&notes, said).expect(201);
    anna.post(&notes, json!({"text": " "})).problem(422);
    let found = lab.admin.get(&notes).expect(200).json();
    assert_eq!(found["items"][0]["author"], "user:anna");
    assert_eq!(found["items"][0]["text"], "asked the team");
    let entries = lab.admin.get("/api/v1/audit?kind=issue").expect(200).json();
    let actions: Vec<&str> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["issue.note", "issue.update", "issue.update"]);
}

pub fn issues_are_found_by_each_filter(lab: &mut Lab) {
    project(&lab.admin, "payments", "db-*");
    let payments = project_id(lab, "payments");
    let mut odd = alarming("odd", NOW + SECOND, "odd", &[payments]);
    odd.columns.severity = Severity::Critical;
    odd.columns.rule = "miner".to_owned();
    odd.columns.host = "db-1".to_owned();
    odd.columns.image = Some("redis:7".to_owned());
    odd.facts["namespace"] = json!("cache");
    let issues = digested(lab, vec![odd, alarming("plain", NOW, "plain", &[])], 2);
    lab.user("anna", &[]);
    let path = path(&issues[0]);
    let etag = lab.admin.get(&path).etag();
    let body =
        json!({"assignee": "anna", "status": "in_progress", "due_at": "2020-01-01T00:00:00Z"});
    lab.admin.patch(&path, &etag, body).expect(200);
    let prints = |query: &str| -> Vec<String> {
        let page = lab
            .admin
            .get(&format!("/api/v1/issues?{query}"))
            .expect(200)
            .json();
        let items = page["items"].as_array().unwrap();
        let print = |item: &Value| item["fingerprint"].as_str().unwrap().to_owned();
        items.iter().map(print).collect()
    };
    for filter in [
        "status=in_progress",
        "severity=critical&severity=low",
        "rule=miner",
        "host=db-1&host=nobody",
        "project=payments",
        "namespace=cache",
        "image=redis:7",
        "fingerprint=odd",
        "assignee=anna",
        "overdue=true",
        "text=DB-",
    ] {
        assert_eq!(prints(filter), ["odd"], "{filter}");
    }
    assert_eq!(prints("assignee="), ["plain"]);
    assert_eq!(prints("overdue=false&text=web%20server"), ["odd", "plain"]);
    let first = lab.admin.get("/api/v1/issues?limit=1").expect(200).json();
    let next = first["next"].as_str().unwrap();
    assert_eq!(prints(&format!("limit=1&cursor={next}")), ["plain"]);
    for (bad, status) in [
        ("status=gone", 400),
        ("severity=terrible", 400),
        ("overdue=perhaps", 400),
        ("assignee=&assignee=anna", 400),
        ("assignee=nobody-of-this-name", 404),
        ("project=nowhere", 404),
        ("stauts=open", 400),
        ("cursor=x", 400),
        ("limit=501", 422),
    ] {
        lab.admin
            .get(&format!("/api/v1/issues?{bad}"))
            .problem(status);
    }
}

pub fn projects_hide_issues(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    project(&lab.admin, "shop", "web-*");
    let projects = [project_id(lab, "payments"), project_id(lab, "shop")];
    let batch = vec![
        alarming("both", NOW + SECOND, "both", &projects),
        alarming("none", NOW, "none", &[]),
    ];
    let issues = digested(lab, batch, 2);
    let (both, none) = (path(&issues[0]), path(&issues[1]));
    let viewer = lab.user("viewer", &[(Some("payments"), Role::Viewer)]);
    let responder = lab.user(
        "responder",
        &[(Some("payments"), Role::Responder), (None, Role::Viewer)],
    );
    let page = viewer.get("/api/v1/issues").expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    // Of its projects they are told what they may see.
    assert_eq!(page["items"][0]["projects"], json!(["payments"]));
    let etag = viewer.get(&both).expect(200).etag();
    for hidden in ["", "/findings", "/notes"] {
        viewer.get(&format!("{none}{hidden}")).problem(404);
    }
    let change = json!({"status": "resolved"});
    viewer.patch(&both, &etag, change.clone()).problem(403);
    viewer
        .post(&format!("{both}/notes"), json!({"text": "x"}))
        .problem(403);
    // Sees it, and may not change it: it is in no project of theirs.
    let other = responder.get(&none).expect(200).etag();
    responder.patch(&none, &other, change.clone()).problem(403);
    responder.patch(&both, &etag, change).expect(200);
}

pub fn a_change_is_told_live(lab: &mut Lab) {
    let viewer = lab.user("viewer", &[(None, Role::Viewer)]);
    let events = Events::at(&viewer, "/api/v1/issues/stream", &[]);
    let issues = digested(lab, vec![alarming("one", NOW, "a", &[])], 1);
    assert_eq!(events.kind(), "issues");
    let path = path(&issues[0]);
    let etag = lab.admin.get(&path).etag();
    let body = json!({"status": "resolved"});
    lab.admin.patch(&path, &etag, body).expect(200);
    assert_eq!(events.kind(), "issues");
}

pub fn it_comes_back_by_itself(lab: &mut Lab) {
    let issues = digested(lab, vec![alarming("one", NOW, "a", &[])], 1);
    let path = path(&issues[0]);
    let etag = lab.admin.get(&path).etag();
    let resolved = json!({"status": "resolved", "reason": "the hole is closed"});
    lab.admin.patch(&path, &etag, resolved).expect(200);
    // From before, told late.
    let late = digested(lab, vec![alarming("two", NOW + 1, "a", &[])], 2);
    assert_eq!(late[0]["status"], "resolved");
    let after = jiff::Timestamp::now().as_microsecond() + SECOND;
    let back = digested(lab, vec![alarming("three", after, "a", &[])], 3);
    assert_eq!(
        (&back[0]["status"], &back[0]["reopened"]),
        (&json!("open"), &json!(1))
    );
    let notes = lab.admin.get(&format!("{path}/notes")).expect(200).json();
    assert_eq!(notes["items"][0]["author"], "system:digest");
    let metrics = lab.admin.get("/metrics").text;
    for line in [
        "picket_issues_reopened_total 1",
        "picket_digest_findings_total 3",
        "picket_issues_open{severity=\"high\"} 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}:\n{metrics}"
        );
    }
}
