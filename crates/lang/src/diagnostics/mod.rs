//! What is wrong with a rule file, and how it is told.

use crate::source::SourceSpan;

mod json;
mod kernel;
mod problem;
mod sink;
mod suggest;
mod text;

pub use json::render_json;
pub use kernel::{BeyondKernel, beyond_kernel};
pub use problem::ProblemInfo;
pub(crate) use problem::{ALL, Problem};
pub(crate) use sink::Sink;
pub(crate) use suggest::nearest;
pub use text::render_text;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What it points at is left out.
    Error,
    /// It works, but perhaps not as meant.
    Warning,
    /// It works, and there is something to know about it.
    Note,
}

impl Level {
    /// The word in both renderings.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// A place and what it has to do with a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    /// Where.
    pub span: SourceSpan,
    /// What; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// True when what it points at is left out.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    pub(crate) fn new(problem: &Problem, span: SourceSpan) -> Diagnostic {
        let info = problem.info();
        Diagnostic {
            code: info.code,
            level: info.level,
            message: printable(&problem.to_string()),
            primary: Label {
                span,
                text: String::new(),
            },
            labels: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A few words under the caret.
    pub(crate) fn here(mut self, text: impl AsRef<str>) -> Diagnostic {
        self.primary.text = printable(text.as_ref());
        self
    }

    /// Another place.
    pub(crate) fn also(mut self, span: SourceSpan, text: impl AsRef<str>) -> Diagnostic {
        self.labels.push(Label {
            span,
            text: printable(text.as_ref()),
        });
        self
    }

    /// What to do about it.
    pub(crate) fn help(mut self, text: impl AsRef<str>) -> Diagnostic {
        self.help.push(printable(text.as_ref()));
        self
    }

    /// "did you mean …", if there is something to mean.
    pub(crate) fn suggest(self, nearest: Option<impl AsRef<str>>) -> Diagnostic {
        match nearest {
            Some(name) => self.help(format!("did you mean `{}`?", name.as_ref())),
            None => self,
        }
    }
}

/// Longest message, in characters: what a rule file says may be quoted in it.
const MESSAGE_CHARS: usize = 400;

/// Text from a rule file, made safe for a terminal and of bounded length.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(MESSAGE_CHARS));
    for (count, c) in text.chars().enumerate() {
        if count == MESSAGE_CHARS {
            safe.push('…');
            break;
        }
        // Bidirectional controls reorder what a reader sees.
        let hides =
            c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if hides {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_are_shown_not_sent() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(
            printable(&"x".repeat(1000)).chars().count(),
            MESSAGE_CHARS + 1
        );
    }

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
    }
}
