//! Which issues findings open.

use super::Facts;
use picket_model::severity::Severity;
use picket_store::{IssueOpening, Micros, PendingFinding};
use std::collections::HashMap;

const HOUR: Micros = 3_600_000_000;

/// How long people have for an issue, by its severity.
const fn due_after(severity: Severity) -> Micros {
    let hours = match severity {
        Severity::Critical => 4,
        Severity::High => 24,
        Severity::Medium => 3 * 24,
        Severity::Low => 7 * 24,
        Severity::Informational => 30 * 24,
    };
    hours * HOUR
}

/// One opening for all findings of a fingerprint: those whose rule wants an issue.
pub(super) fn openings(findings: &[(&PendingFinding, Facts)]) -> Vec<IssueOpening> {
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
                due_after: due_after(columns.severity),
                projects: Vec::new(),
                findings: Vec::new(),
            });
        if columns.severity > opening.severity {
            opening.severity = columns.severity;
            opening.due_after = due_after(columns.severity);
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
