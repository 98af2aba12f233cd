//! Findings as sensors write them, made ready for the store. The one way in, for
//! sensors at the stream and for the one in `picket up`.

use crate::digest::Facts;
use crate::projects::Selector;
use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{
    DefinitionFilter, FindingColumns, Fingerprint, Kind, Labels, Micros, NewFinding, PageSize,
    Result, Store, Uuid, limits,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The recipe of [`fingerprint`]: a change of it is a new number. Version 1 had the
/// program in it: one attack was then many issues.
const FINGERPRINT_VERSION: i64 = 2;

/// Every project with its selector: what a finding's projects are found by.
#[derive(Debug, Clone, Default)]
pub struct ProjectBook(Vec<(Uuid, String, Selector)>);

impl ProjectBook {
    /// As the store has them now. Read it again upon `Change::Definitions`.
    pub async fn read(store: &dyn Store) -> Result<ProjectBook> {
        let filter = DefinitionFilter {
            kind: Some(Kind::Project),
            ..DefinitionFilter::default()
        };
        let mut book = Vec::new();
        let mut after = None;
        loop {
            let page = store
                .definitions(&filter, after, PageSize::new(limits::MAX_PAGE)?)
                .await?;
            for project in page.items {
                // The API checks selectors before they are stored.
                match Selector::parse(&project.content.body) {
                    Ok(selector) => book.push((project.id, project.name, selector)),
                    Err(why) => tracing::error!(project = project.name, why, "a bad selector"),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(ProjectBook(book));
            }
        }
    }

    /// The id of the project of a name.
    pub fn id(&self, name: &str) -> Option<Uuid> {
        let mut all = self.0.iter();
        all.find_map(|(id, known, _)| (known == name).then_some(*id))
    }

    /// The projects that a sensor is in, by id and name.
    pub fn of_sensor(&self, host: &str, labels: &Labels) -> Vec<(Uuid, &str)> {
        self.0
            .iter()
            .filter(|(_, _, selector)| selector.holds(host, labels))
            .map(|(id, name, _)| (*id, name.as_str()))
            .collect()
    }

    /// The projects that a sensor's finding is in.
    fn of_finding(&self, from: &Origin<'_>, finding: &Value) -> Vec<Uuid> {
        let namespace = text(finding, "/evidences/0/container/ext/k8s/namespace");
        let image = text(finding, "/evidences/0/container/image/name");
        self.0
            .iter()
            .filter(|(_, _, selector)| {
                selector.holds(from.host, from.labels) && selector.holds_finding(namespace, image)
            })
            .map(|(id, _, _)| *id)
            .take(limits::MAX_PROJECTS)
            .collect()
    }
}

/// Who delivers: from the certificate and the store, not from the finding.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The sensor.
    pub sensor: Uuid,
    /// Its host's name, as it enrolled.
    pub host: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
}

/// Reads what the store looks findings up by out of a Detection Finding. Says what is
/// missing if it is none.
pub fn read(
    finding: Value,
    from: &Origin<'_>,
    projects: &ProjectBook,
) -> std::result::Result<NewFinding, &'static str> {
    let uid = text(&finding, "/finding_info/uid").ok_or("it has no finding_info.uid")?;
    let rule = text(&finding, "/finding_info/analytic/uid")
        .ok_or("it has no finding_info.analytic.uid")?;
    let time = finding
        .get("time")
        .and_then(Value::as_i64)
        .ok_or("it has no time")?;
    let severity = finding.get("severity_id").and_then(Value::as_u64);
    let severity = Severity::ALL
        .into_iter()
        .find(|known| Some(u64::from(known.id())) == severity)
        .ok_or("its severity_id is none from 1 to 5")?;
    let blocked = u64::from(Disposition::Blocked.id());
    let disposition = match finding.get("disposition_id").and_then(Value::as_u64) {
        Some(id) if id == blocked => Disposition::Blocked,
        _ => Disposition::Logged,
    };
    // What it says of its host is in the JSON; a column that people are warned by is
    // from the server's own books.
    let host = from.host;
    let first = |places: &[&str]| {
        places
            .iter()
            .find_map(|place| text(&finding, place))
            .map(str::to_owned)
    };
    let process = first(&[
        "/evidences/0/process/file/path",
        "/evidences/0/process/name",
        "/evidences/0/actor/process/file/path",
        "/evidences/0/actor/process/name",
    ]);
    let container = first(&["/evidences/0/container/uid"]);
    let image = first(&["/evidences/0/container/image/name"]);
    let facts = Facts::of(&finding);
    let fingerprint = fingerprint(&[
        rule,
        host,
        facts.namespace.as_deref().unwrap_or_default(),
        image.as_deref().unwrap_or_default(),
    ]);
    Ok(NewFinding {
        sensor: from.sensor,
        uid: uid.to_owned(),
        columns: FindingColumns {
            time: micros(time),
            severity,
            disposition,
            rule: rule.to_owned(),
            host: host.to_owned(),
            container,
            image,
            user: first(&[
                "/evidences/0/actor/user/name",
                "/evidences/0/actor/user/uid",
            ]),
            fingerprint,
            process,
        },
        projects: projects.of_finding(from, &finding),
        facts: facts.written(),
        ocsf: finding,
    })
}

/// OCSF times are milliseconds.
fn micros(milliseconds: i64) -> Micros {
    milliseconds.saturating_mul(1000)
}

fn text<'v>(value: &'v Value, place: &str) -> Option<&'v str> {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// What the same thing happening again has in common: rule, host, namespace, image.
fn fingerprint(parts: &[&str]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let value = hash.finalize()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Fingerprint {
        version: FINGERPRINT_VERSION,
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn finding() -> Value {
        json!({
            "time": 1_795_400_000_000_i64, "severity_id": 4, "disposition_id": 2,
            "finding_info": {"uid": "e1/web-shell", "analytic": {"uid": "web-shell"}},
            "evidences": [{
                "device": {"hostname": "another"},
                "process": {"name": "sh", "file": {"path": "/usr/bin/dash"}},
                "actor": {"user": {"uid": "33"}},
                "container": {
                    "uid": "c0", "image": {"name": "shop:1"},
                    "ext": {"k8s": {"namespace": "payments"}},
                },
            }],
        })
    }

    fn read_from(host: &str, finding: Value) -> std::result::Result<NewFinding, &'static str> {
        let labels = Labels::new();
        let id = picket_store::new_id();
        let selector = Selector::parse(r#"{"hosts": ["web-*"], "namespaces": ["pay*"]}"#);
        let book = ProjectBook(vec![(id, "payments".to_owned(), selector.unwrap())]);
        let from = Origin {
            sensor: id,
            host,
            labels: &labels,
        };
        read(finding, &from, &book)
    }

    #[test]
    fn columns_come_from_the_finding_and_the_host_from_the_books() {
        let new = read_from("web-1", finding()).unwrap();
        assert_eq!(new.uid, "e1/web-shell");
        assert_eq!(new.columns.time, 1_795_400_000_000_000);
        assert_eq!(new.columns.severity, Severity::High);
        assert_eq!(new.columns.disposition, Disposition::Blocked);
        assert_eq!(new.columns.host, "web-1");
        assert_eq!(new.columns.process.as_deref(), Some("/usr/bin/dash"));
        assert_eq!(new.columns.user.as_deref(), Some("33"));
        assert_eq!(new.columns.image.as_deref(), Some("shop:1"));
        assert_eq!(new.projects.len(), 1);
        assert!(read_from("db-1", finding()).unwrap().projects.is_empty());
    }

    #[test]
    fn the_same_again_has_the_same_fingerprint() {
        let one = read_from("web-1", finding()).unwrap();
        let mut later = finding();
        later["time"] = json!(1);
        let two = read_from("web-1", later).unwrap();
        assert_eq!(one.columns.fingerprint, two.columns.fingerprint);
        let mut program = finding();
        program["evidences"][0]["process"] = json!({"name": "curl"});
        let program = read_from("web-1", program).unwrap();
        assert_eq!(one.columns.fingerprint, program.columns.fingerprint);
        let other = read_from("web-2", finding()).unwrap();
        assert_ne!(one.columns.fingerprint, other.columns.fingerprint);
        let mut namespace = finding();
        namespace["evidences"][0]["container"]["ext"]["k8s"]["namespace"] = json!("other");
        let namespace = read_from("web-1", namespace).unwrap();
        assert_ne!(one.columns.fingerprint, namespace.columns.fingerprint);
    }

    #[test]
    fn what_is_no_finding_is_refused_by_name() {
        for (place, says) in [
            ("time", "time"),
            ("severity_id", "severity_id"),
            ("finding_info", "finding_info.uid"),
        ] {
            let mut bad = finding();
            bad.as_object_mut().unwrap().remove(place);
            let why = read_from("web-1", bad).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        assert!(read_from("web-1", json!([])).is_err());
    }
}
