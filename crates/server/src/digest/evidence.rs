//! What response policies made of findings.

use super::Facts;
use picket_store::{PendingFinding, PolicyFinding};

/// One for each policy that had to do with a finding.
pub(super) fn policies(findings: &[(&PendingFinding, Facts)]) -> Vec<PolicyFinding> {
    let of_one = |(finding, facts): &(&PendingFinding, Facts)| {
        let named = facts.policies.iter().filter(|one| !one.name.is_empty());
        let made = named.map(|one| PolicyFinding {
            policy: one.name.clone(),
            time: finding.columns.time,
            finding: finding.id,
            outcome: one.outcome.clone(),
            kill: one.kill,
            parent: facts.parent.clone(),
        });
        made.collect::<Vec<_>>()
    };
    findings.iter().flat_map(of_one).collect()
}
