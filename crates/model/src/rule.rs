//! What a rule says of itself: everything but its condition.

use crate::severity::Severity;

/// A rule's metadata, as it travels with each of its findings.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleInfo {
    /// Unique name.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What it detects and why that matters.
    pub description: String,
    /// How bad a match is.
    pub severity: Severity,
    /// Threat category, such as `reverse_shell`.
    pub category: Option<String>,
    /// The projects it holds in; empty for every sensor.
    pub projects: Vec<String>,
    /// Tags, such as `attack.t1505.003`.
    pub tags: Vec<String>,
    /// Who wrote it (Sigma's `author`, kept in every match).
    pub author: Option<String>,
    /// Known false positives.
    pub false_positives: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// What its matches become.
    pub outputs: Outputs,
    /// Where it stands.
    pub origin: Origin,
}

impl RuleInfo {
    /// A rule of that name and severity that says nothing else of itself.
    pub fn named(id: &str, severity: Severity) -> RuleInfo {
        RuleInfo {
            id: id.to_owned(),
            title: id.to_owned(),
            description: String::new(),
            severity,
            category: None,
            projects: Vec::new(),
            tags: Vec::new(),
            author: None,
            false_positives: Vec::new(),
            references: Vec::new(),
            outputs: Outputs {
                finding: true,
                issue: false,
            },
            origin: Origin::default(),
        }
    }
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// File, as it was named on the command line.
    pub file: String,
    /// 1-based line of the rule's first key.
    pub line: u32,
}

/// What a rule's matches become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outputs {
    /// A finding.
    pub finding: bool,
    /// An issue as well.
    pub issue: bool,
}
