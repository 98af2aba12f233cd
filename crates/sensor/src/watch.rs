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
        let files = paths
            .iter()
            .filter(|path| !path.is_dir())
            .map(absolute)
            .collect();
        let mut watcher = notify::recommended_watcher(on_change(sender, files))?;
        for path in paths {
            let (watched, mode) = if path.is_dir() {
                (path.as_path(), RecursiveMode::Recursive)
            } else {
                (folder(path), RecursiveMode::NonRecursive)
            };
            watcher.watch(&absolute(watched), mode)?;
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

fn on_change(sender: Sender<()>, files: Vec<PathBuf>) -> impl FnMut(notify::Result<notify::Event>) {
    move |event| {
        let changed = match event {
            // Reading the files is itself an access: only what changes them counts.
            Ok(event) => {
                !event.kind.is_access() && event.paths.iter().any(|path| is_rules(path, &files))
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
fn is_rules(path: &Path, files: &[PathBuf]) -> bool {
    let by_name = path
        .extension()
        .is_none_or(|ext| ext == "yaml" || ext == "yml");
    files.iter().any(|file| file == path)
        || (by_name && files.iter().all(|file| file.parent() != path.parent()))
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
        let files = [PathBuf::from("/etc/picket/site.yaml")];
        assert!(is_rules(Path::new("/etc/picket/site.yaml"), &files));
        assert!(!is_rules(Path::new("/etc/picket/findings.jsonl"), &files));
        assert!(!is_rules(Path::new("/etc/picket/other.yaml"), &files));
        assert!(is_rules(Path::new("/srv/rules/new.yml"), &files));
        // A folder that was moved in or out.
        assert!(is_rules(Path::new("/srv/rules/web"), &files));
        assert!(!is_rules(Path::new("/srv/rules/README.md"), &files));
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
}
