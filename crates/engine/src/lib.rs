//! Picket's rule engine.
//!
//! ```text
//! checked rules ─► Program (plain tables) ─► evaluate(event) ─► matched, undecided
//! ```
//!
//! [`naive`] says what a rule means; [`Program`] gives the same answers fast;
//! [`explain()`] says why. No I/O and no clock.

mod compile;
pub mod explain;
pub mod fold;
pub mod glob;
mod index;
pub mod kernel;
pub mod naive;
mod program;
pub mod regexes;
mod run;
mod sample;
mod scratch;
mod search;
mod show;
mod stats;
mod suite;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
mod truth;
mod verdict;

pub use explain::{Explanation, explain};
pub use program::{CompileOptions, Program};
pub use sample::Sample;
pub use scratch::Scratch;
pub use stats::{Clock, OverBudget, RuleStats};
pub use suite::{Tested, run_tests};
pub use truth::Truth;
pub use verdict::{RuleIndex, Verdicts};
