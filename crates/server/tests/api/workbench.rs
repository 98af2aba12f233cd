//! What somebody who writes a rule is told before it is stored.

use crate::findings::started;
use crate::lab::Lab;
use crate::world::{LIST, NOW, define, finding, project, rule, store};
use picket_server::auth::Role;
use picket_store::new_id;
use serde_json::{Value, json};

const DRAFT: &str = r#"rules:
  - id: curl-by-nginx
    title: A web server downloads
    event: process.exec
    severity: high
    condition: 'process.name == "curl" and actor.process.name == "nginx"'
    tests:
      - name: it does
        match: true
        event: {process: {name: curl}, actor: {process: {name: nginx}}}
      - name: wrong on purpose
        match: true
        event: {process: {name: wget}, actor: {process: {name: nginx}}}
"#;

fn check(lab: &Lab, text: &str) -> Value {
    let body = json!({"text": text});
    lab.admin
        .post("/api/v1/workbench/check", body)
        .expect(200)
        .json()
}

pub fn a_draft_is_checked_and_its_tests_are_run(lab: &mut Lab) {
    let report = check(lab, DRAFT);
    assert_eq!(report["diagnostics"], json!([]), "{report:#}");
    assert_eq!(report["rules"][0]["classes"], json!(["process.exec"]));
    let tests = report["tests"].as_array().unwrap();
    assert_eq!(
        (&tests[0]["passed"], &tests[0]["verdict"]),
        (&json!(true), &json!("true"))
    );
    assert_eq!(tests[1]["passed"], false);
    assert_eq!(tests[1]["explanation"]["verdict"], "false");
    // What is stored stands beside it, and a stored rule of the same id is not in its way.
    define(&lab.admin, "lists", "shells", LIST);
    let shells = DRAFT.replace("process.name == \"curl\"", "process.name in $shells");
    assert_eq!(check(lab, &shells)["diagnostics"], json!([]));
    let report = check(lab, &DRAFT.replace("process.name ==", "process.nmae =="));
    let told = &report["diagnostics"][0];
    assert_eq!(
        (&told["severity"], &told["line"]),
        (&json!("error"), &json!(6))
    );
    assert_eq!(report["rules"], json!([]));
    for text in ["", "\u{0}", "rules: [", "- x"] {
        check(lab, text);
    }
    let language = lab
        .admin
        .get("/api/v1/workbench/language")
        .expect(200)
        .json();
    let fields = language["fields"].as_array().unwrap();
    let field = fields
        .iter()
        .find(|field| field["name"] == "process.cmd_line")
        .unwrap();
    assert_eq!(field["classes"], json!(["process.exec"]));
    assert_eq!(language["lists"], json!(["shells"]));
}

pub fn a_draft_is_tried_on_what_has_happened(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    let mut batch = vec![finding(new_id(), "bare", NOW, &[])];
    for n in 0..20 {
        let name = if n % 4 == 0 { "curl" } else { "sh" };
        batch.push(started(&format!("f{n}"), NOW + 1 + n, name, "x"));
    }
    store(lab, batch);
    let attempt = |body: Value| lab.admin.post("/api/v1/workbench/try", body);
    let report = attempt(json!({"text": DRAFT})).expect(200).json();
    assert_eq!(
        (
            &report["looked_at"],
            &report["matched"],
            &report["unjudged"]
        ),
        (&json!(21), &json!(5), &json!(1))
    );
    assert_eq!(report["by_rule"], json!({"curl-by-nginx": 5}));
    assert_eq!(report["findings"][0]["uid"], "f16");
    assert_eq!(report["truncated"], false);
    let line = json!({"class_uid": 1007, "activity_id": 1, "time": 1, "metadata": {"uid": "e1"},
        "process": {"name": "curl"}, "actor": {"process": {"name": "nginx"}}});
    let events = format!("{line}\n\nnonsense\n{line}\n");
    let report = attempt(json!({"text": DRAFT, "events": events}))
        .expect(200)
        .json();
    assert_eq!(
        (&report["looked_at"], &report["matched"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(report["lines"][1]["line"], 4);
    assert_eq!(report["bad_lines"][0]["line"], 3);
    attempt(json!({"text": "rules: []"})).problem(422);
    let why = attempt(json!({"text": DRAFT.replace("and", "adn")})).problem(422);
    assert!(!why.is_empty());
    // Nobody is shown findings of projects that are not theirs.
    let anna = lab.user("anna", &[(Some("payments"), Role::Author)]);
    let report = anna.post("/api/v1/workbench/try", json!({"text": DRAFT}));
    assert_eq!(report.expect(200).json()["looked_at"], 0);
}

pub fn a_finding_is_explained_by_its_rule(lab: &mut Lab) {
    let text = rule(
        "web-shell",
        "",
        "process.name == \"sh\" and process.pid > 9000",
    );
    define(
        &lab.admin,
        "rules",
        "web-shell",
        &text.replace("    projects: []\n", ""),
    );
    store(lab, vec![started("f", NOW, "sh", "sh -c id")]);
    let found = lab.admin.get("/api/v1/findings").expect(200).json();
    let id = found["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/findings/{id}/explanation");
    let view = lab.admin.get(&path).expect(200).json();
    assert_eq!(view["explanation"]["verdict"], "false");
    assert!(view["condition"].as_str().unwrap().contains("process.pid"));
    let parts = view["explanation"]["condition"].to_string();
    assert!(
        parts.contains("4711") && parts.contains("process.pid"),
        "{parts}"
    );
}
