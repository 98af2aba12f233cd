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

pub mod pieces;

mod check;
mod condition;
mod diagnostics;
mod file;
mod fold;
mod formats;
mod limits;
mod policy;
mod print;
mod reference;
mod rule;
mod source;
mod suite;
mod words;
mod yaml;

pub use diagnostics::{
    BeyondKernel, Diagnostic, Label, Level, ProblemInfo, beyond_kernel, render_json, render_text,
};
pub use fold::{fold_char, fold_str};
pub use limits::Limits;
pub use reference::{problems, problems_markdown, schema_markdown};
pub use source::{Position, Source, SourceSpan};
pub use suite::{RuleTest, RuleTests};

use check::{Context, check_macro};
use diagnostics::Sink;
use file::Contents;
use picket_model::Policy;
use rule::Surroundings;
use source::Lines;
use std::collections::HashMap;

/// What [`check`] made of a set of rule files.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// The rules without errors, in the order of the sources.
    pub rules: Vec<ir::Rule>,
    /// The policies without errors, in the order of the sources.
    pub policies: Vec<Policy>,
    /// Where the id of each policy stands, in their order.
    pub policy_places: Vec<SourceSpan>,
    /// The tests inside the rules of [`Checked::rules`].
    pub tests: Vec<RuleTests>,
    /// Every error, warning and note, by source and position.
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
pub fn check_at(sources: &[Source], limits: &Limits, now_ns: Option<i64>) -> Checked {
    let mut sink = Sink::new(sources.len(), limits.diagnostics_per_file);
    let Contents {
        names,
        rules,
        policies,
        exceptions,
        with_rules,
    } = file::read(sources, limits, &mut sink);
    let mut cx = Context {
        limits,
        names: &names,
        sink: &mut sink,
    };
    for (name, place) in names.macros_in_order() {
        check_macro(&mut cx, name, place);
    }
    let mut around = Surroundings {
        files: sources
            .iter()
            .map(|source| (source.name.as_str(), Lines::new(&source.bytes)))
            .collect(),
        ids: HashMap::new(),
        exceptions: rule::exceptions_apart(&exceptions, cx.sink),
        now_ns,
    };
    let mut checked = Checked::default();
    for node in &rules {
        if let Some(loaded) = rule::check(&mut cx, node, &mut around) {
            checked.rules.push(loaded.rule);
            checked.tests.push(loaded.tests);
        }
    }
    rule::exceptions_of_nobody(&around, cx.sink);
    let known = policy::Rules::new(&checked.rules, &around.ids);
    let mut ids = HashMap::new();
    checked.policies = policies
        .iter()
        .filter_map(|node| policy::check(node, &known, &mut ids, cx.sink))
        .collect();
    let place = |policy: &Policy| ids.get(&policy.id).cloned();
    checked.policy_places = checked.policies.iter().filter_map(place).collect();
    // What a rule with errors uses may seem unused.
    if cx.sink.errors() == 0 {
        names.warn_unused(|source| with_rules.contains(&source), cx.sink);
    }
    checked.diagnostics = sink.finish();
    checked
}
