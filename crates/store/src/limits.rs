//! How much of anything the store takes: what comes from outside has an end.

use crate::error::{Result, StoreError};
use serde_json::Value;

/// Rows on a page, at most.
pub const MAX_PAGE: u32 = 500;
/// Values in one filter, at most.
pub const MAX_FILTER_VALUES: usize = 100;
/// Projects in which one user has roles: so many are asked for at once.
pub const MAX_GRANTED: usize = MAX_FILTER_VALUES;
/// Bytes of a name: of a rule, a user, a scope, a queue.
pub const MAX_NAME: usize = 255;
/// Bytes of a reason that somebody gives.
pub const MAX_REASON: usize = 4096;
/// Bytes of a definition's text.
pub const MAX_BODY: usize = 1 << 20;
/// Bytes of a JSON value beside a resource (labels, host facts, health, plans, jobs).
pub const MAX_JSON: usize = 64 << 10;
/// Bytes of a sensor's labels, as JSON.
pub const MAX_LABELS: usize = 16 << 10;
/// Bytes of a password's hash.
pub const MAX_PASSWORD_HASH: usize = 1024;
/// Bytes of a signed bundle.
pub const MAX_BUNDLE: usize = 64 << 20;
/// Projects that one definition or one finding is in.
pub const MAX_PROJECTS: usize = 100;

/// Findings in one delivery.
pub const MAX_FINDINGS: usize = 1000;
/// Bytes of a finding's id.
pub const MAX_FINDING_UID: usize = 512;
/// Bytes of a finding's column (a path, a user's name); what is longer is cut,
/// and whole in the finding's JSON.
pub const MAX_FINDING_TEXT: usize = 512;
/// Bytes of a finding's JSON.
pub const MAX_FINDING_JSON: usize = 256 << 10;

/// Heartbeats stored at once.
pub const MAX_HEARTBEATS: usize = 1000;
/// Rules whose state one sensor reports.
pub const MAX_SENSOR_RULES: usize = 10_000;
/// Bytes of what a sensor says about one rule.
pub const MAX_DETAIL: usize = 4096;

/// Bytes of a finding's facts, as JSON; what is longer is left out, and the finding
/// leads to nothing.
pub const MAX_FACTS: usize = 64 << 10;
/// Findings digested at once.
pub const MAX_DIGEST: u32 = 1000;
/// Bytes of a note.
pub const MAX_NOTE: usize = 16 << 10;
/// Labels of an issue, at most.
pub const MAX_ISSUE_LABELS: usize = 20;
/// Characters of one.
pub const MAX_LABEL: usize = 64;
/// Filters that one user keeps, at most.
pub const MAX_SAVED_FILTERS: usize = 200;
/// Bytes of one.
pub const MAX_FILTER_QUERY: usize = 8 << 10;
/// Bytes of an issue's title; what is longer is cut.
pub const MAX_ISSUE_TITLE: usize = 512;

/// Orders to hosts whose answer is waited for, looked at together.
pub const MAX_OPEN_ACTIONS: u32 = 10_000;
/// Bytes of what a sensor says that it did or found.
pub const MAX_ACTION_RESULT: usize = 256 << 10;

/// Findings that one page of evidence looks at.
pub const MAX_EVIDENCE: u32 = 100_000;
/// Bytes of a page of evidence.
pub const MAX_EVIDENCE_PAGE: usize = 256 << 10;
/// How long a page of evidence is kept that nobody armed on, microseconds: a week.
pub const EVIDENCE_KEPT: i64 = 7 * 24 * 3_600_000_000;

/// Steps of a playbook.
pub const MAX_STEPS: usize = 20;
/// Bytes of what came of a playbook's step; what is longer is cut.
pub const MAX_STEP_DETAIL: usize = 64 << 10;

/// Rows that one step of retention deletes, at most.
pub const MAX_RETENTION_STEP: u32 = 5000;
/// Jobs taken at once.
pub const MAX_JOBS: u32 = 100;
/// Bytes of a job's last error; what is longer is cut.
pub const MAX_JOB_ERROR: usize = 4096;
/// Audit entries verified at once.
pub const MAX_VERIFY: u32 = 10_000;

/// Bytes of what a node of the graph is told from others by; what is longer is cut.
pub const MAX_GRAPH_KEY: usize = 1200;
/// Hops of a question to the graph.
pub const MAX_GRAPH_HOPS: u8 = 8;
/// Neighbours that a walk through the graph takes of one node and direction; of its
/// first node, more.
pub const MAX_GRAPH_FAN_OUT: usize = 100;
/// As [`MAX_GRAPH_FAN_OUT`], of the node where a walk begins.
pub const MAX_GRAPH_FIRST_FAN_OUT: usize = 1000;
/// Nodes whose neighbours a radius looks up, in one project; in several, fewer.
pub const MAX_GRAPH_EXPANDED: usize = 500;
/// As [`MAX_GRAPH_EXPANDED`], of a path: it is over once both ends meet.
pub const MAX_GRAPH_PATH_EXPANDED: usize = 1000;
/// Nodes that a walk reaches, from each end.
pub const MAX_GRAPH_REACHED: usize = 5000;
/// Nodes of each kind that the radius of a node shows.
pub const MAX_GRAPH_TOP: usize = 10;
/// Rows that one page of nodes or neighbours looks at, if a filter leaves most out.
pub const MAX_GRAPH_SCAN: usize = 2000;

/// Refuses a text that is too long, or holds what PostgreSQL cannot store.
pub(crate) fn text(field: &'static str, value: &str, limit: usize) -> Result<()> {
    if value.len() > limit {
        let why = format!("{} bytes; at most {limit} are allowed", value.len());
        return Err(StoreError::Invalid { field, why });
    }
    if value.contains('\0') {
        let why = "holds a NUL character".to_owned();
        return Err(StoreError::Invalid { field, why });
    }
    Ok(())
}

/// As [`text`], and not empty.
pub(crate) fn name(field: &'static str, value: &str) -> Result<()> {
    if value.is_empty() {
        let why = "is empty".to_owned();
        return Err(StoreError::Invalid { field, why });
    }
    text(field, value, MAX_NAME)
}

/// Refuses a JSON value that is too long when written, or holds NUL.
pub(crate) fn json(field: &'static str, value: &Value) -> Result<()> {
    json_up_to(field, value, MAX_JSON)
}

/// As [`json`], with a limit of its own.
pub(crate) fn json_up_to(field: &'static str, value: &Value, limit: usize) -> Result<()> {
    let written = value.to_string();
    if written.len() > limit {
        let why = format!(
            "{} bytes of JSON; at most {limit} are allowed",
            written.len()
        );
        return Err(StoreError::Invalid { field, why });
    }
    // A NUL is always written as an escape; only then is it worth a walk.
    if written.contains("\\u0000") && holds_nul(value) {
        let why = "holds a NUL character".to_owned();
        return Err(StoreError::Invalid { field, why });
    }
    Ok(())
}

/// Refuses more of something than there may be.
pub(crate) fn count(field: &'static str, found: usize, limit: usize) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    let why = format!("{found} of them; at most {limit} are allowed");
    Err(StoreError::Invalid { field, why })
}

/// The text up to the limit, cut between two characters, and without NUL.
pub(crate) fn clip(value: &str, limit: usize) -> String {
    let mut end = value.len().min(limit);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].replace('\0', "\u{fffd}")
}

/// Whether any text in it holds a NUL, which jsonb refuses.
pub(crate) fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| name.contains('\0') || holds_nul(member)),
        _ => false,
    }
}

/// Puts U+FFFD for every NUL: a finding is not lost for one.
pub(crate) fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name.replace('\0', "\u{fffd}"), without_nul(member)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cut_keeps_characters_whole() {
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("aé", 3), "aé");
        assert_eq!(clip("a\0b", 10), "a\u{fffd}b");
    }

    #[test]
    fn nul_is_found_and_replaced_wherever_it_stands() {
        let bad = json!({"a": ["x", {"k\0": "v"}]});
        assert!(holds_nul(&bad));
        assert!(json("value", &bad).is_err());
        let good = without_nul(bad);
        assert!(!holds_nul(&good));
        assert_eq!(good, json!({"a": ["x", {"k\u{fffd}": "v"}]}));
        // A backslash, not a NUL.
        assert!(json("value", &json!("\\u0000")).is_ok());
    }

    #[test]
    fn what_is_too_long_is_refused_with_both_lengths() {
        let error = text("reason", "abcd", 3).unwrap_err();
        assert_eq!(error.to_string(), "reason: 4 bytes; at most 3 are allowed");
        assert!(name("name", "").is_err());
    }
}
