//! Enforcement in the kernel, seen from the sensor.
//!
//! ```text
//! rules, policies ─► KernelSet ─► arming ─► the hooks decide ─► Verdict ─► Decided ─► findings
//!                    (compiled)  (tables and                  (in a record)
//!                                 what is kept of processes)
//! ```

mod arming;
mod decided;
mod mode;
mod set;
mod states;

pub use arming::{Arming, Records, arm};
pub use decided::Decided;
pub use mode::{Answer, Cause, Decision, Mode, Powers, Step, enforcement};
pub use set::{HostFacts, KernelSet, Standing};
pub use states::{RuleState, states};
