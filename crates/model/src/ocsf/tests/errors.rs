//! What is no event, and how that is said.

use super::event_from_json;
use crate::Event;
use crate::ocsf::{MAX_ANCESTORS, MAX_EVENT_BYTES};
use proptest::prelude::*;

fn said(json: &str) -> String {
    match event_from_json(json.as_bytes(), 1) {
        Ok(event) => panic!("read as {event:?}"),
        Err(error) => error.to_string(),
    }
}

fn said_of(rest: &str) -> String {
    said(&format!(r#"{{"class_uid":1007,"activity_id":1,{rest}}}"#))
}

#[test]
fn every_error_names_its_place() {
    for (json, message) in [
        ("", "not JSON: EOF while parsing a value (column 0)"),
        ("{\"a\":}", "not JSON: expected value (column 6)"),
        ("[]", "expected an object, found an array"),
        ("{}", "class_uid: missing"),
        (r#"{"class_uid":1007}"#, "activity_id: missing"),
        (
            r#"{"class_uid":"1007"}"#,
            "class_uid: expected a whole number, found a string",
        ),
        (
            r#"{"class_uid":1007,"activity_id":2}"#,
            "class_uid: 1007 with activity_id 2 is no event class here",
        ),
    ] {
        assert_eq!(said(json), message);
    }
    for (rest, message) in [
        (
            r#""process":[]"#,
            "process: expected an object, found an array",
        ),
        (
            r#""process":{"file":"x"}"#,
            "process.file: expected an object, found a string",
        ),
        (r#""process":{"pid":-1}"#, "process.pid: -1 is out of range"),
        (
            r#""process":{"pid":1.5}"#,
            "process.pid: expected a whole number, found 1.5",
        ),
        (
            r#""process":{"name":{}}"#,
            "process.name: expected a string, found an object",
        ),
        (
            r#""process":{"ext":{"args":["a",1]}}"#,
            "process.ext.args[1]: expected a string, found a number",
        ),
        (
            r#""process":{"ancestry":[{},{"pid":"1"}]}"#,
            "process.ancestry[1].pid: expected a whole number, found a string",
        ),
        (
            r#""process":{"parent_process":{"ext":{"memfd":"no"}}}"#,
            "process.parent_process.ext.memfd: expected a boolean, found a string",
        ),
        (
            r#""process":{"ext":{"capabilities":["CAP_FLY"]}}"#,
            "process.ext.capabilities[0]: `CAP_FLY` is no capability",
        ),
        (
            r#""actor":{"user":{"uid":"root"}}"#,
            "actor.user.uid: `root` is no user id",
        ),
        (
            r#""unknown":["process.comandline"]"#,
            "unknown[0]: there is no field `process.comandline`",
        ),
        (
            r#""time":9223372036854775807"#,
            "time: 9223372036854775807 milliseconds are out of range",
        ),
    ] {
        assert_eq!(said_of(rest), message);
    }
    assert_eq!(
        said(r#"{"class_uid":4001,"activity_id":1,"dst_endpoint":{"ip":"1.2.3"}}"#),
        "dst_endpoint.ip: `1.2.3` is no IP address"
    );
    assert_eq!(
        said(r#"{"class_uid":4001,"activity_id":1,"dst_endpoint":{"port":65536}}"#),
        "dst_endpoint.port: 65536 is out of range"
    );
    assert_eq!(
        said(r#"{"class_uid":4001,"activity_id":1,"connection_info":{"protocol_name":"icmp"}}"#),
        "connection_info.protocol_name: expected `tcp` or `udp`, found `icmp`"
    );
    assert_eq!(
        said(r#"{"class_uid":4001,"activity_id":1,"status":"maybe"}"#),
        "status: `maybe` is no outcome"
    );
}

#[test]
fn values_in_messages_are_short_and_cannot_act() {
    let status = |status: &str| {
        said(&format!(
            r#"{{"class_uid":4001,"activity_id":1,"status":"{status}"}}"#
        ))
    };
    assert_eq!(status(r"\u001b[2J"), r"status: `\x1b[2J` is no outcome");
    let long = "é".repeat(61);
    let cut = "é".repeat(60);
    assert_eq!(status(&long), format!("status: `{cut}…` is no outcome"));
}

#[test]
fn limits() {
    let long = " ".repeat(MAX_EVENT_BYTES + 1);
    assert_eq!(said(&long), format!("longer than {MAX_EVENT_BYTES} bytes"));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(said(&deep).contains("recursion limit"), "{}", said(&deep));
    let ancestry = vec!["{}"; MAX_ANCESTORS + 1].join(",");
    let json =
        format!(r#"{{"class_uid":1007,"activity_id":1,"process":{{"ancestry":[{ancestry}]}}}}"#);
    let event: Event = event_from_json(json.as_bytes(), 1).unwrap();
    let mut ancestors = event.processes(crate::field::ProcessList::ProcessAncestors);
    assert_eq!(ancestors.by_ref().count(), MAX_ANCESTORS);
    assert!(ancestors.is_cut());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = event_from_json(&bytes, 1);
    }

    /// A valid event with one byte changed reads or is refused.
    #[test]
    fn no_damage_panics(at in 0usize..10_000, byte in any::<u8>()) {
        let mut json = br#"{"class_uid":1007,"activity_id":1,"time":1,"unknown":["process.tty"],"process":{"pid":1,"file":{"path":"/x","hashes":[{"algorithm_id":3,"value":"a"}]},"ancestry":[{"pid":9}]},"actor":{"user":{"uid":"3"}}}"#.to_vec();
        let at = at % json.len();
        json[at] = byte;
        let _ = event_from_json(&json, 1);
    }
}
