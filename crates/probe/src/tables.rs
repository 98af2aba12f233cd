//! The kernel half from outside: tables, what is kept of processes, policies.
//!
//! There are two halves of everything. One decides; the other can be made ready
//! beside it, processes executing and forking into it already, and take over by
//! one write.

use crate::probes::{Probes, map, read_error};
use crate::wire::{self, Wire};
use crate::{ProbeError, hooks};
use libbpf_rs::{MapCore, MapFlags, ProgramInput};
use picket_engine::kernel::UnitBits;
use picket_engine::kernel::layout::{POLICIES, TABLE_BYTES};
use picket_model::policy::Effects;
use std::os::fd::AsFd;

/// One of the two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Half(pub(crate) u32);

impl Half {
    /// Both.
    pub(crate) const ALL: [Half; 2] = [Half(0), Half(1)];

    fn other(self) -> Half {
        Half(self.0 ^ 1)
    }
}

/// What is kept of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessState {
    /// `group_leader->start_boottime`.
    pub start_ns: u64,
    /// What its own image makes true.
    pub own: UnitBits,
    /// What any of its ancestors' images makes true.
    pub line: UnitBits,
    /// It is a member of the protected set; none: that is not known.
    pub protected: Option<bool>,
    /// It is a container runtime.
    pub runtime: bool,
}

/// Reads whether every block was lifted, from any thread.
#[derive(Debug)]
pub struct DisarmSwitch(libbpf_rs::MapHandle);

impl DisarmSwitch {
    /// Whether every block simulates because somebody said so.
    pub fn is_thrown(&self) -> Result<bool, ProbeError> {
        let value = self
            .0
            .lookup(&wire::SET_DISARMED.to_ne_bytes(), MapFlags::ANY)
            .map_err(|error| read_error("the settings", error))?;
        Ok(value.is_some_and(|value| crate::probes::number(&value) != 0))
    }
}

/// A policy as the kernel carries it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelPolicy {
    /// Its id.
    pub id: String,
    /// What it does.
    pub effects: Effects,
    /// It acts and does not only simulate.
    pub blocks: bool,
    /// Actions allowed in a window; none: any number.
    pub actions: Option<u32>,
    /// That window, milliseconds.
    pub window_ms: u32,
    /// After how long a used-up budget is good again, milliseconds; none: only
    /// when a person says so.
    pub pause_ms: Option<u32>,
    /// Which budget it charges.
    pub budget: u32,
}

impl KernelPolicy {
    /// How much of an id stands in the kernel's map.
    pub const ID_BYTES: usize = wire::POLICY_ID - 1;
}

impl Probes {
    /// The half that decides, if one does.
    pub fn deciding(&self) -> Result<Option<Half>, ProbeError> {
        Ok(half_of(self.setting(wire::SET_TABLES)?))
    }

    /// Writes tables and policies into the half that does not decide, and begins
    /// to keep what processes do from now on for it. When this returns, every
    /// program that did not know of it has ended: what it saw stands in the ring.
    pub fn prepare(&mut self, block: &[u8], policies: &[KernelPolicy]) -> Result<Half, ProbeError> {
        let half = self.deciding()?.map_or(Half(0), Half::other);
        self.abandon()?;
        if block.len() > TABLE_BYTES || policies.len() > POLICIES {
            return Err(ProbeError::Limit {
                what: "the rules under a policy",
                limit: TABLE_BYTES,
            });
        }
        let mut value = vec![0; TABLE_BYTES];
        value[..block.len()].copy_from_slice(block);
        let update = |name, key: u32, value: &[u8]| {
            map(&self.object, name)?
                .update(&key.to_ne_bytes(), value, MapFlags::ANY)
                .map_err(|error| read_error(name, error))
        };
        update("tables", half.0, &value)?;
        // What is left of an earlier set would be taken for a policy in force by
        // those who look at the map.
        let entries = policies.iter().map(entry);
        let entries = entries.chain(std::iter::repeat(NO_POLICY)).take(POLICIES);
        for (key, entry) in (half.0 * POLICIES as u32..).zip(entries) {
            update("picket_policies", key, entry.bytes())?;
        }
        self.set(wire::SET_NEXT_TABLES, u64::from(half.0) + 1)?;
        self.wait_for_programs()?;
        Ok(half)
    }

    /// Puts in what is known of a process that ran before the half was prepared,
    /// unless the kernel knows of it already.
    /// True if it was put in.
    pub fn keep(&self, half: Half, pid: u32, state: &ProcessState) -> Result<bool, ProbeError> {
        let key = wire::StateKey { pid, half: half.0 };
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let value = wire::State {
            serial: 0,
            start_ns: state.start_ns,
            own_true: state.own.certain,
            own_maybe: state.own.maybe,
            line_true: state.line.certain,
            line_maybe: state.line.maybe,
            ghost: 0,
            flags: flag(state.protected == Some(true), wire::PROCESS_PROTECTED)
                | flag(state.protected.is_none(), wire::PROCESS_PROTECTION_UNKNOWN)
                | flag(state.runtime, wire::PROCESS_RUNTIME),
            own_words: words(&state.own),
            line_words: words(&state.line),
        };
        let states = map(&self.object, "states")?;
        match states.update(key.bytes(), value.bytes(), MapFlags::NO_EXIST) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == libbpf_rs::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(read_error("what is kept of processes", error)),
        }
    }

    /// What the kernel keeps of a process.
    pub fn kept(&self, half: Half, pid: u32) -> Result<Option<ProcessState>, ProbeError> {
        let key = wire::StateKey { pid, half: half.0 };
        let value = map(&self.object, "states")?
            .lookup(key.bytes(), MapFlags::ANY)
            .map_err(|error| read_error("what is kept of processes", error))?;
        let Some(state) = value.as_deref().and_then(wire::State::read) else {
            return Ok(None);
        };
        let has = |flag: u32| state.flags & flag != 0;
        Ok(Some(ProcessState {
            start_ns: state.start_ns,
            own: UnitBits {
                certain: state.own_true,
                maybe: state.own_maybe,
            },
            line: UnitBits {
                certain: state.line_true,
                maybe: state.line_maybe,
            },
            protected: (!has(wire::PROCESS_PROTECTION_UNKNOWN))
                .then(|| has(wire::PROCESS_PROTECTED)),
            runtime: has(wire::PROCESS_RUNTIME),
        }))
    }

    /// The prepared half decides from now on, and what was kept for the other is
    /// forgotten.
    pub fn switch(&mut self, half: Half) -> Result<(), ProbeError> {
        // A program reads both: for a moment it may take the half for both of
        // them, and do the same work twice.
        self.set(wire::SET_TABLES, u64::from(half.0) + 1)?;
        self.set(wire::SET_NEXT_TABLES, 0)?;
        self.wait_for_programs()?;
        self.forget(half.other())
    }

    /// No half decides any more.
    pub fn disengage(&mut self) -> Result<(), ProbeError> {
        self.set(wire::SET_TABLES, 0)?;
        self.set(wire::SET_NEXT_TABLES, 0)?;
        self.wait_for_programs()?;
        Half::ALL.into_iter().try_for_each(|half| self.forget(half))
    }

    /// A handle on whether every block was lifted.
    pub fn disarm_switch(&self) -> Result<DisarmSwitch, ProbeError> {
        let settings = map(&self.object, "picket_settings")?;
        libbpf_rs::MapHandle::try_from(&settings)
            .map(DisarmSwitch)
            .map_err(|error| read_error("the settings", error))
    }

    /// Whether every block was lifted.
    pub fn is_disarmed(&self) -> Result<bool, ProbeError> {
        Ok(self.setting(wire::SET_DISARMED)? != 0)
    }

    /// Lifts every block, or undoes that.
    pub fn set_disarmed(&self, disarmed: bool) -> Result<(), ProbeError> {
        self.set(wire::SET_DISARMED, disarmed.into())
    }

    /// Gives up a half that was prepared and did not take over.
    fn abandon(&mut self) -> Result<(), ProbeError> {
        if let Some(half) = half_of(self.setting(wire::SET_NEXT_TABLES)?) {
            self.set(wire::SET_NEXT_TABLES, 0)?;
            self.wait_for_programs()?;
            self.forget(half)?;
        }
        Ok(())
    }

    fn forget(&self, half: Half) -> Result<(), ProbeError> {
        let states = map(&self.object, "states")?;
        let of_half =
            |key: &Vec<u8>| wire::StateKey::read(key).is_some_and(|key| key.half == half.0);
        let keys: Vec<Vec<u8>> = states.keys().filter(of_half).collect();
        for key in keys {
            // One that ended meanwhile is gone already.
            let _ = states.delete(&key);
        }
        Ok(())
    }

    /// Returns when every program that runs now has ended.
    fn wait_for_programs(&self) -> Result<(), ProbeError> {
        let inner = map(&self.object, "grace_inner")?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&inner.as_fd()).to_ne_bytes();
        map(&self.object, "grace")?
            .update(&0u32.to_ne_bytes(), &fd, MapFlags::ANY)
            .map_err(|error| read_error("the kernel's programs", error))
    }

    /// Judges a record without an event: which programs hold for certain, and
    /// which may, by the half that is being prepared. For tests of the kernel
    /// half against the engine; nothing is decided and nobody is touched.
    #[doc(hidden)]
    pub fn try_record(&mut self, half: Half, record: &[u8]) -> Result<Tried, ProbeError> {
        let mut trial = wire::Trial {
            half: half.0,
            size: record.len() as u32,
            certain: [0; wire::RULE_WORDS],
            maybe: [0; wire::RULE_WORDS],
            record: [0; wire::TRIAL_ROOM],
        };
        trial
            .record
            .get_mut(..record.len())
            .ok_or(ProbeError::Limit {
                what: "a record",
                limit: wire::TRIAL_ROOM,
            })?
            .copy_from_slice(record);
        let trials = map(&self.object, "trials")?;
        let key = 0u32.to_ne_bytes();
        let failed = |error| read_error("a trial", error);
        trials
            .update(&key, trial.bytes(), MapFlags::ANY)
            .map_err(failed)?;
        let program =
            crate::probes::program(&self.object, hooks::TRIAL).ok_or(ProbeError::Refused {
                program: hooks::TRIAL.into(),
                reason: "it is not in the object".into(),
            })?;
        let run = program.test_run(ProgramInput::default()).map_err(failed)?;
        if (run.return_value as i32) < 0 {
            return Err(ProbeError::Refused {
                program: hooks::TRIAL.into(),
                reason: format!("it could not read the record ({})", run.return_value as i32),
            });
        }
        let value = trials.lookup(&key, MapFlags::ANY).map_err(failed)?;
        let tried = value
            .as_deref()
            .and_then(wire::Trial::read)
            .unwrap_or(trial);
        Ok(Tried {
            certain: bits(&tried.certain),
            maybe: bits(&tried.maybe),
        })
    }
}

/// What a trial gave, by program.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Those that hold for certain.
    pub certain: Vec<usize>,
    /// Those that hold or may hold.
    pub maybe: Vec<usize>,
}

fn bits(words: &[u64]) -> Vec<usize> {
    (0..words.len() * 64)
        .filter(|bit| words[bit / 64] >> (bit % 64) & 1 == 1)
        .collect()
}

/// Which words of what may be are not empty.
fn words(bits: &UnitBits) -> u16 {
    let bit = |(word, bits): (usize, &u64)| u16::from(*bits != 0) << word;
    bits.maybe.iter().enumerate().map(bit).sum()
}

pub(crate) fn half_of(setting: u64) -> Option<Half> {
    Half::ALL
        .into_iter()
        .find(|half| u64::from(half.0) + 1 == setting)
}

fn entry(policy: &KernelPolicy) -> wire::Policy {
    let mut id = [0; wire::POLICY_ID];
    // Always with a NUL behind it.
    for (to, from) in id[..wire::POLICY_ID - 1].iter_mut().zip(policy.id.bytes()) {
        *to = from;
    }
    let effect = |set: bool, effect: u32| if set { effect } else { 0 };
    wire::Policy {
        effects: effect(policy.effects.kill, wire::EFFECT_KILL)
            | effect(policy.effects.deny, wire::EFFECT_DENY),
        blocks: policy.blocks.into(),
        actions: policy.actions.unwrap_or(0),
        window_ms: policy.window_ms,
        pause_ms: policy.pause_ms.unwrap_or(0),
        budget: policy.budget,
        id,
    }
}

/// An entry without an id.
const NO_POLICY: wire::Policy = wire::Policy {
    effects: 0,
    blocks: 0,
    actions: 0,
    window_ms: 0,
    pause_ms: 0,
    budget: 0,
    id: [0; wire::POLICY_ID],
};

/// What an entry says; none if there is no policy in it.
pub(crate) fn policy_of(entry: &wire::Policy) -> Option<KernelPolicy> {
    let id = entry.id.split(|byte| *byte == 0).next()?;
    if id.is_empty() {
        return None;
    }
    let has = |effect: u32| entry.effects & effect != 0;
    let some = |number: u32| (number != 0).then_some(number);
    Some(KernelPolicy {
        id: String::from_utf8_lossy(id).into_owned(),
        effects: Effects {
            kill: has(wire::EFFECT_KILL),
            deny: has(wire::EFFECT_DENY),
        },
        blocks: entry.blocks != 0,
        actions: some(entry.actions),
        window_ms: entry.window_ms,
        pause_ms: some(entry.pause_ms),
        budget: entry.budget,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(id: &str) -> KernelPolicy {
        KernelPolicy {
            id: id.into(),
            effects: Effects {
                kill: false,
                deny: true,
            },
            blocks: true,
            actions: Some(5),
            window_ms: 60_000,
            pause_ms: None,
            budget: 7,
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let short = policy("stop-miners");
        assert_eq!(policy_of(&entry(&short)), Some(short));
        let long = policy(&"x".repeat(128));
        let read = policy_of(&entry(&long)).unwrap();
        assert_eq!(read.id.len(), KernelPolicy::ID_BYTES);
        assert!(long.id.starts_with(&read.id));
        assert_eq!(policy_of(&NO_POLICY), None);
    }
}
