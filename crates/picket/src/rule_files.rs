//! Rule files from the command line, read and checked.

use anyhow::Result;
use picket_lang::{Checked, Diagnostic, Level, Limits, Source};
use picket_sensor::loader;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the rule paths of a command hold.
#[derive(Debug)]
pub struct RuleFiles {
    /// The files.
    pub sources: Vec<Source>,
    /// What stands in them.
    pub checked: Checked,
}

impl RuleFiles {
    /// Reads and checks; an error is a path that cannot be read.
    pub fn read(paths: &[PathBuf], builtin: bool) -> Result<RuleFiles> {
        let mut sources = if builtin {
            crate::builtin::sources()
        } else {
            Vec::new()
        };
        sources.extend(loader::read(paths)?);
        let checked = picket_lang::check_at(&sources, &Limits::default(), now_ns());
        Ok(RuleFiles { sources, checked })
    }

    /// As [`RuleFiles::read`], for commands that work with the rules: an error
    /// in them is one here.
    pub fn read_valid(paths: &[PathBuf], builtin: bool) -> Result<RuleFiles> {
        let files = RuleFiles::read(paths, builtin)?;
        if files.tell_errors() {
            anyhow::bail!("the rules have {}", files.errors_and_warnings());
        }
        Ok(files)
    }

    /// Tells the errors on stderr; true if there are any. Warnings are for
    /// `rules check`.
    pub fn tell_errors(&self) -> bool {
        let mut errors = self.checked.diagnostics.clone();
        errors.retain(Diagnostic::is_error);
        crate::console::diagnostics(&errors, &self.sources);
        !errors.is_empty()
    }

    /// `2 errors, 1 warning`; `no errors`; `no errors, 1 note`.
    pub fn errors_and_warnings(&self) -> String {
        let count = |level| {
            let all = self.checked.diagnostics.iter();
            all.filter(|diagnostic| diagnostic.level == level).count()
        };
        let errors = match count(Level::Error) {
            0 => "no errors".to_owned(),
            errors => counted(errors, "error", "errors"),
        };
        let mut text = errors;
        for (level, one, many) in [
            (Level::Warning, "warning", "warnings"),
            (Level::Note, "note", "notes"),
        ] {
            match count(level) {
                0 => {}
                count => text = format!("{text}, {}", counted(count, one, many)),
            }
        }
        text
    }
}

/// `1 rule`, `2 rules`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

/// Only for warnings of exceptions that have expired: matching never reads a clock.
fn now_ns() -> Option<i64> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_nanos()).ok()
}
