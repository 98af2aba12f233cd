//! A feed of files: what it is called, how sure it is, and where it lies.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::indicator::Indicator;
use crate::limits::Limits;
use crate::parse::{Format, ParseError, parse};
use crate::report::Report;

/// A source of indicators.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// What findings call it.
    pub name: String,
    /// What its indicators stand for: `botnet`, `phishing`.
    pub category: String,
    /// How sure it is, from 1 to 100.
    pub confidence: u8,
    /// Under which terms it may be used.
    #[serde(default)]
    pub licence: String,
    /// How it is written.
    pub format: Format,
    /// A file, or a folder whose files are read.
    pub path: PathBuf,
}

/// A feed's file or folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be opened or read.
    #[error("feed: {path}: {error}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not as its format has it.
    #[error("feed: {path}: {error}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: ParseError,
    },
    /// More files than [`Limits::files`].
    #[error("feed: {0}: more than {1} files")]
    Files(PathBuf, usize),
}

/// Reads a feed's file, or the files of its folder in the order of their names
/// (not of folders in it, and not hidden ones); one report for each.
///
/// # Errors
/// The first file that cannot be read or parsed as a whole: what went to `take`
/// until then is not to be used, and the caller keeps the copy it has.
pub fn load(
    feed: &Feed,
    limits: &Limits,
    now: i64,
    take: &mut dyn FnMut(Indicator),
) -> Result<Vec<(PathBuf, Report)>, LoadError> {
    let mut reports = Vec::new();
    for path in files(&feed.path, limits)? {
        let bytes = read(&path, limits)?;
        let report = parse(&feed.format, &bytes, limits, now, take);
        let report = report.map_err(|error| LoadError::Parse {
            path: path.clone(),
            error,
        })?;
        reports.push((path, report));
    }
    Ok(reports)
}

fn files(path: &Path, limits: &Limits) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |error| LoadError::Read {
        path: path.to_owned(),
        error,
    };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut out = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || !entry.path().is_file() {
            continue;
        }
        if out.len() == limits.files {
            return Err(LoadError::Files(path.to_owned(), limits.files));
        }
        out.push(entry.path());
    }
    out.sort();
    Ok(out)
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, LoadError> {
    let failed = |error| LoadError::Read {
        path: path.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    // One byte more than is allowed: the parser then says that it is too large.
    let file = File::open(path).map_err(failed)?;
    file.take(limits.bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}
