//! What only those can tell who compile checked rules for the kernel.

use super::{Diagnostic, Problem};
use crate::source::SourceSpan;
use picket_model::policy::Effects;

/// How far the kernel decides a rule, where that is not all the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeyondKernel {
    /// In some events only.
    Sometimes,
    /// Never.
    Always,
}

/// That a policy which acts rests on a rule that the kernel does not decide, or not
/// in every event. `place` is the policy's; `why` completes "the kernel cannot
/// decide it: …".
pub fn beyond_kernel(
    place: SourceSpan,
    policy: &str,
    effects: Effects,
    rule: &str,
    beyond: BeyondKernel,
    why: &str,
) -> Diagnostic {
    let (policy, rule, why) = (policy.to_owned(), rule.to_owned(), why.to_owned());
    let problem = match beyond {
        BeyondKernel::Always => Problem::NotInKernel { policy, rule, why },
        BeyondKernel::Sometimes => Problem::PartlyInKernel { policy, rule, why },
    };
    let help = match (beyond, effects.kill) {
        (BeyondKernel::Always, true) => {
            "the process is killed from user space, after the event, and nothing is denied"
        }
        (BeyondKernel::Always, false) => {
            "nothing is done about a match: what only denies must be decided in the kernel"
        }
        (BeyondKernel::Sometimes, true) => {
            "where it cannot, the process is killed from user space, after the event, and nothing is denied"
        }
        (BeyondKernel::Sometimes, false) => {
            "where it cannot, nothing is done about a match: what only denies must be decided in the kernel"
        }
    };
    Diagnostic::new(&problem, place).help(help)
}
