//! OTLP logs over HTTP, as JSON (OpenTelemetry Protocol 1.x, "OTLP/HTTP", "JSON Protobuf
//! Encoding"): integers of 64 bits are texts there.

use crate::config::To;
use crate::deliver::{Failure, Refused, Way};
use crate::http::Client;
use crate::record::Record;
use crate::signature::read_secret;
use picket_model::severity::Severity;
use serde_json::{Value, json};
use std::io;

/// Where a collector takes logs, below its address.
const PATH: &str = "/v1/logs";

pub(crate) struct Otlp {
    client: Client,
    authorization: Option<String>,
}

impl Otlp {
    pub(crate) fn open(to: &To) -> io::Result<Otlp> {
        let token = to.secret_file.as_deref().map(read_secret).transpose()?;
        let url = to.url.trim_end_matches('/');
        let url = match url.ends_with(PATH) {
            true => url.to_owned(),
            false => format!("{url}{PATH}"),
        };
        Ok(Otlp {
            client: Client::new(&url, to.authorities.as_deref())?,
            authorization: token.map(|token| format!("Bearer {token}")),
        })
    }
}

/// SeverityNumber, and its short name (OpenTelemetry's logs data model).
fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Informational => (9, "INFO"),
        Severity::Low => (13, "WARN"),
        Severity::Medium => (14, "WARN2"),
        Severity::High => (17, "ERROR"),
        Severity::Critical => (21, "FATAL"),
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn log_record(record: &Record) -> Value {
    let nanoseconds = i128::from(record.time) * 1000;
    let (number, name) = severity(record.severity);
    json!({
        "timeUnixNano": nanoseconds.max(0).to_string(),
        "severityNumber": number,
        "severityText": name,
        "eventName": "picket.finding",
        "body": {"stringValue": record.ocsf.to_string()},
        "attributes": [
            attribute("picket.finding.uid", &record.id),
            attribute("picket.finding.title", &record.title),
            attribute("picket.rule", &record.rule),
            attribute("picket.severity", record.severity.name()),
            attribute("host.name", &record.host),
        ],
    })
}

impl Way for Otlp {
    fn send(&mut self, records: &[Record]) -> Result<Option<Refused>, Failure> {
        let body = json!({"resourceLogs": [{
            "resource": {"attributes": [attribute("service.name", "picket")]},
            "scopeLogs": [{
                "scope": {"name": "picket", "version": env!("CARGO_PKG_VERSION")},
                "logRecords": records.iter().map(log_record).collect::<Vec<_>>(),
            }],
        }]});
        let headers = self
            .authorization
            .as_deref()
            .map(|token| ("authorization", token));
        let headers: Vec<_> = headers.into_iter().collect();
        let answer = self
            .client
            .post("application/json", &headers, &body.to_string())?;
        Ok(thrown_away(&answer))
    }
}

/// What a collector did not take of a request that it answered well: it must not be sent
/// again.
fn thrown_away(answer: &str) -> Option<Refused> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let partial = answer.get("partialSuccess")?;
    let rejected = partial.get("rejectedLogRecords")?;
    let records = rejected
        .as_u64()
        .or_else(|| rejected.as_str()?.parse().ok())?;
    let why = partial.get("errorMessage").and_then(Value::as_str);
    (records > 0).then(|| Refused {
        records,
        why: why.unwrap_or("the collector does not say why").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::receiver;
    use crate::record::tests::record;

    #[test]
    fn a_collector_gets_log_records_and_what_it_throws_away_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "t0ken").unwrap();
        let partial = r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"old"}}"#;
        let (url, got) = receiver(vec![(200, "{}"), (200, partial), (401, "who?")]);
        let to = To {
            url,
            secret_file: Some(file),
            authorities: None,
        };
        let mut otlp = Otlp::open(&to).unwrap();
        assert_eq!(otlp.send(&[record(1)]), Ok(None));
        let refused = otlp.send(&[record(1), record(2)]).unwrap().unwrap();
        assert_eq!((refused.records, refused.why.as_str()), (1, "old"));
        // For a person to mend: until then it waits.
        let failure = otlp.send(&[record(3)]).unwrap_err();
        assert!(
            failure.again && !failure.why.contains("t0ken"),
            "{failure:?}"
        );
        let got = got.recv().unwrap();
        assert!(
            got.head[0].starts_with("POST /in/v1/logs "),
            "{}",
            got.head[0]
        );
        assert_eq!(got.header("authorization"), "Bearer t0ken");
        let body: Value = serde_json::from_str(&got.body).unwrap();
        let log = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(log["timeUnixNano"], "1795400000124000000");
        assert_eq!(log["severityNumber"], 17);
        let inner: Value =
            serde_json::from_str(log["body"]["stringValue"].as_str().unwrap()).unwrap();
        assert_eq!(inner["finding_info"]["uid"], "f1");
    }
}
