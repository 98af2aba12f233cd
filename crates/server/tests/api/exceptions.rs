//! Exceptions: previewed, made, and what they then hide.

use crate::lab::Lab;
use crate::world;
use picket_engine::{Program, Verdicts};
use picket_lang::{Limits, Source, check};
use picket_model::finding::{Disposition, Finding};
use picket_model::severity::Severity;
use picket_model::{Event, ocsf};
use picket_server::auth::Role;
use picket_server::fleet::Library;
use picket_store::{
    DefinitionFilter, Delivered, FindingColumns, Fingerprint, NewFinding, PageSize, Uuid, new_id,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const CONDITION: &str = "process.name == \"sh\"";

fn event(number: usize, path: &str, parent: &str) -> Event {
    let time = world::NOW / 1000 + number as i64;
    let json = json!({
        "class_uid": 1007, "activity_id": 1, "time": time,
        "metadata": {"uid": format!("e-{number}")},
        "device": {"hostname": format!("web-{}", number % 3)},
        "process": {"name": "sh", "pid": 100 + number, "file": {"path": path},
            "cmd_line": format!("sh -c {number}"), "ext": {"start_ns": 1},
            "parent_process": {"name": "p", "file": {"path": parent}}},
        "actor": {"process": {"name": "p", "file": {"path": parent}}},
    });
    ocsf::event_from_json(json.to_string().as_bytes(), 1).unwrap()
}

/// The rule, compiled as sensors compile it, out of the bundle that they get.
fn program(lab: &Lab) -> Program {
    let all = DefinitionFilter::default();
    let page = lab
        .store
        .definitions(&all, None, PageSize::new(500).unwrap());
    let definitions = lab.runtime.block_on(page).unwrap().items;
    let composed = Library::of(definitions).compose(&BTreeSet::new()).unwrap();
    let sources: Vec<Source> = composed
        .files
        .iter()
        .map(|file| Source::new(file.name.as_str(), file.text.as_str()))
        .collect();
    Program::compile(check(&sources, &Limits::default()).rules)
}

fn matches(program: &Program, event: &Event) -> bool {
    let (mut scratch, mut verdicts) = (program.scratch(), Verdicts::default());
    program.evaluate(event, &mut scratch, &mut verdicts);
    assert!(verdicts.undecided.is_empty());
    !verdicts.matched.is_empty()
}

/// Stores what the rule finds in the events; ids by event.
fn found(lab: &Lab, events: &[Event]) -> Vec<Uuid> {
    let program = program(lab);
    let sensor = new_id();
    let findings: Vec<NewFinding> = events
        .iter()
        .map(|event| {
            assert!(matches(&program, event));
            let finding = Finding {
                rule: Arc::clone(&program.rules()[0].info),
                event: Arc::new(event.clone()),
                decisions: Vec::new(),
            };
            let ocsf: Value =
                serde_json::from_str(&ocsf::finding_to_json(&finding).to_string()).unwrap();
            NewFinding {
                sensor,
                uid: event.uid.to_string(),
                columns: FindingColumns {
                    time: event.time_ns / 1000,
                    severity: Severity::High,
                    disposition: Disposition::Logged,
                    rule: "shells".to_owned(),
                    host: "web-1".to_owned(),
                    container: None,
                    image: None,
                    user: None,
                    process: None,
                    fingerprint: Fingerprint {
                        version: 2,
                        value: "f".to_owned(),
                    },
                },
                projects: Vec::new(),
                ocsf,
                facts: json!({"title": "t", "issue": true}),
            }
        })
        .collect();
    let stored = lab.store.store_findings(findings, world::NOW);
    let stored = lab.runtime.block_on(stored).unwrap();
    let id = |one: &Delivered| match one {
        Delivered::New(id) => *id,
        other => panic!("{other:?}"),
    };
    stored.iter().map(id).collect()
}

pub fn a_preview_is_what_an_exception_then_hides(lab: &mut Lab) {
    let admin = &lab.admin;
    let rule = world::rule("shells", "", CONDITION);
    world::define(admin, "rules", "shells", &rule);
    world::stage(admin, "rules", "shells", "simulate");
    let paths = ["/bin/sh", "/opt/a/sh", "/opt/b/sh"];
    let parents = ["/usr/sbin/cron", "/usr/sbin/nginx"];
    let events: Vec<Event> = (0..24)
        .map(|number| event(number, paths[number % 3], parents[number % 2]))
        .collect();
    let ids = found(lab, &events);
    // One that did not come from an event of ours.
    let mut strange = world::finding(new_id(), "x/shells", world::NOW, &[]);
    strange.columns.rule = "shells".to_owned();
    world::store(lab, vec![strange]);

    let exceptions = [
        json!({"fields": ["process.path"], "values": [["/bin/sh"]]}),
        json!({"fields": ["process.path", "actor.process.path"], "comps": ["startswith", "=="],
            "values": [["/opt/", "/usr/sbin/cron"]]}),
        json!({"fields": ["process.cmd_line"], "comps": ["endswith"], "values": [["7"], ["-c 3"]]}),
        json!({"fields": ["process.path"], "values": [["/nowhere"]]}),
    ];
    for (number, body) in exceptions.into_iter().enumerate() {
        let mut body = body;
        let name = format!("one-{number}");
        let given = world::exception(&name);
        for key in ["name", "expires_at", "reason"] {
            body[key] = given[key].clone();
        }
        let shown = admin.post("/api/v1/rules/shells/exceptions/preview", body.clone());
        let shown = shown.expect(200).json();
        assert_eq!(
            (&shown["looked_at"], &shown["unjudged"]),
            (&json!(25), &json!(1))
        );
        let told: BTreeSet<&str> = shown["hidden_findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        // A preview changes nothing.
        assert!(events.iter().all(|event| matches(&program(lab), event)));

        admin
            .post("/api/v1/rules/shells/exceptions", body)
            .expect(201);
        let program = program(lab);
        let hidden: BTreeSet<String> = events
            .iter()
            .zip(&ids)
            .filter(|(event, _)| !matches(&program, event))
            .map(|(_, id)| id.to_string())
            .collect();
        let hidden: BTreeSet<&str> = hidden.iter().map(String::as_str).collect();
        assert_eq!(told, hidden, "{name}");
        assert_eq!(shown["hidden"], hidden.len());
        assert_eq!(shown["kept"], 24 - hidden.len());
        let one = format!("/api/v1/exceptions/{name}");
        let tag = admin.get(&one).expect(200).etag();
        admin.delete(&one, &tag).expect(204);
    }
}

pub fn a_rule_that_floods_is_told_with_what_would_quiet_it(lab: &mut Lab) {
    let admin = &lab.admin;
    let rule = world::rule("shells", "", CONDITION);
    world::define(admin, "rules", "shells", &rule);
    world::stage(admin, "rules", "shells", "simulate");
    // Sixteen of cron's, and four others.
    let mut events: Vec<Event> = (0..20)
        .map(|number| match number {
            0..16 => event(number, "/bin/sh", "/usr/sbin/cron"),
            _ => event(number, &format!("/opt/{number}/sh"), "/usr/sbin/nginx"),
        })
        .collect();
    let recent = jiff::Timestamp::now().as_microsecond() * 1000 - 60_000_000_000;
    for (event, number) in events.iter_mut().zip(0..) {
        event.time_ns = recent / 1_000_000 * 1_000_000 + number * 1_000_000;
    }
    found(lab, &events);
    let noisy = |per_hour: u32| {
        let path = format!("/api/v1/noisy-rules?per_hour={per_hour}");
        admin.get(&path).expect(200).json()
    };
    assert_eq!(noisy(20), json!([]));
    let told = noisy(5);
    let one = &told[0];
    assert_eq!(
        (&one["rule"], &one["findings"]),
        (&json!("shells"), &json!(20))
    );
    let exceptions = one["exceptions"].as_array().unwrap();
    assert!(!exceptions.is_empty() && exceptions.len() <= 3, "{told:#}");
    let first = &exceptions[0];
    assert_eq!(
        first["fields"],
        json!(["process.path", "actor.process.path"]),
        "{told:#}"
    );
    assert_eq!(first["values"], json!([["/bin/sh", "/usr/sbin/cron"]]));
    assert_eq!(
        (&first["hides"], &first["left_per_hour"]),
        (&json!(16), &json!(4.0))
    );
    // Made, it does what was told.
    let mut body = world::exception("cron");
    body["fields"] = first["fields"].clone();
    body["values"] = first["values"].clone();
    let shown = admin.post("/api/v1/rules/shells/exceptions/preview", body);
    assert_eq!(shown.expect(200).json()["hidden"], 16);
}

pub fn exceptions_are_proposed_bound_and_owned(lab: &mut Lab) {
    let admin = &lab.admin;
    let rule = world::rule("shells", "", CONDITION);
    world::define(admin, "rules", "shells", &rule);
    world::stage(admin, "rules", "shells", "simulate");
    let events: Vec<Event> = (0..4)
        .map(|number| {
            let parent = if number < 3 {
                "/usr/sbin/cron"
            } else {
                "/usr/sbin/nginx"
            };
            event(number, "/bin/sh", parent)
        })
        .collect();
    let ids = found(lab, &events);
    let of = |path: &str| admin.get(path).expect(200).json();
    let proposed = of(&format!("/api/v1/findings/{}/exception-proposals", ids[0]));
    let proposals = proposed["proposals"].as_array().unwrap();
    let widest = proposals.last().unwrap();
    assert_eq!(proposals[0]["preview"]["hidden"], 1, "{proposed:#}");
    assert_eq!(widest["fields"], json!(["process.path"]), "{proposed:#}");
    assert_eq!(widest["preview"]["hidden"], 4);

    // Bound to the text, not to the stage.
    let wanted = world::exception("cron");
    let made = admin.post("/api/v1/rules/shells/exceptions", wanted.clone());
    let made = made.expect(201).json();
    assert_eq!(
        (&made["state"], &made["owner"]),
        (&json!("in_force"), &json!("user:admin"))
    );
    let state = || of("/api/v1/exceptions/cron")["state"].clone();
    world::stage(admin, "rules", "shells", "draft");
    world::stage(admin, "rules", "shells", "simulate");
    assert_eq!(state(), "in_force");
    let tag = admin.get("/api/v1/rules/shells").expect(200).etag();
    let next = world::rule("shells", "", "process.name == \"sh\" and process.pid > 1");
    admin
        .put(
            "/api/v1/rules/shells",
            &tag,
            json!({"body": next, "reason": "test"}),
        )
        .expect(200);
    assert_eq!(state(), "stale");
    let one = "/api/v1/exceptions/cron";
    let tag = admin.get(one).expect(200).etag();
    admin.put(one, &tag, wanted).expect(200);
    assert_eq!(state(), "in_force");
    assert_eq!(of("/api/v1/exceptions")[0]["name"], "cron");

    // What is wrong is refused, with the checker's words.
    let wrong = |key: &str, value: Value| {
        let mut body = world::exception("wrong");
        body[key] = value;
        admin
            .post("/api/v1/rules/shells/exceptions", body)
            .expect(422)
            .text
    };
    assert!(wrong("fields", json!(["dst_endpoint.port"])).contains("dst_endpoint.port"));
    assert!(wrong("values", json!([["a", "b"]])).contains("1"));
    wrong("expires_at", json!("2020-01-01T00:00:00Z"));
    wrong("expires_at", Value::Null);
    wrong("reason", json!(""));

    // What an armed rule leaves alone is an armer's to say.
    world::stage(admin, "rules", "shells", "block");
    let author = lab.user("author", &[(None, Role::Author)]);
    let more = world::exception("more");
    author
        .post("/api/v1/rules/shells/exceptions", more.clone())
        .expect(403);
    let tag = author.get(one).expect(200).etag();
    author.delete(one, &tag).expect(403);
    lab.admin
        .post("/api/v1/rules/shells/exceptions", more)
        .expect(201);
}
