//! Exports: all of it, no more than one may see, and not at once.

use crate::lab::Lab;
use crate::world::{NOW, alarming, digested, finding, project, project_id, store, uids};
use picket_model::severity::Severity;
use picket_server::auth::Role;
use picket_store::new_id;
use serde_json::Value;
use std::io::{BufRead, BufReader};

/// Findings of the case in which not everything fits between server and reader,
const MANY: usize = 6_000;
/// with so many bytes each.
const LARGE: usize = 8 << 10;

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The records of a CSV, by another's reader, with the names of their columns.
fn records(text: &str) -> Vec<Value> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let records = reader.deserialize::<std::collections::BTreeMap<String, String>>();
    records
        .map(|record| serde_json::to_value(record.unwrap()).unwrap())
        .collect()
}

pub fn an_export_is_all_that_the_filters_find(lab: &mut Lab) {
    let sensor = new_id();
    let mut new: Vec<_> = (0..250)
        .map(|n| finding(sensor, &format!("f{n:03}"), NOW + n / 3, &[]))
        .collect();
    new[7].columns.severity = Severity::Critical;
    new[7].columns.process = Some("=cmd|'/c calc'!A1, \"x\"".to_owned());
    store(lab, new);
    let (mut listed, mut query) = (Vec::new(), "?limit=100".to_owned());
    loop {
        let page = lab.admin.get(&format!("/api/v1/findings{query}")).json();
        listed.extend(uids(&page));
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=100&cursor={next}"),
            None => break,
        }
    }
    let export = |query: &str| lab.admin.get(&format!("/api/v1/findings/export?{query}"));
    let whole = export("format=ocsf-jsonl").expect(200);
    assert_eq!(whole.header("content-type"), "application/jsonl");
    let exported: Vec<String> = lines(&whole.text)
        .iter()
        .map(|ocsf| ocsf["finding_info"]["uid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(exported, listed);
    let table = export("format=csv").expect(200);
    assert!(table.header("content-type").starts_with("text/csv"));
    let exported: Vec<String> = records(&table.text)
        .iter()
        .map(|record| record["uid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(exported, listed);
    let one = records(&export("format=csv&severity=critical").expect(200).text);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["process"], "'=cmd|'/c calc'!A1, \"x\"");
    assert_eq!(one[0]["severity"], "critical");
    assert_eq!(
        export("format=csv&rule=none")
            .expect(200)
            .text
            .lines()
            .count(),
        1
    );
    assert_eq!(export("format=ocsf-jsonl&rule=none").expect(200).text, "");
    for bad in ["", "format=xml", "format=csv&limit=5", "format=csv&form=1"] {
        export(bad).problem(400);
    }
    let audit = lab.admin.get("/api/v1/audit").json();
    let entries = audit["items"].as_array().unwrap();
    let told = |entry: &&Value| entry["action"] == "finding.export";
    assert_eq!(entries.iter().filter(told).count(), 5);
    assert!(
        entries[2]["detail"].to_string().contains("critical"),
        "{audit}"
    );
}

pub fn issues_are_exported_as_they_are_listed(lab: &mut Lab) {
    let new = (0..5).map(|n| alarming(&format!("f{n}"), NOW + n, &format!("p{n}"), &[]));
    digested(lab, new.collect(), 5);
    let listed = lab.admin.get("/api/v1/issues").json();
    let export = |format: &str| {
        let path = format!("/api/v1/issues/export?format={format}");
        lab.admin.get(&path).expect(200).text
    };
    assert_eq!(Value::from(lines(&export("jsonl"))), listed["items"]);
    let records = records(&export("csv"));
    for (record, issue) in records.iter().zip(listed["items"].as_array().unwrap()) {
        for column in ["id", "status", "title", "last_seen", "namespace"] {
            assert_eq!(record[column], issue[column]);
        }
        assert_eq!(record["count"], issue["count"].to_string());
    }
    assert_eq!(records.len(), 5);
}

pub fn an_export_holds_no_more_than_one_may_see(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    let payments = project_id(lab, "payments");
    let member = lab.user("mia", &[(Some("payments"), Role::Viewer)]);
    let new = vec![
        alarming("mine", NOW, "a", &[payments]),
        alarming("others", NOW + 1, "b", &[]),
    ];
    digested(lab, new, 2);
    let export = member.get("/api/v1/findings/export?format=csv").expect(200);
    let records = records(&export.text);
    assert_eq!((records.len(), &records[0]["uid"]), (1, &"mine".into()));
    let issues = member.get("/api/v1/issues/export?format=jsonl").expect(200);
    let issues = lines(&issues.text);
    assert_eq!((issues.len(), &issues[0]["fingerprint"]), (1, &"a".into()));
    let stranger = lab.user("sam", &[]);
    stranger
        .get("/api/v1/findings/export?format=csv")
        .problem(403);
    stranger
        .get("/api/v1/issues/export?format=csv")
        .problem(403);
}

/// What is deleted after the first line was read is not in the rest: it was not in memory.
pub fn an_export_is_read_as_it_is_taken(lab: &mut Lab) {
    let sensor = new_id();
    let text = "x".repeat(LARGE);
    for first in (0..MANY).step_by(500) {
        let new = (first..first + 500).map(|n| {
            let mut new = finding(sensor, &format!("f{n:05}"), NOW + n as i64, &[]);
            new.ocsf["text"] = text.as_str().into();
            new
        });
        store(lab, new.collect());
    }
    let path = "/api/v1/findings/export?format=ocsf-jsonl";
    let response = lab.admin.send("GET", path, &[], None);
    assert_eq!(response.status(), 200);
    assert!(response.headers().get("content-length").is_none());
    let mut body = BufReader::new(response.into_body().into_reader()).lines();
    let first = body.next().unwrap().unwrap();
    assert!(first.contains("f05999"));
    let runtime = &lab.runtime;
    while runtime
        .block_on(lab.store.delete_findings_before(NOW * 2, 1000))
        .unwrap()
        > 0
    {}
    let rest = body.map(Result::unwrap).count();
    assert!(rest > 0 && rest < MANY * 3 / 4, "{rest} of {MANY}");
}
