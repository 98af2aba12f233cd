//! The process table and what records make of it.

mod assemble;
mod table;

pub use assemble::{Assembled, Assembler, IsRuntime, OutcomeKey};
pub use table::{Limits, ProcessTable};

#[cfg(test)]
mod tests;
