//! A finding as it came out: OCSF JSON.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Left out of messages.
const LENGTHY: &[&str] = &["capabilities", "product", "profiles", "device", "mtime_ns"];

/// One Detection Finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding(pub Value);

impl Finding {
    /// Reads one line.
    pub fn parse(line: &str) -> Result<Finding> {
        let value: Value =
            serde_json::from_str(line).with_context(|| format!("not a finding: {line}"))?;
        ensure!(
            value["class_uid"] == 2004,
            "not a Detection Finding: {line}"
        );
        Ok(Finding(value))
    }

    /// A line for messages.
    pub fn brief(line: &str) -> String {
        let Ok(finding) = Finding::parse(line) else {
            return line.chars().take(300).collect();
        };
        let event = finding.event();
        let process = match event.at("process") {
            Value::Null => event.part("actor.process"),
            _ => event.part("process"),
        };
        let outcomes: Vec<&str> = finding
            .responses()
            .iter()
            .map(|one| one.text("outcome"))
            .collect();
        format!(
            "{}: {} {} {} {outcomes:?}",
            finding.rule(),
            process.at("pid"),
            process.at("file.path"),
            process.at("cmd_line")
        )
    }

    /// The rule that matched.
    pub fn rule(&self) -> &str {
        self.text("finding_info.analytic.uid")
    }

    /// The event it matched.
    pub fn event(&self) -> Part<'_> {
        Part(&self.0["evidences"][0])
    }

    /// What each policy decided.
    pub fn responses(&self) -> Vec<Part<'_>> {
        let responses = self.0["ext"]["responses"].as_array();
        responses.into_iter().flatten().map(Part).collect()
    }

    /// What one policy decided.
    pub fn response(&self, policy: &str) -> Result<Part<'_>> {
        self.responses()
            .into_iter()
            .find(|response| response.text("policy") == policy)
            .with_context(|| format!("no response by {policy} in {}", self.0))
    }

    /// A text anywhere in it, by dotted path; empty if there is none.
    pub fn text(&self, path: &str) -> &str {
        Part(&self.0).text(path)
    }
}

/// An object inside a finding.
#[derive(Debug, Clone, Copy)]
pub struct Part<'f>(pub &'f Value);

impl<'f> Part<'f> {
    /// What stands at a dotted path; null if there is nothing.
    pub fn at(self, path: &str) -> &'f Value {
        path.split('.').fold(self.0, |value, key| &value[key])
    }

    /// The object at a dotted path.
    pub fn part(self, path: &str) -> Part<'f> {
        Part(self.at(path))
    }

    /// The text at a dotted path; empty if there is none.
    pub fn text(self, path: &str) -> &'f str {
        self.at(path).as_str().unwrap_or_default()
    }

    /// The number at a dotted path.
    pub fn number(self, path: &str) -> Option<i64> {
        self.at(path).as_i64()
    }

    /// The processes at a dotted path, nearest first.
    pub fn list(self, path: &str) -> Vec<Part<'f>> {
        let list = self.at(path).as_array();
        list.into_iter().flatten().map(Part).collect()
    }

    /// Fails unless the value at `path` is `expected`.
    pub fn has(self, path: &str, expected: impl Into<Value>) -> Result<Part<'f>> {
        let expected = expected.into();
        let found = self.at(path);
        ensure!(
            *found == expected,
            "{path} is {found}, not {expected}, in\n{}",
            self.short()
        );
        Ok(self)
    }

    /// The object for messages: without capabilities and other lengthy things.
    pub fn short(self) -> Value {
        match self.0 {
            Value::Object(members) => members
                .iter()
                .filter(|(key, _)| !LENGTHY.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), Part(value).short()))
                .collect(),
            Value::Array(elements) => elements.iter().map(|value| Part(value).short()).collect(),
            other => other.clone(),
        }
    }

    /// True when the event says that it does not know this field.
    pub fn is_unknown(self, field: &str) -> bool {
        self.names("unknown", field)
    }

    /// True when the event says that this field was cut.
    pub fn is_truncated(self, field: &str) -> bool {
        self.names("truncated", field)
    }

    fn names(self, list: &str, field: &str) -> bool {
        let names = self.at(list).as_array();
        names.into_iter().flatten().any(|name| name == field)
    }
}
