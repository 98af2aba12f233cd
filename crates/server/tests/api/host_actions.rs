//! Orders to hosts, as far as a server goes without a sensor.

use crate::lab::Lab;
use crate::world;
use picket_server::auth::Role;
use picket_store::{HostActionAnswer, HostActionState};
use serde_json::json;

pub fn orders_are_checked_given_and_seen_by_those_who_may(lab: &mut Lab) {
    let admin = &lab.admin;
    world::project(admin, "web", "web-*");
    world::project(admin, "db", "db-*");
    let sensor = world::sensor(lab, "web-1");
    let place = format!("/api/v1/sensors/{sensor}/actions");

    let wrong = [
        json!({"action": {"kind": "isolate_host"}, "reason": "no lease"}),
        json!({"action": {"kind": "isolate_host", "allow": ["10.0.0.0/99"]}, "lease_seconds": 60, "reason": "r"}),
        json!({"action": {"kind": "kill_tree", "process": {"pid": 1, "start_ns": 1}}, "reason": "init"}),
        json!({"action": {"kind": "quarantine_file", "path": "/x", "file": {"inode": 7}}, "reason": "no path"}),
        json!({"action": {"kind": "shell", "command": "id"}, "reason": "no such thing"}),
        json!({"action": {"kind": "isolate_host"}, "lease_seconds": 60, "reason": " "}),
    ];
    for body in wrong {
        admin.post(&place, body).expect(422);
    }

    // To look is a responder's, to act an armer's.
    let process = json!({"pid": 4_000_000, "start_ns": 1});
    let look =
        json!({"action": {"kind": "collect_forensics", "process": process}, "reason": "case 7"});
    let responder = lab.user("rita", &[(Some("web"), Role::Responder)]);
    responder.post(&place, look).expect(202);
    responder.post(&place, world::kill_tree()).expect(403);
    let armer = lab.user("arne", &[(Some("web"), Role::Armer)]);
    let given = armer.post(&place, world::isolate()).expect(202).json();
    assert_eq!(
        (&given["state"], &given["actor"]),
        (&json!("queued"), &json!("user:arne"))
    );

    let id = given["id"].as_str().unwrap();
    let one = format!("/api/v1/host-actions/{id}");
    let listed = responder.get(&place).expect(200).json();
    assert_eq!(listed["items"][0]["id"], given["id"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let elsewhere = lab.user("eve", &[(Some("db"), Role::Admin)]);
    elsewhere.get(&one).expect(404);
    elsewhere.post(&place, world::isolate()).expect(404);

    // What came of it.
    let answer = HostActionAnswer {
        id: id.parse().unwrap(),
        state: HostActionState::Done,
        at: world::NOW,
        why: String::new(),
        result: json!({"server": ["192.0.2.1"]}),
    };
    let answered = lab.store.action_answered(sensor, answer);
    assert!(lab.runtime.block_on(answered).unwrap());
    let done = responder.get(&one).expect(200).json();
    assert_eq!(
        (&done["state"], &done["result"]["server"][0]),
        (&json!("done"), &json!("192.0.2.1"))
    );
    let back = responder.post(&format!("{one}/undo"), json!({"reason": "clean"}));
    let back = back.expect(202).json();
    assert_eq!(
        (&back["kind"], &back["action"]["order"]),
        (&json!("undo"), &given["id"])
    );
    let undo_of_undo = format!("/api/v1/host-actions/{}/undo", back["id"].as_str().unwrap());
    responder
        .post(&undo_of_undo, json!({"reason": "no"}))
        .expect(409);

    let log = lab.admin.get("/api/v1/audit").expect(200).json();
    let deeds: Vec<&str> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .filter(|deed| deed.starts_with("host_action"))
        .collect();
    assert_eq!(
        deeds,
        [
            "host_action.order",
            "host_action.done",
            "host_action.order",
            "host_action.order"
        ]
    );
}
