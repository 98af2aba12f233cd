//! The events of the contract, and what they must be read as.

use super::{again, parsed};
use crate::datum::Datum;
use crate::event::{EventUid, Status, TextList, Value};
use crate::field::{Field, ProcessList};
use crate::{Event, EventClass};

const EXEC: &str = r#"{"class_uid":1007,"activity_id":1,"time":1795400000000,"metadata":{"uid":"e1"},"device":{"hostname":"web-1"},"process":{"pid":4711,"name":"sh","file":{"path":"/usr/bin/dash"},"cmd_line":"sh -c id","working_directory":"/srv","ext":{"args":["sh","-c","id"],"memfd":false},"parent_process":{"pid":99,"name":"nginx","file":{"path":"/usr/sbin/nginx"},"cmd_line":"nginx: worker process"},"ancestry":[{"pid":99,"name":"nginx","file":{"path":"/usr/sbin/nginx"}},{"pid":1,"name":"systemd","file":{"path":"/usr/lib/systemd/systemd"}}]},"actor":{"process":{"pid":4711,"name":"nginx","file":{"path":"/usr/sbin/nginx"}},"user":{"name":"www-data","uid":"33"}}}"#;
const CONNECT: &str = r#"{"class_uid":4001,"activity_id":1,"time":1795400000001,"metadata":{"uid":"e2"},"actor":{"process":{"pid":4712,"name":"curl","file":{"path":"/usr/bin/curl"},"cmd_line":"curl http://198.51.100.7:4444/x","ancestry":[{"name":"sh","file":{"path":"/usr/bin/dash"}}]},"user":{"name":"www-data","uid":"33"}},"dst_endpoint":{"ip":"198.51.100.7","port":4444},"connection_info":{"protocol_name":"tcp"},"status":"Success"}"#;
const LISTEN: &str = r#"{"class_uid":4001,"activity_id":7,"time":1795400000002,"metadata":{"uid":"e3"},"actor":{"process":{"pid":4713,"name":"nc"}},"src_endpoint":{"ip":"0.0.0.0","port":4444},"connection_info":{"protocol_name":"tcp"}}"#;
const DNS: &str = r#"{"class_uid":4003,"activity_id":1,"time":1795400000003,"metadata":{"uid":"e4"},"actor":{"process":{"pid":4714,"name":"dig"}},"query":{"hostname":"x7f.example.net","type":"TXT"},"dst_endpoint":{"ip":"127.0.0.53","port":53}}"#;
const OPEN: &str = r#"{"class_uid":1001,"activity_id":14,"time":1795400000004,"metadata":{"uid":"e5"},"actor":{"process":{"pid":4715,"name":"vi"}},"file":{"path":"/etc/cron.d/job","name":"job","parent_folder":"/etc/cron.d","ext":{"open":{"read":true,"write":true,"create":false}}}}"#;

fn value<'e>(event: &'e Event, name: &str) -> Datum<Value<'e>> {
    event.value(Field::from_name(name).unwrap())
}

fn text(event: &Event, name: &str) -> Datum<String> {
    value(event, name).map(|value| match value {
        Value::Str(text) => text.to_owned(),
        Value::List(texts) => texts.iter().collect::<Vec<_>>().join("|"),
        Value::Int(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Ip(address) => address.to_string(),
    })
}

fn expect(event: &Event, fields: &[(&str, &str)]) {
    for (name, wanted) in fields {
        let found = text(event, name);
        assert_eq!(found, Datum::Known((*wanted).to_owned()), "{name}");
    }
    assert_eq!(&again(event), event);
}

fn names(event: &Event, list: ProcessList) -> Vec<String> {
    let name = |process: &crate::process::Process| match process.image.name.known() {
        Some(name) => name.to_string(),
        None => "?".to_owned(),
    };
    event.processes(list).map(name).collect()
}

#[test]
fn exec() {
    let event = parsed(EXEC);
    assert_eq!(event.class, EventClass::ProcessExec);
    assert_eq!(event.uid, EventUid::Text("e1".into()));
    assert_eq!(event.time_ns, 1_795_400_000_000_000_000);
    expect(
        &event,
        &[
            ("device.hostname", "web-1"),
            ("process.pid", "4711"),
            ("process.name", "sh"),
            ("process.path", "/usr/bin/dash"),
            ("process.cmd_line", "sh -c id"),
            ("process.args", "sh|-c|id"),
            ("process.memfd", "false"),
            ("process.working_directory", "/srv"),
            ("process.parent_process.cmd_line", "nginx: worker process"),
            ("actor.process.name", "nginx"),
            ("actor.user.name", "www-data"),
            ("actor.user.uid", "33"),
        ],
    );
    assert_eq!(value(&event, "process.tty"), Datum::Absent);
    let nginx = ["nginx", "systemd"];
    assert_eq!(names(&event, ProcessList::ProcessAncestors), nginx);
    // The actor names no ancestors of its own: it has the new image's.
    assert_eq!(names(&event, ProcessList::ActorAncestors), nginx);
}

#[test]
fn connect_and_listen() {
    let event = parsed(CONNECT);
    expect(
        &event,
        &[
            ("dst_endpoint.ip", "198.51.100.7"),
            ("dst_endpoint.port", "4444"),
            ("connection_info.protocol_name", "tcp"),
            ("status", "ok"),
            ("actor.process.path", "/usr/bin/curl"),
        ],
    );
    assert_eq!(names(&event, ProcessList::ActorAncestors), ["sh"]);
    assert_eq!(names(&event, ProcessList::ProcessAncestors), ["sh"]);
    let event = parsed(LISTEN);
    expect(
        &event,
        &[
            ("src_endpoint.ip", "0.0.0.0"),
            ("src_endpoint.port", "4444"),
        ],
    );
    assert_eq!(value(&event, "status"), Datum::Absent);
}

#[test]
fn dns_and_file() {
    expect(
        &parsed(DNS),
        &[
            ("query.hostname", "x7f.example.net"),
            ("query.type", "TXT"),
            ("dst_endpoint.port", "53"),
        ],
    );
    expect(
        &parsed(OPEN),
        &[
            ("file.path", "/etc/cron.d/job"),
            ("file.name", "job"),
            ("file.parent_folder", "/etc/cron.d"),
            ("file.open.write", "true"),
            ("file.open.create", "false"),
        ],
    );
}

#[test]
fn unknown_is_not_absent() {
    let event = parsed(
        r#"{"class_uid":1007,"activity_id":1,"unknown":["process.cmd_line","process.file.path",
        "process.parent_process.name","process.ancestors"],"process":{"cmd_line":"seen","name":null,
        "ancestry":[{"name":"sh","ext":{"unknown":["hash.sha256"],"truncated":["cmd_line"]},"cmd_line":"sh -"}]}}"#,
    );
    assert_eq!(value(&event, "process.cmd_line"), Datum::Unknown);
    assert_eq!(value(&event, "process.path"), Datum::Unknown);
    assert_eq!(value(&event, "process.parent_process.name"), Datum::Unknown);
    assert_eq!(value(&event, "process.parent_process.pid"), Datum::Absent);
    assert_eq!(value(&event, "process.name"), Datum::Absent);
    let mut ancestors = event.processes(ProcessList::ProcessAncestors);
    let sh = ancestors.next().unwrap();
    assert_eq!(sh.image.sha256, Datum::Unknown);
    assert_eq!(sh.image.cmd_line, Datum::Truncated("sh -".into()));
    assert!(ancestors.next().is_none() && ancestors.is_cut());
    assert_eq!(again(&event), event);
}

#[test]
fn the_actor_and_its_chain_can_be_unknown() {
    let event = parsed(r#"{"class_uid":4003,"activity_id":1,"unknown":["actor.process"]}"#);
    assert_eq!(value(&event, "actor.process.name"), Datum::Unknown);
    assert!(event.processes(ProcessList::ActorAncestors).is_cut());
    let event = parsed(
        r#"{"class_uid":4003,"activity_id":1,"unknown":["process.ancestors"],"actor":{"process":{}}}"#,
    );
    assert!(event.processes(ProcessList::ActorAncestors).is_cut());
}

#[test]
fn parents_are_the_chain_where_no_ancestry_is_given() {
    let event = parsed(
        r#"{"class_uid":1007,"activity_id":1,"process":{"name":"id","parent_process":
        {"name":"sh","parent_process":{"name":"nginx"}}},"actor":{"process":{"name":"sh"}}}"#,
    );
    assert_eq!(
        names(&event, ProcessList::ProcessAncestors),
        ["sh", "nginx"]
    );
    assert!(!event.processes(ProcessList::ProcessAncestors).is_cut());
    let event = parsed(
        r#"{"class_uid":1007,"activity_id":1,"process":{"ancestry":[{"name":"sh"}]},
        "actor":{"process":{"ancestry":[]}}}"#,
    );
    assert_eq!(value(&event, "process.parent_process.name"), Datum::Absent);
    assert_eq!(names(&event, ProcessList::ActorAncestors), [""; 0]);
    assert_eq!(again(&event), event);
}

#[test]
fn outcomes() {
    let status = |rest: &str| {
        let json = format!(r#"{{"class_uid":4001,"activity_id":1{rest}}}"#);
        parsed(&json).status()
    };
    let refused = Datum::Known(Status(111));
    assert_eq!(status(""), Datum::Absent);
    assert_eq!(status(r#","status":"Success""#), Datum::Known(Status(0)));
    assert_eq!(status(r#","status":"ok""#), Datum::Known(Status(0)));
    assert_eq!(status(r#","status_id":1"#), Datum::Known(Status(0)));
    assert_eq!(status(r#","status":"ECONNREFUSED""#), refused);
    assert_eq!(status(r#","status":"E524""#), Datum::Known(Status(524)));
    assert_eq!(
        status(r#","status":"Failure","status_detail":"ECONNREFUSED""#),
        refused
    );
    for unknown in [
        r#","status":"Failure""#,
        r#","status":"Failure","status_detail":"it did not work""#,
        r#","status_id":2"#,
        r#","status":"Success","unknown":["status"]"#,
    ] {
        assert_eq!(status(unknown), Datum::Unknown, "{unknown}");
    }
}

#[test]
fn what_others_write_is_understood() {
    let event = parsed(
        r#"{"class_uid":1007,"activity_id":1,"category_uid":1,"observables":[{"name":"x"}],
        "process":{"path":"/bin/x","session":{"terminal":"pts0"},"file":{"hashes":[
        {"algorithm_id":1,"value":"00"},{"algorithm":"SHA-256","value":"ABCD"}]},
        "ext":{"capabilities":["CAP_KILL"],"sha256":"ignored"}},"actor":{"user":{"uid":33}}}"#,
    );
    expect(
        &event,
        &[
            ("process.path", "/bin/x"),
            ("process.tty", "pts0"),
            ("process.hash.sha256", "abcd"),
            ("actor.user.uid", "33"),
        ],
    );
    let capabilities = value(&event, "process.capabilities");
    assert_eq!(
        capabilities,
        Datum::Known(Value::List(TextList::Capabilities(1 << 5)))
    );
    assert_eq!(event.uid.to_string(), "line-7");
    assert_eq!(event.time_ns, 0);
    let mapped = parsed(
        r#"{"class_uid":4001,"activity_id":1,"dst_endpoint":{"ip":"::ffff:192.0.2.1"},
        "connection_info":{"protocol_name":"TCP"}}"#,
    );
    expect(
        &mapped,
        &[
            ("dst_endpoint.ip", "192.0.2.1"),
            ("connection_info.protocol_name", "tcp"),
        ],
    );
    let named =
        parsed(r#"{"class_uid":1001,"activity_id":4,"file":{"name":"a","parent_folder":"/b/"}}"#);
    expect(&named, &[("file.path", "/b/a")]);
    let query = parsed(r#"{"class_uid":4003,"activity_id":1,"query":{"hostname":"a.example."}}"#);
    expect(&query, &[("query.hostname", "a.example")]);
}

#[test]
fn written_in_one_stable_order() {
    let json = crate::ocsf::event_to_json(&parsed(CONNECT)).to_string();
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(
        r#"{{"class_uid":4001,"activity_id":1,"type_uid":400101,"category_uid":4,"severity_id":1,"time":1795400000001,"metadata":{{"uid":"e2","version":"1.6.0","product":{{"name":"Picket","vendor_name":"Picket","version":"{version}"}}}},"#
    );
    let tail = r#""actor":{"process":{"pid":4712,"name":"curl","file":{"path":"/usr/bin/curl"},"cmd_line":"curl http://198.51.100.7:4444/x","ancestry":[{"name":"sh","file":{"path":"/usr/bin/dash"}}]},"user":{"name":"www-data","uid":"33"}},"dst_endpoint":{"ip":"198.51.100.7","port":4444},"connection_info":{"protocol_name":"tcp"},"status":"Success","status_id":1}"#;
    assert_eq!(json, head + tail);
}
