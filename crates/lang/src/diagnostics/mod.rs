//! What is wrong with a rule file, and how it is told.

use crate::source::SourceSpan;

mod json;
mod text;

pub use json::render_json;
pub use text::render_text;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What it points at is left out.
    Error,
    /// It works, but perhaps not as meant.
    Warning,
}

impl Level {
    /// The word in both renderings.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, such as `PK0301`.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// One sentence.
    pub message: String,
    /// The place, with a few words under the caret.
    pub primary: Label,
    /// Further places that have to do with it.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// True when what it points at is left out.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

/// A place and what it has to do with a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: SourceSpan,
    /// What; may be empty.
    pub text: String,
}
