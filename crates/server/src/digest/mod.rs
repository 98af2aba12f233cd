//! What findings lead to.
//!
//! ```text
//! intake: OCSF ─ Facts ─► store: findings, findings_pending
//!                               │  task: whenever there are some
//!                               ▼
//!              Store::digest ─ Reader ─┬─ issues: what opens one, or is counted in one
//!                                      ├─ evidence: what policies made of them
//!                                      ├─ graph: who did what to whom
//!                                      ├─ playbooks: runs of them
//!                                      └─ outputs: who else is told
//! ```
//! What is made of a finding is made here, of its columns and [`Facts`], without input
//! or output; the store calls it, and writes all of it in the transaction in which the
//! finding is no longer pending.

mod evidence;
mod facts;
mod graph;
pub(crate) mod hosts;
mod issues;
mod task;

pub(crate) use facts::Facts;
pub use task::BATCH;
pub(crate) use task::run;

use crate::config::Issues;
use crate::outputs::Audience;
use crate::playbooks::Triggers;
use picket_store::{Digester, FindingWrites, IssueChange, IssueWrites, PendingFinding};
use std::sync::Arc;

/// Reads findings, and says what they lead to.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) issues: Issues,
    /// What is done by itself.
    pub(crate) playbooks: Triggers,
    /// Who else is told.
    pub(crate) outputs: Audience,
}

/// What the server digests with, for whoever measures it.
pub fn reader() -> Arc<dyn Digester> {
    Arc::new(Reader::default())
}

/// What the server groups findings into issues with, and nothing else: for whoever measures
/// what part of digesting that is.
pub fn grouper() -> Arc<dyn Digester> {
    Arc::new(Grouper(Issues::default()))
}

struct Grouper(Issues);

/// Those whose facts can be read.
fn read(pending: &[PendingFinding]) -> Vec<(&PendingFinding, Facts)> {
    let mut read = Vec::with_capacity(pending.len());
    for finding in pending {
        read.extend(Facts::read(&finding.facts).map(|facts| (finding, facts)));
    }
    read
}

impl Digester for Grouper {
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites {
        let read = read(pending);
        FindingWrites {
            openings: issues::openings(&read, &self.0),
            ..FindingWrites::default()
        }
    }

    fn issues(&self, _: &[IssueChange]) -> IssueWrites {
        IssueWrites::default()
    }
}

impl Digester for Reader {
    fn findings(&self, pending: &[PendingFinding]) -> FindingWrites {
        let read = read(pending);
        FindingWrites {
            policies: evidence::policies(&read),
            openings: issues::openings(&read, &self.issues),
            graph: graph::of_findings(&read),
            jobs: self.playbooks.now().of_findings(pending),
            outputs: self.outputs.of(pending),
            skipped: (pending.len() - read.len()) as u32,
        }
    }

    fn issues(&self, changes: &[IssueChange]) -> IssueWrites {
        IssueWrites {
            graph: graph::of_issues(changes),
            jobs: self.playbooks.now().of_issues(changes),
        }
    }
}
