//! A finding, with what outputs tell of it beside its JSON.

use picket_model::severity::Severity;
use serde_json::Value;

/// A finding on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// `finding_info.uid`: by this a receiver tells what it has already.
    pub id: String,
    /// When it happened, microseconds since 1970.
    pub time: i64,
    /// How bad it is.
    pub severity: Severity,
    /// The rule's id.
    pub rule: String,
    /// The host's name; empty if it is not known.
    pub host: String,
    /// In a few words.
    pub title: String,
    /// The whole of it, an OCSF Detection Finding.
    pub ocsf: Value,
}

impl Record {
    /// Reads a Detection Finding. What is missing is empty: it is delivered all the same.
    pub fn of(ocsf: Value) -> Record {
        let text = |path: &str| {
            let found = ocsf.pointer(path).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let id = ocsf.pointer("/severity_id").and_then(Value::as_u64);
        let severity = Severity::ALL
            .into_iter()
            .find(|severity| Some(u64::from(*severity as u8)) == id);
        // OCSF: milliseconds.
        let time = ocsf.pointer("/time").and_then(Value::as_i64);
        Record {
            id: text("/finding_info/uid"),
            time: time.unwrap_or_default().saturating_mul(1000),
            severity: severity.unwrap_or(Severity::Informational),
            rule: text("/finding_info/analytic/uid"),
            host: text("/device/hostname"),
            title: text("/finding_info/title"),
            ocsf,
        }
    }

    /// When it happened, as RFC 3339 has it.
    pub(crate) fn rfc3339(&self) -> String {
        let time = jiff::Timestamp::from_microsecond(self.time);
        let time = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{time:.6}")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn record(number: u32) -> Record {
        Record::of(json!({
            "class_uid": 2004,
            "severity_id": 4,
            "time": 1_795_400_000_123_i64 + i64::from(number),
            "device": {"hostname": "web-1"},
            "finding_info": {
                "uid": format!("f{number}"),
                "title": "Shell of a web server \u{1f41a}",
                "analytic": {"uid": "web-shell"},
            },
        }))
    }

    #[test]
    fn what_outputs_tell_is_read_off_the_json() {
        let record = record(0);
        assert_eq!(record.id, "f0");
        assert_eq!(record.severity, Severity::High);
        assert_eq!(
            (record.rule.as_str(), record.host.as_str()),
            ("web-shell", "web-1")
        );
        assert_eq!(record.rfc3339(), "2026-11-23T02:13:20.123000Z");
    }

    #[test]
    fn what_is_missing_keeps_no_finding_back() {
        let record = Record::of(json!({"time": i64::MAX}));
        assert_eq!(record.id, "");
        assert_eq!(record.rfc3339(), "1970-01-01T00:00:00.000000Z");
    }
}
