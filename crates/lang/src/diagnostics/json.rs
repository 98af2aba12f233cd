//! Diagnostics as JSON.

use crate::diagnostics::Diagnostic;
use crate::source::Source;

/// The diagnostics as a JSON array, for programs.
pub fn render_json(_diagnostics: &[Diagnostic], _sources: &[Source]) -> String {
    "[]".to_owned()
}
