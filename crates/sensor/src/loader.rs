//! Rule files from disk into an armed set.

use picket_engine::Program;
use picket_lang::{Checked, Diagnostic, Limits, Source};
use picket_model::Policy;
use std::io;
use std::path::{Path, PathBuf};

/// What a reload puts in place, whole.
#[derive(Debug)]
pub struct RuleSet {
    /// The compiled rules.
    pub program: Program,
    /// The policies that hold here.
    pub policies: Vec<Policy>,
    /// Rules and policies that are for other projects than this sensor's.
    pub elsewhere: Vec<String>,
}

/// Why rules could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A path could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
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

/// Reads rule files; folders are searched for `*.yaml` and `*.yml`, in the order
/// of their names.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, LoadError> {
    let mut sources = Vec::new();
    for path in paths {
        for file in files(path)? {
            let bytes = std::fs::read(&file).map_err(|source| LoadError::Read {
                path: file.clone(),
                source,
            })?;
            sources.push(Source {
                name: file.display().to_string(),
                bytes,
            });
        }
    }
    Ok(sources)
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

/// Checks and compiles. One error anywhere and nothing is armed: a set with a
/// hole in it would be a silent downgrade.
pub fn arm(
    sources: Vec<Source>,
    projects: &[String],
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
    let rules = rules
        .into_iter()
        .filter(|rule| holds_here(&rule.info.id, &rule.info.projects))
        .collect();
    let policies = policies
        .into_iter()
        .filter(|policy| holds_here(&policy.id, &policy.projects))
        .collect();
    let set = RuleSet {
        program: Program::compile(rules),
        policies,
        elsewhere,
    };
    Ok((set, diagnostics, sources))
}
