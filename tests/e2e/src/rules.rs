//! Rule files of tests.

use crate::scratch::Scratch;
use anyhow::Result;
use std::fmt::Write;
use std::path::PathBuf;

/// A rule file in the making: native YAML.
#[derive(Debug, Clone, Default)]
pub struct RuleFile {
    rules: String,
    policies: String,
}

impl RuleFile {
    /// Empty.
    pub fn new() -> RuleFile {
        RuleFile::default()
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(self, id: &str, event: &str, condition: &str) -> RuleFile {
        self.rule_with(id, event, condition, "")
    }

    /// Adds a rule with more keys: `category: cryptominer`, one a line.
    #[must_use]
    pub fn rule_with(mut self, id: &str, event: &str, condition: &str, more: &str) -> RuleFile {
        let quoted = condition.replace('\'', "''");
        // Writing to a String does not fail.
        let _ = write!(
            self.rules,
            "  - id: {id}\n    title: End-to-end test {id}\n    event: {event}\n    \
             severity: high\n    condition: '{quoted}'\n"
        );
        for line in more.lines() {
            let _ = writeln!(self.rules, "    {line}");
        }
        self
    }

    /// Adds a policy on one rule: `simulate` or `block`.
    #[must_use]
    pub fn policy(self, id: &str, rule: &str, action: &str) -> RuleFile {
        self.policy_on(id, &format!("{{rules: [{rule}]}}"), action, "")
    }

    /// Adds a policy with any trigger, and more keys.
    #[must_use]
    pub fn policy_on(mut self, id: &str, trigger: &str, action: &str, more: &str) -> RuleFile {
        let _ = write!(
            self.policies,
            "  - id: {id}\n    trigger: {trigger}\n    action: {action}\n"
        );
        for line in more.lines() {
            let _ = writeln!(self.policies, "    {line}");
        }
        self
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (key, list) in [("rules", &self.rules), ("policies", &self.policies)] {
            if !list.is_empty() {
                let _ = write!(text, "{key}:\n{list}");
            }
        }
        text
    }

    /// Puts `rules/test.yaml` in the scratch folder, whole from the first moment.
    pub fn write(&self, scratch: &Scratch) -> Result<PathBuf> {
        let pending = scratch.write("pending", self.text())?;
        let path = scratch.path().join("rules/test.yaml");
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::rename(pending, &path)?;
        Ok(path)
    }
}

/// A text as the condition language quotes it.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The condition under which an event's actor is this program.
pub fn by(program: &str) -> String {
    format!("actor.process.path == {}", quote(program))
}
