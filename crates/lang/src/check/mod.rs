//! The typed check: syntax trees to [`crate::ir`], with every name resolved
//! and every predicate held against the field schema.

mod address;
mod constant;
mod contradiction;
mod cost;
mod field;
mod glob;
mod lower;
mod names;
mod predicate;
mod regex;
mod text;

pub(crate) use address::address;
pub(crate) use constant::{Operand, list_operands};
pub(crate) use cost::warn_if_costly;
pub(crate) use field::{missing_class, resolve_any};
pub(crate) use lower::{Scope, check_macro, condition};
pub(crate) use names::{Names, parse_node};
pub(crate) use predicate::{Quantifier, Target, test};
pub(crate) use text::{Admitted, admit};

use crate::diagnostics::Sink;
use crate::limits::Limits;

/// What every part of the check needs.
pub(crate) struct Context<'c> {
    pub(crate) limits: &'c Limits,
    pub(crate) names: &'c Names<'c>,
    pub(crate) sink: &'c mut Sink,
}
