//! What the kernel decided, checked.

use super::{DecodeError, Raw};
use crate::wire;
use picket_model::record::{Done, Spared, Verdict};

impl Raw<'_> {
    /// The verdict that a record of this kind carries; none where the event was
    /// not judged.
    pub(super) fn verdict(&self, kind: u32) -> Result<Option<Box<Verdict>>, DecodeError> {
        let verdict = match kind {
            wire::EXEC => self.fixed::<wire::Exec>()?.verdict,
            wire::CONNECT => self.fixed::<wire::Connect>()?.verdict,
            wire::LISTEN => self.fixed::<wire::Listen>()?.verdict,
            wire::DNS_QUERY => self.fixed::<wire::Dns>()?.verdict,
            wire::FILE_OPEN
            | wire::FILE_CREATE
            | wire::FILE_RENAME
            | wire::FILE_DELETE
            | wire::FILE_CHMOD => self.fixed::<wire::File>()?.verdict,
            _ => return Ok(None),
        };
        if verdict.tables == 0 {
            return Ok(None);
        }
        let spared = match u32::from(verdict.spared) {
            wire::NOT_SPARED => Spared::No,
            wire::SPARED_PROTECTED => Spared::Protected,
            wire::SPARED_OUT_OF_SCOPE => Spared::OutOfScope,
            wire::SPARED_UNKNOWN => Spared::Unknown,
            wire::SPARED_KERNEL => Spared::Kernel,
            _ => return Err(self.field("verdict")),
        };
        let done = |bit: u32| u32::from(verdict.done) & bit != 0;
        let named = usize::from(verdict.matched).min(wire::VERDICT_RULES);
        Ok(Some(Box::new(Verdict {
            tables: verdict.tables,
            rules: verdict.rules[..named].into(),
            matched: verdict.matched,
            undecided: verdict.undecided,
            triggered: verdict.triggered,
            over_budget: verdict.over_budget,
            tripped: verdict.tripped,
            disarmed: verdict.disarmed,
            simulated: verdict.simulated,
            acted: verdict.acted,
            spared,
            done: Done {
                denied: done(wire::DONE_DENIED),
                killed: done(wire::DONE_KILLED),
                kill_failed: done(wire::DONE_KILL_FAILED),
                kill_wanted: done(wire::DONE_KILL_WANTED),
            },
            deniable: verdict.deniable,
            kills_here: verdict.kills_here != 0,
            took_ns: verdict.took_ns,
        })))
    }
}
