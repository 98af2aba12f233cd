//! Which issues findings open.

use super::Facts;
use crate::config::Issues;
use picket_store::{IssueOpening, PendingFinding};
use std::collections::HashMap;

/// One opening for all findings of a fingerprint: those whose rule wants an issue.
pub(super) fn openings(findings: &[(&PendingFinding, Facts)], rules: &Issues) -> Vec<IssueOpening> {
    let mut openings: HashMap<(&str, i64), IssueOpening> = HashMap::new();
    for (finding, facts) in findings.iter().filter(|(_, facts)| facts.issue) {
        let columns = &finding.columns;
        let print = &columns.fingerprint;
        let opening = openings
            .entry((&print.value, print.version))
            .or_insert_with(|| IssueOpening {
                fingerprint: print.clone(),
                severity: columns.severity,
                title: facts.title.clone(),
                rule: columns.rule.clone(),
                host: columns.host.clone(),
                namespace: facts.namespace.clone(),
                image: columns.image.clone(),
                first_seen: columns.time,
                last_seen: columns.time,
                due_after: rules.due_after(columns.severity),
                projects: Vec::new(),
                findings: Vec::new(),
            });
        if columns.severity > opening.severity {
            opening.severity = columns.severity;
            opening.due_after = rules.due_after(columns.severity);
        }
        opening.first_seen = opening.first_seen.min(columns.time);
        opening.last_seen = opening.last_seen.max(columns.time);
        for project in &finding.projects {
            if !opening.projects.contains(project) {
                opening.projects.push(*project);
            }
        }
        opening.findings.push(finding.id);
    }
    openings.into_values().collect()
}
