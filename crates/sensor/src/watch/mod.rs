//! Tells when rule files change.

mod files;

pub use files::FileWatch;

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};

/// Watches rule paths; dropped, it stops.
pub struct RuleWatch {
    _folders: RecommendedWatcher,
    _files: FileWatch,
    changes: Receiver<()>,
}

impl RuleWatch {
    /// Watches the folders themselves and the folders of single files (editors
    /// and config managers replace a file, which a watch on it would not survive).
    pub fn new(paths: &[PathBuf]) -> notify::Result<RuleWatch> {
        // One place is enough: a change during a reload leads to one more.
        let (sender, changes) = bounded(1);
        let (folders, files): (Vec<PathBuf>, _) =
            paths.iter().map(absolute).partition(|path| path.is_dir());
        let mut watcher = notify::recommended_watcher(on_change(sender.clone()))?;
        for folder in folders {
            watcher.watch(&folder, RecursiveMode::Recursive)?;
        }
        Ok(RuleWatch {
            _folders: watcher,
            _files: FileWatch::new(&files, sender)?,
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
        let changed = match event {
            // Reading the files is itself an access: only what changes them counts.
            Ok(event) => {
                !event.kind.is_access() && event.paths.iter().any(|path| can_hold_rules(path))
            }
            // An overflow, say: better one reload too many.
            Err(_) => true,
        };
        if changed {
            let _ = sender.try_send(());
        }
    }
}

/// Whether a path in a watched folder can hold rules: findings may well be
/// written to the same folder.
fn can_hold_rules(path: &Path) -> bool {
    path.extension()
        .is_none_or(|ext| ext == "yaml" || ext == "yml")
}

fn absolute(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rule_files_count() {
        assert!(can_hold_rules(Path::new("/srv/rules/new.yml")));
        // A folder that was moved in or out.
        assert!(can_hold_rules(Path::new("/srv/rules/web")));
        assert!(!can_hold_rules(Path::new("/srv/rules/findings.jsonl")));
    }

    #[test]
    fn a_changed_rule_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("r.yaml");
        std::fs::write(&rules, "rules: []").unwrap();
        let watch = RuleWatch::new(std::slice::from_ref(&rules)).unwrap();
        std::fs::write(&rules, "rules: [] ").unwrap();
        let deadline = std::time::Duration::from_secs(10);
        assert!(watch.changes().recv_timeout(deadline).is_ok());
    }

    #[test]
    fn a_new_file_deep_in_a_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("web");
        std::fs::create_dir(&deep).unwrap();
        let watch = RuleWatch::new(&[folder.path().to_owned()]).unwrap();
        std::fs::write(deep.join("r.yaml"), "rules: []").unwrap();
        let deadline = std::time::Duration::from_secs(10);
        assert!(watch.changes().recv_timeout(deadline).is_ok());
    }
}
