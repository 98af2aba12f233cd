//! From one run of the sensor to the next: what outlives a run, and how the next
//! takes over without a gap.
//!
//! ```text
//! programs before ──────── decide ───────────────────┐ (in force, with or without a sensor)
//!                                                     ├─ cut: both decide, records before it
//! programs now ─ attached ─ kept of processes ─ armed ┘  are theirs, after it ours
//! ```

use picket_probe::{Pins, Predecessor, ProbeError, Probes};

/// How often a ring is looked at for the last time: a record that was being written
/// hides those behind it for a moment.
const LAST_LOOKS: u32 = 3;

/// What becomes of blocks when the sensor ends, however it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExit {
    /// They are lifted.
    #[default]
    Lift,
    /// They stay in force, and the next run takes over.
    Keep,
}

/// What this run found in the kernel, and what it leaves there.
#[derive(Debug, Default)]
pub struct Takeover {
    pins: Option<Pins>,
    keep: bool,
    before: Vec<Predecessor>,
    /// Boot time from which on events are this run's to tell.
    cut_ns: u64,
}

impl Takeover {
    /// For an instance that this process has claimed; without one nothing is
    /// found and nothing stays.
    pub fn new(pins: Option<Pins>, on_exit: OnExit) -> Result<Takeover, ProbeError> {
        let before = match &pins {
            Some(pins) => pins.predecessors()?,
            None => Vec::new(),
        };
        Ok(Takeover {
            keep: on_exit == OnExit::Keep,
            pins,
            before,
            cut_ns: 0,
        })
    }

    /// Whether somebody lifted every block of a run before.
    pub fn found_disarmed(&self) -> bool {
        self.before.iter().any(Predecessor::is_disarmed)
    }

    /// Whether programs of a run before are in force.
    pub fn found_any(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether programs before had no room for something they had to tell.
    pub fn has_lost(&self) -> Result<bool, ProbeError> {
        for run in &self.before {
            if run.drops()?.total() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an event at that time is told by this run's records.
    pub fn is_ours(&self, boot_ns: u64) -> bool {
        boot_ns >= self.cut_ns
    }

    /// Hands what the programs before have written until now to `each`. What they go
    /// on to write is left for the next time, so that a flood cannot keep it here.
    /// Returns how much there was.
    pub fn drain(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        let runs = self.before.iter_mut();
        runs.map(|run| run.consume(each)).sum()
    }

    /// What is in force from now on are this run's programs, and they stay if that
    /// is wanted. `each` gets the last that the programs before have to tell, and
    /// when it was. Returns what a person should know.
    pub fn complete(
        &mut self,
        probes: &mut Probes,
        now_ns: u64,
        each: &mut dyn FnMut(&[u8], u64),
    ) -> Result<Vec<String>, ProbeError> {
        let mut notices = Vec::new();
        if self.keep
            && let Some(pins) = &self.pins
        {
            probes.stay(pins)?;
        }
        if self.before.is_empty() {
            return Ok(notices);
        }
        self.cut_ns = now_ns;
        for _ in 0..LAST_LOOKS {
            if self.drain(&mut |bytes| each(bytes, now_ns)) == 0 {
                break;
            }
        }
        for run in std::mem::take(&mut self.before) {
            let drops = run.drops()?;
            if drops.total() > 0 {
                notices.push(format!(
                    "the run before this one had no room for {} records ({drops}): what they said \
                     was not judged; what it decided in the kernel was done all the same",
                    drops.total()
                ));
            }
            if !run.is_readable() {
                notices.push(
                    "what the run before this one did without a sensor cannot be read: it was \
                     another version"
                        .into(),
                );
            }
            run.retire()?;
        }
        Ok(notices)
    }

    /// At the end of the run: clears away what nobody needs. `used` says whether
    /// any budget was charged.
    pub fn end(self, used: bool) {
        if let Some(pins) = self.pins {
            pins.tidy(used);
        }
    }
}
