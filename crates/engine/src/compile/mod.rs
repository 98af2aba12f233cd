//! From checked rules to tables.
//!
//! ```text
//! rules ─► normal form ─► covers (by learned frequencies) ─► layout ─► tables
//! ```

pub(crate) mod choose;
pub(crate) mod frequency;
pub(crate) mod layout;
pub(crate) mod literals;
pub(crate) mod normal;
pub(crate) mod pattern;
pub(crate) mod postings;
pub(crate) mod stage;

pub(crate) use literals::{Literal, required as required_literals};
pub(crate) use pattern::glob_literal;

use crate::tables::Tables;
use normal::{Interner, Tree};
use picket_lang::ir::Rule;
use picket_model::{ClassSet, Event};

/// Compiles rules; `sample` teaches what is frequent.
pub(crate) fn compile(rules: &[Rule], sample: &[Event]) -> Tables {
    let mut interner = Interner::default();
    let mut units: Vec<(ClassSet, Tree)> = rules
        .iter()
        .map(|rule| {
            let classes = rule.classes.iter().copied().collect();
            (classes, interner.rule(rule))
        })
        .collect();
    let bodies = std::mem::take(&mut interner.bodies);
    units.extend(bodies.into_iter().map(|body| (ClassSet::all(), body)));
    let frequencies = frequency::Frequencies::learn(&interner, sample);
    layout::layout(units, rules.len(), interner, &frequencies)
}
