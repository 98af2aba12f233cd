//! Rules, policies, lists and projects.

use crate::lab::Lab;
use crate::world::{LIST, define, policy, project, rule, stage};
use picket_server::auth::Role;
use serde_json::json;

const PLAIN: &str = "process.name == \"x\"";

pub fn a_rule_goes_through_its_life(lab: &mut Lab) {
    let admin = &lab.admin;
    project(admin, "payments", "web-*");
    let text = rule("one", "payments", PLAIN);
    let new = json!({"name": "one", "body": text, "reason": "ticket 1"});
    let made = admin.post("/api/v1/rules", new.clone()).expect(201);
    let shown = made.json();
    assert_eq!(shown["stage"], "draft");
    assert_eq!(shown["projects"], json!(["payments"]));
    assert_eq!(shown["body"], text);
    assert_eq!(shown["changed_by"], "user:admin");
    assert_eq!(shown["reason"], "ticket 1");
    assert_eq!(shown["version"], 1);
    let again = admin.post("/api/v1/rules", new).problem(409);
    assert!(again.contains("already"), "{again}");

    // Two steps at once are none.
    let skip = json!({"stage": "block", "reason": "now"});
    admin
        .post_at("/api/v1/rules/one/stage", &made.etag(), skip)
        .problem(409);
    stage(admin, "rules", "one", "simulate");
    let etag = admin.get("/api/v1/rules/one").etag();
    let silent = admin
        .post_at("/api/v1/rules/one/stage", &etag, json!({"stage": "block"}))
        .problem(422);
    assert!(silent.contains("reason"), "{silent}");
    let etag = stage(admin, "rules", "one", "block");
    let listed = admin.get("/api/v1/rules?stage=block").expect(200).json();
    assert_eq!(listed["items"][0]["name"], "one");
    let gone = admin.delete("/api/v1/rules/one?reason=done", &etag);
    gone.expect(204);
    admin.get("/api/v1/rules/one").problem(404);
    // The name is free, and an old tag is no good for the new one.
    let text = rule("one", "payments", PLAIN);
    define(admin, "rules", "one", &text);
    let stale = admin.put("/api/v1/rules/one", &etag, json!({"body": text}));
    assert!(stale.problem(412).contains("deleted"));
}

pub fn errors_come_back_with_their_places(lab: &mut Lab) {
    let admin = &lab.admin;
    let text = rule("one", "", "process.nam == \"x\"");
    let new = json!({"name": "one", "body": text});
    let refused = admin.post("/api/v1/rules", new).expect(422).json();
    let told = &refused["diagnostics"][0];
    assert_eq!(told["file"], "rules/one.yaml");
    assert_eq!(
        (told["line"].as_u64(), told["severity"].as_str()),
        (Some(7), Some("error"))
    );
    assert!(told["code"].as_str().unwrap().starts_with("PK"));
    assert!(told["column"].as_u64().unwrap() > 10, "{told}");
    assert!(told["help"][0].as_str().unwrap().contains("process.name"));
    // Nothing of it stands.
    admin.get("/api/v1/rules/one").problem(404);

    for (kind, name, body, says) in [
        ("rules", "other", rule("one", "", PLAIN), "its id is"),
        ("rules", "one", rule("one", "nowhere", PLAIN), "no project"),
        ("lists", "l", rule("one", "", PLAIN), "no rule or policy"),
        ("rules", "UPPER", rule("one", "", PLAIN), "lower case"),
        (
            "policies",
            "p",
            policy("p", "missing", "", "block"),
            "missing",
        ),
    ] {
        let new = json!({"name": name, "body": body});
        let detail = admin.post(&format!("/api/v1/{kind}"), new).problem(422);
        assert!(detail.contains(says), "{detail}");
    }
}

pub fn a_stale_change_is_refused(lab: &mut Lab) {
    let admin = &lab.admin;
    let first = define(admin, "rules", "one", &rule("one", "", PLAIN));
    let body = |x: u32| json!({"body": rule("one", "", &format!("process.pid == {x}"))});
    let path = "/api/v1/rules/one";
    admin.call("PUT", path, &[], Some(&body(1))).problem(428);
    let second = admin.put(path, &first, body(1)).expect(200);
    assert_ne!(first, second.etag());
    for stale in [first.as_str(), "\"1\"", "*", ""] {
        admin.put(path, stale, body(2)).problem(412);
        admin.delete(path, stale).problem(412);
    }
    let now = admin.get(path).expect(200).json();
    assert_eq!(now["version"], 2);
    assert!(now["body"].as_str().unwrap().contains("pid == 1"));
}

pub fn of_two_writers_at_once_one_wins(lab: &mut Lab) {
    let admin = &lab.admin;
    let etag = define(admin, "rules", "one", &rule("one", "", PLAIN));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|x| {
                let (admin, etag) = (admin.clone(), etag.clone());
                let body = json!({"body": rule("one", "", &format!("process.pid == {x}"))});
                scope.spawn(move || admin.put("/api/v1/rules/one", &etag, body).status)
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let won = statuses.iter().filter(|status| **status == 200).count();
    let lost = statuses.iter().filter(|status| **status == 412).count();
    assert_eq!((won, lost), (1, 7), "{statuses:?}");
}

pub fn what_is_armed_is_for_those_who_may_arm(lab: &mut Lab) {
    let admin = &lab.admin;
    define(admin, "lists", "shells", LIST);
    define(
        admin,
        "rules",
        "one",
        &rule("one", "", "process.name in $shells"),
    );
    define(admin, "policies", "p", &policy("p", "one", "", "block"));
    for (kind, name) in [("rules", "one"), ("policies", "p")] {
        stage(admin, kind, name, "simulate");
    }
    let author = lab.user("author", &[(None, Role::Author)]);
    let armer = lab.user("armer", &[(None, Role::Armer)]);
    let to = |stage: &str| json!({"stage": stage, "reason": "test"});
    let etag = |path: &str| author.get(path).expect(200).etag();

    let path = "/api/v1/rules/one";
    let move_to = format!("{path}/stage");
    let refused = author
        .post_at(&move_to, &etag(path), to("block"))
        .problem(403);
    assert!(refused.contains("armer"), "{refused}");
    let by_put = json!({"body": rule("one", "", "process.name in $shells"), "stage": "block", "reason": "x"});
    author.put(path, &etag(path), by_put).problem(403);
    stage(&armer, "rules", "one", "block");
    stage(admin, "policies", "p", "block");

    // From here on the author changes nothing of what is blocked: not the rule, not its list.
    let next = json!({"body": rule("one", "", "process.pid > 1")});
    let refused = author.put(path, &etag(path), next.clone()).problem(403);
    assert!(refused.contains("rules/one.yaml"), "{refused}");
    let wider = json!({"body": "lists:\n  shells: [\"sh\", \"bash\", \"zsh\"]\n"});
    let list = "/api/v1/lists/shells";
    let refused = author.put(list, &etag(list), wider.clone()).problem(403);
    assert!(refused.contains("rules/one.yaml"), "{refused}");
    let file = json!({"name": "one.yaml", "text": rule("one", "", "process.pid > 1")});
    author
        .post("/api/v1/apply", json!({"files": [file]}))
        .problem(403);
    // A comment changes nothing.
    let remark = json!({"body": format!("# Interactive ones.\n{LIST}")});
    author.put(list, &etag(list), remark).expect(200);
    // An armer who is no author arms what others wrote, and writes nothing.
    armer.put(path, &etag(path), next.clone()).problem(403);
    // Taken back, it is the author's again.
    author
        .post_at(&move_to, &etag(path), to("simulate"))
        .expect(200);
    author.put(path, &etag(path), next).expect(200);
    author.put(list, &etag(list), wider).expect(200);
}

pub fn a_list_in_use_stays(lab: &mut Lab) {
    let admin = &lab.admin;
    let list = define(admin, "lists", "shells", LIST);
    let rule = define(
        admin,
        "rules",
        "one",
        &rule("one", "", "process.name in $shells"),
    );
    let refused = admin
        .delete("/api/v1/lists/shells", &list)
        .expect(422)
        .json();
    assert_eq!(refused["diagnostics"][0]["file"], "rules/one.yaml");
    let emptied = json!({"body": "lists: {}\n"});
    admin
        .put("/api/v1/lists/shells", &list, emptied)
        .problem(422);
    admin.delete("/api/v1/rules/one", &rule).expect(204);
    admin.delete("/api/v1/lists/shells", &list).expect(204);
}

pub fn projects_bound_their_members(lab: &mut Lab) {
    let admin = &lab.admin;
    project(admin, "payments", "web-*");
    project(admin, "other", "db-*");
    define(admin, "rules", "everywhere", &rule("everywhere", "", PLAIN));
    define(admin, "rules", "theirs", &rule("theirs", "other", PLAIN));
    let member = lab.user(
        "member",
        &[
            (Some("payments"), Role::Author),
            (Some("payments"), Role::Admin),
        ],
    );
    define(&member, "rules", "mine", &rule("mine", "payments", PLAIN));
    let listed = member.get("/api/v1/rules").expect(200).json();
    let names: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["everywhere", "mine"]);
    member.get("/api/v1/rules?project=other").problem(404);
    member.get("/api/v1/rules/theirs").problem(404);
    // For every sensor, or for another project too: not theirs to write.
    for projects in ["", "payments, other"] {
        let body = rule("wide", projects, PLAIN);
        let new = json!({"name": "wide", "body": body});
        member.post("/api/v1/rules", new).problem(403);
        let etag = member.get("/api/v1/rules/mine").etag();
        let moved = json!({"body": rule("mine", projects, PLAIN)});
        member.put("/api/v1/rules/mine", &etag, moved).problem(403);
    }
    let etag = member.get("/api/v1/rules/everywhere").etag();
    member
        .delete("/api/v1/rules/everywhere", &etag)
        .problem(403);

    // They may let others into their project, and nowhere else.
    admin
        .post("/api/v1/users", json!({"name": "bob"}))
        .expect(201);
    let grant = |project: Option<&str>| json!({"role": "viewer", "project": project});
    let path = "/api/v1/users/bob/grants";
    member.post(path, grant(Some("payments"))).expect(204);
    member.post(path, grant(Some("other"))).problem(403);
    member.post(path, grant(None)).problem(403);

    // A project in use stays, and a selector by nothing is none.
    let etag = admin.get("/api/v1/projects/payments").etag();
    let used = admin
        .delete("/api/v1/projects/payments", &etag)
        .problem(409);
    assert!(used.contains("rule mine"), "{used}");
    let empty = json!({"name": "all", "selector": {}});
    admin.post("/api/v1/projects", empty).problem(422);
    let preview = json!({"selector": {"hosts": ["web-*"]}});
    crate::world::sensor(lab, "web-1");
    crate::world::sensor(lab, "db-1");
    let seen = admin
        .post("/api/v1/project-preview", preview.clone())
        .expect(200)
        .json();
    assert_eq!(
        (seen["held"].as_u64(), seen["of"].as_u64()),
        (Some(1), Some(2))
    );
    assert_eq!(seen["sensors"][0]["host"], "web-1");
    let wide = json!({"selector": {"hosts": ["*"]}});
    let seen = member
        .post("/api/v1/project-preview", wide)
        .expect(200)
        .json();
    assert_eq!(
        (seen["held"].as_u64(), seen["of"].as_u64()),
        (Some(1), Some(1))
    );
    let sensors = member.get("/api/v1/sensors").expect(200).json();
    assert_eq!(sensors["items"].as_array().unwrap().len(), 1);
    assert_eq!(sensors["items"][0]["projects"], json!(["payments"]));
}

pub fn versions_and_diffs(lab: &mut Lab) {
    let admin = &lab.admin;
    let mut etag = define(admin, "rules", "one", &rule("one", "", "process.pid == 1"));
    for x in 2..=4 {
        let body = json!({"body": rule("one", "", &format!("process.pid == {x}")), "reason": format!("to {x}")});
        etag = admin
            .put("/api/v1/rules/one", &etag, body)
            .expect(200)
            .etag();
    }
    let page = admin
        .get("/api/v1/rules/one/versions?limit=3")
        .expect(200)
        .json();
    let of = |page: &serde_json::Value| -> Vec<i64> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["version"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(of(&page), [4, 3, 2]);
    assert_eq!(page["items"][0]["reason"], "to 4");
    let next = page["next"].as_str().unwrap();
    let rest = admin
        .get(&format!("/api/v1/rules/one/versions?cursor={next}"))
        .expect(200)
        .json();
    assert_eq!(of(&rest), [1]);
    assert!(rest.get("next").is_none());

    let diff = admin
        .get("/api/v1/rules/one/diff?from=1&to=4")
        .expect(200)
        .json();
    let text = diff["diff"].as_str().unwrap();
    assert!(
        text.contains("-    condition: 'process.pid == 1'\n"),
        "{text}"
    );
    assert!(
        text.contains("+    condition: 'process.pid == 4'\n"),
        "{text}"
    );
    let last = admin.get("/api/v1/rules/one/diff").expect(200).json();
    assert_eq!(
        (last["from"].as_i64(), last["to"].as_i64()),
        (Some(3), Some(4))
    );
    admin.get("/api/v1/rules/one/diff?from=9&to=4").problem(404);
    admin.get("/api/v1/rules/one/diff?from=x").problem(400);
    admin
        .get("/api/v1/rules/one/versions?cursor=zzz")
        .problem(400);
    admin.get("/api/v1/rules/one/versions?limit=0").problem(422);
}
