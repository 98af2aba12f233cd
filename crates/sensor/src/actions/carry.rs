//! One order after the other: who does it, and how it is taken back.

use super::{Lineage, forensics, isolation, processes, quarantine, quarantine_folder};
use crate::fleet::ServerUrl;
use picket_proto::order::{Action, Order};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How something is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Undo {
    /// The host is cut off.
    Isolation,
    /// A file lies elsewhere.
    Quarantine(quarantine::Taken),
}

/// What does the work.
pub(super) struct Hands {
    folder: PathBuf,
    server: ServerUrl,
    lineage: Arc<dyn Lineage>,
}

/// Writes down how it is taken back, before it is done.
pub(super) type Note<'n> = &'n mut dyn FnMut(Undo) -> io::Result<()>;

impl Hands {
    pub(super) fn new(folder: &Path, server: ServerUrl, lineage: Arc<dyn Lineage>) -> Hands {
        Hands {
            folder: folder.to_owned(),
            server,
            lineage,
        }
    }

    /// Does it; what was done or found, or why not. A host that is cut off already stays
    /// so for `at_least` so many seconds.
    pub(super) fn carry(
        &self,
        order: &Order,
        at_least: u32,
        note: Note<'_>,
    ) -> Result<Value, String> {
        match &order.action {
            Action::KillTree { process } => processes::kill_tree(process, &*self.lineage),
            Action::CollectForensics { process } => forensics::collect(process),
            Action::QuarantineFile { path, file } => quarantine::take(
                &quarantine_folder(&self.folder),
                &order.id,
                path,
                file,
                note,
            ),
            Action::IsolateHost { allow, dns } => {
                let lease = order.lease_seconds.unwrap_or(0);
                note(Undo::Isolation).map_err(|why| format!("the journal: {why}"))?;
                isolation::cut_off(&self.server, allow, *dns, lease.max(at_least))
            }
            // Not here: it is about another order.
            Action::Undo { .. } => Err("nothing to carry out".to_owned()),
        }
    }

    /// Cuts the host off for as long as an order still says.
    pub(super) fn hold(&self, entry: &super::journal::Entry, now_us: i64) -> Result<(), String> {
        let Action::IsolateHost { allow, dns } = &entry.order.action else {
            return Ok(());
        };
        let left = entry.left_seconds(now_us).max(1);
        isolation::cut_off(&self.server, allow, *dns, left).map(drop)
    }

    /// Takes it back.
    pub(super) fn undo(&self, undo: &Undo) -> Result<(), String> {
        match undo {
            Undo::Isolation => isolation::end(),
            Undo::Quarantine(taken) => quarantine::put_back(taken),
        }
    }
}
