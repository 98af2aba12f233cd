//! The process table and what records make of it.

mod assemble;
mod table;

pub use assemble::{Assembler, Assembled, OutcomeKey};
pub use table::{Limits, ProcessTable};
