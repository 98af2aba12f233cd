//! Folders of rule files.

use crate::lab::Lab;
use crate::world::{policy, rule, stage};
use picket_server::auth::Role;
use serde_json::{Value, json};

const PLAIN: &str = "process.name == \"x\"";

/// A rule file with two rules, a policy, and a list that they share.
fn site() -> String {
    format!(
        "lists:\n  shells: [\"sh\"]\n{}{}\n{}",
        rule("one", "", "process.name in $shells"),
        rule("two", "", "process.name in $shells and process.pid > 1")
            .strip_prefix("rules:\n")
            .unwrap(),
        policy("stop", "one", "", "block"),
    )
}

fn file(name: &str, text: &str) -> Value {
    json!({"name": name, "text": text})
}

fn changes(answer: &Value) -> Vec<String> {
    let list = answer["changes"].as_array().unwrap();
    list.iter()
        .map(|change| {
            let word = |key: &str| change[key].as_str().unwrap_or("-").to_owned();
            [word("change"), word("kind"), word("name"), word("stage")].join(" ")
        })
        .collect()
}

pub fn a_folder_is_applied_once(lab: &mut Lab) {
    let admin = &lab.admin;
    let apply = |dry_run: bool, stage: Option<&str>| {
        let files = [file("site.yaml", &site())];
        let body =
            json!({"files": files, "dry_run": dry_run, "stage": stage, "reason": "commit 1"});
        admin.post("/api/v1/apply", body).expect(200).json()
    };
    let wanted = [
        "create list site -",
        "create rule one draft",
        "create rule two draft",
        "create policy stop draft",
    ];
    let dry = apply(true, None);
    assert_eq!(changes(&dry), wanted);
    let diff = dry["changes"][1]["diff"].as_str().unwrap();
    assert!(
        diff.contains("+++ b/rules/one.yaml") && diff.contains("+  - id: one"),
        "{diff}"
    );
    admin.get("/api/v1/rules/one").problem(404);
    assert_eq!(changes(&apply(false, None)), wanted);
    let one = admin.get("/api/v1/rules/one").expect(200).json();
    assert_eq!(one["reason"], "commit 1");
    let again = apply(false, None);
    assert_eq!(
        (changes(&again), again["unchanged"].as_u64()),
        (vec![], Some(4))
    );
    let moved = changes(&apply(false, Some("simulate")));
    assert_eq!(
        moved,
        [
            "change rule one simulate",
            "change rule two simulate",
            "change policy stop simulate"
        ]
    );
    // A folder moves nothing back, and arms nothing.
    stage(admin, "rules", "one", "block");
    assert_eq!(changes(&apply(false, Some("draft"))), Vec::<String>::new());
    let arm = json!({"files": [], "stage": "block"});
    admin.post("/api/v1/apply", arm).problem(422);
    // Whoever may only look may ask what would change.
    let viewer = lab.user("viewer", &[(None, Role::Viewer)]);
    let body = |dry_run: bool| json!({"files": [file("site.yaml", &rule("one", "", PLAIN))], "dry_run": dry_run});
    let dry = viewer.post("/api/v1/apply", body(true)).expect(200).json();
    assert_eq!(changes(&dry), ["change rule one block"]);
    viewer.post("/api/v1/apply", body(false)).problem(403);
}

pub fn what_is_wrong_is_applied_not_at_all(lab: &mut Lab) {
    let admin = &lab.admin;
    let good = file("good.yaml", &rule("good", "", PLAIN));
    for (bad, says) in [
        (
            file("bad.yaml", &rule("bad", "", "process.nam == \"x\"")),
            "rules/bad.yaml",
        ),
        (
            file("bad.yaml", &rule("good", "", PLAIN)),
            "both give the rule good",
        ),
        (
            file("bad.yaml", &rule("bad", "nowhere", PLAIN)),
            "no project",
        ),
        (file("bad.yaml", &rule("Bad", "", PLAIN)), "lower case"),
        (file("bad.yaml", "rules: ["), "bad.yaml"),
        (file("bad.yaml", "rules: [{id: a}, {id: b}]"), "bad.yaml:1"),
    ] {
        let body = json!({"files": [good, bad]});
        let detail = admin.post("/api/v1/apply", body).problem(422);
        assert!(detail.contains(says), "{detail}");
        admin.get("/api/v1/rules/good").problem(404);
    }
}

pub fn pruning_takes_out_what_is_gone(lab: &mut Lab) {
    let admin = &lab.admin;
    let apply = |files: Vec<Value>, prune: bool| {
        let body = json!({"files": files, "prune": prune});
        changes(&admin.post("/api/v1/apply", body).expect(200).json())
    };
    apply(vec![file("site.yaml", &site())], false);
    let only = || vec![file("two.yaml", &rule("two", "", PLAIN))];
    assert_eq!(apply(only(), false), ["change rule two draft"]);
    assert_eq!(
        apply(only(), true),
        [
            "delete policy stop draft",
            "delete rule one draft",
            "delete list site -"
        ]
    );
    assert_eq!(apply(only(), true), Vec::<String>::new());
}

pub fn what_is_exported_is_what_stands(lab: &mut Lab) {
    let admin = &lab.admin;
    let body = json!({"files": [file("site.yaml", &site())], "stage": "simulate"});
    admin.post("/api/v1/apply", body).expect(200);
    let out = admin.get("/api/v1/export").expect(200).json();
    let files = out["files"].as_array().unwrap();
    let names: Vec<&str> = files
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "rules/one.yaml",
            "lists/site.yaml",
            "policies/stop.yaml",
            "rules/two.yaml"
        ]
    );
    let back = json!({"files": files, "prune": true});
    let again = admin.post("/api/v1/apply", back).expect(200).json();
    assert_eq!(
        (changes(&again), again["unchanged"].as_u64()),
        (vec![], Some(4))
    );
    // Drafts are not in force: they come if they are asked for.
    let more = json!({"files": [file("d.yaml", &rule("d", "", PLAIN))]});
    admin.post("/api/v1/apply", more).expect(200);
    let count = |query: &str| {
        let out = admin
            .get(&format!("/api/v1/export{query}"))
            .expect(200)
            .json();
        out["files"].as_array().unwrap().len()
    };
    assert_eq!((count(""), count("?drafts=true")), (4, 5));
}
