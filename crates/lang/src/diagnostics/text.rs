//! Diagnostics as text, with a caret under the source.

use crate::diagnostics::Diagnostic;
use crate::source::Source;

/// The diagnostics as text, for people; with terminal colours if asked.
pub fn render_text(_diagnostics: &[Diagnostic], _sources: &[Source], _color: bool) -> String {
    String::new()
}
