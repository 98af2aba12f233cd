//! Tells when rule files change.

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};

/// Watches rule paths; dropped, it stops.
pub struct RuleWatch {
    _watcher: RecommendedWatcher,
    changes: Receiver<()>,
}

impl RuleWatch {
    /// Watches the folders themselves and the folders of single files (editors
    /// and config managers replace a file, which a watch on it would not survive).
    pub fn new(paths: &[PathBuf]) -> notify::Result<RuleWatch> {
        // One place is enough: a change during a reload leads to one more.
        let (sender, changes) = bounded(1);
        let mut watcher = notify::recommended_watcher(on_change(sender))?;
        for path in paths {
            let (watched, mode) = if path.is_dir() {
                (path.as_path(), RecursiveMode::Recursive)
            } else {
                (folder(path), RecursiveMode::NonRecursive)
            };
            watcher.watch(watched, mode)?;
        }
        Ok(RuleWatch {
            _watcher: watcher,
            changes,
        })
    }

    /// One message per burst of changes; read it when the burst is over.
    pub fn changes(&self) -> &Receiver<()> {
        &self.changes
    }
}

fn on_change(sender: Sender<()>) -> impl FnMut(notify::Result<notify::Event>) {
    move |event| {
        // Reading the files is itself an access: only what changes them counts.
        let changed = event.map_or(true, |event| !event.kind.is_access());
        if changed {
            let _ = sender.try_send(());
        }
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
