//! Rule files from disk into an armed set.

use crate::enforce::{HostFacts, KernelSet};
use crate::indicators::Indicators;
use picket_engine::{CompileOptions, Program};
use picket_lang::ir::Rule;
use picket_lang::{Checked, Diagnostic, Limits, Source};
use picket_model::rule::RuleInfo;
use picket_model::{Event, Policy};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What a reload puts in place, whole.
#[derive(Debug)]
pub struct RuleSet {
    /// The compiled rules.
    pub program: Program,
    /// The policies that hold here.
    pub policies: Vec<Policy>,
    /// The same for the kernel; none where nothing is to be decided there.
    pub kernel: Option<Arc<KernelSet>>,
    /// What feeds list; none where there are no feeds.
    pub indicators: Option<Arc<Indicators>>,
    /// Rules and policies that are for other projects than this sensor's.
    pub elsewhere: Vec<String>,
}

impl RuleSet {
    /// What a feed's hit on this event is called, if some feed lists it.
    pub fn listed(&self, event: &Event) -> Option<&Arc<RuleInfo>> {
        self.indicators.as_ref()?.find(event)
    }
}

/// Why rules could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A path could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no regular file, or larger than any rule file may be.
    #[error("{} is not a rule file: {reason}", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
        /// What it is instead.
        reason: &'static str,
    },
    /// A folder holds no rule file.
    #[error("no rule file (*.yaml, *.yml) in {}", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// The files have errors; nothing of them was loaded.
    #[error("the rules have errors")]
    Invalid {
        /// All diagnostics.
        diagnostics: Vec<Diagnostic>,
        /// The files, for rendering.
        sources: Vec<Source>,
    },
}

/// A larger file is not read; the language's own limit is lower.
const MAX_FILE: u64 = 64 << 20;

/// Reads rule files; folders are searched for `*.yaml` and `*.yml`, in the order
/// of their names. A file that is named twice is read once.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, LoadError> {
    let mut sources = Vec::new();
    let mut seen = HashSet::new();
    for path in paths {
        for file in files(path)? {
            let identity = std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if seen.insert(identity) {
                sources.push(read_one(file)?);
            }
        }
    }
    Ok(sources)
}

/// When the newest of the files was last written; none if there are none, or
/// they cannot be looked at (which reading them will tell).
pub fn last_written(paths: &[PathBuf]) -> Option<SystemTime> {
    let files = paths.iter().filter_map(|path| files(path).ok()).flatten();
    files
        .filter_map(|file| std::fs::metadata(file).ok()?.modified().ok())
        .max()
}

fn read_one(path: PathBuf) -> Result<Source, LoadError> {
    let unreadable = |source| LoadError::Read {
        path: path.clone(),
        source,
    };
    // Opening a pipe would wait for somebody to write to it.
    if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
        return Err(LoadError::NotAFile {
            path,
            reason: "it is a pipe or a device",
        });
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    // Of what was read and not of what the file says it has: it may grow meanwhile, and
    // cut short it might well parse, without the rules at its end.
    if bytes.len() as u64 > MAX_FILE {
        return Err(LoadError::NotAFile {
            path,
            reason: "it is larger than 64 MiB",
        });
    }
    Ok(Source::new(path.display().to_string(), bytes))
}

fn files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let unreadable = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name()
    {
        let entry = entry.map_err(|error| LoadError::Read {
            path: error.path().unwrap_or(path).to_owned(),
            source: error.into(),
        })?;
        let is_rules = entry
            .path()
            .extension()
            .is_some_and(|ext| ext == "yaml" || ext == "yml");
        // Editors' and Kubernetes' hidden files are not rules.
        let hidden = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with('.'));
        if is_rules && !hidden && entry.file_type().is_file() {
            found.push(entry.into_path());
        }
    }
    if found.is_empty() {
        return Err(LoadError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

/// Checks and compiles, for the kernel of `host` too, and by what occurs in the
/// `sample`. One error anywhere and nothing is armed: a set with a hole in it would
/// be a silent downgrade.
pub fn arm(
    sources: Vec<Source>,
    projects: &[String],
    host: Option<&HostFacts>,
    sample: &[Event],
) -> Result<(RuleSet, Vec<Diagnostic>, Vec<Source>), LoadError> {
    let Checked {
        rules,
        policies,
        diagnostics,
        ..
    } = picket_lang::check(&sources, &Limits::default());
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(LoadError::Invalid {
            diagnostics,
            sources,
        });
    }
    let mut elsewhere = Vec::new();
    let mut holds_here = |id: &str, wanted: &[String]| {
        let here = wanted.is_empty() || wanted.iter().any(|project| projects.contains(project));
        if !here {
            elsewhere.push(format!("{id} ({})", wanted.join(", ")));
        }
        here
    };
    let rules: Vec<Rule> = rules
        .into_iter()
        .filter(|rule| holds_here(&rule.info.id, &rule.info.projects))
        .collect();
    let policies: Vec<Policy> = policies
        .into_iter()
        .filter(|policy| holds_here(&policy.id, &policy.projects))
        .collect();
    let kernel = host.and_then(|host| KernelSet::new(&rules, &policies, host));
    let set = RuleSet {
        program: Program::compile_with(rules, &CompileOptions { sample }),
        policies,
        kernel: kernel.map(Arc::new),
        indicators: None,
        elsewhere,
    };
    Ok((set, diagnostics, sources))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_named_twice_is_read_once_and_hidden_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("a.yaml");
        std::fs::write(&rules, "rules: []").unwrap();
        std::fs::write(folder.path().join(".b.yaml"), "x").unwrap();
        let sources = read(&[folder.path().to_owned(), rules]).unwrap();
        assert_eq!(sources.len(), 1);
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_FILE).unwrap();
        assert!(read_one(path.clone()).is_ok());
        file.set_len(MAX_FILE + 1).unwrap();
        let error = read_one(path).unwrap_err().to_string();
        assert!(error.contains("larger than 64 MiB"), "{error}");
    }

    #[test]
    fn devices_missing_files_and_empty_folders_are_errors_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let one = |path: &Path| read(&[path.to_owned()]);
        assert!(matches!(
            one(Path::new("/dev/zero")),
            Err(LoadError::NotAFile { .. })
        ));
        assert!(matches!(
            one(Path::new("/nonexistent")),
            Err(LoadError::Read { .. })
        ));
        assert!(matches!(one(folder.path()), Err(LoadError::Empty { .. })));
    }

    #[test]
    fn one_error_anywhere_and_nothing_is_armed() {
        let good = Source::new(
            "good",
            "rules:\n  - {id: a, title: t, event: process.exec, severity: low, condition: 'process.memfd'}\n",
        );
        let bad = Source::new("bad", "rules: [{id: b}]\n");
        assert_eq!(
            arm(vec![good.clone()], &[], None, &[])
                .unwrap()
                .0
                .program
                .rules()
                .len(),
            1
        );
        assert!(matches!(
            arm(vec![good, bad], &[], None, &[]),
            Err(LoadError::Invalid { .. })
        ));
    }
}
