//! Every Picket that decides in this kernel, found by its maps: also one whose
//! sensor has died and whose programs have stayed.
//!
//! ```text
//! the kernel's maps ─► those named picket_settings ─► programs that use one ─► the
//!                                                     other maps of these programs
//! ```

use crate::probes::{number, read_error};
use crate::tables::{Half, half_of, policy_of};
use crate::wire::{self, Wire};
use crate::{KernelPolicy, ProbeError};
use libbpf_rs::{ErrorKind, MapCore, MapFlags, MapHandle};
use picket_engine::kernel::layout::{BUDGETS, POLICIES};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SETTINGS: &str = "picket_settings";
const POLICY_MAP: &str = "picket_policies";
const BUDGET_MAP: &str = "picket_budgets";

/// What was found in the kernel.
#[derive(Debug)]
pub struct Instances {
    /// Every Picket there, the oldest first.
    pub found: Vec<Instance>,
    /// Maps that the kernel did not let us open: there may be a Picket among them.
    pub closed: usize,
}

/// One Picket's half in the kernel.
#[derive(Debug)]
pub struct Instance {
    settings: MapHandle,
    policies: Option<MapHandle>,
    budgets: Option<MapHandle>,
}

impl Instances {
    /// Looks through the kernel's maps and programs. Needs `CAP_SYS_ADMIN`.
    pub fn look() -> Result<Instances, ProbeError> {
        let mut closed = 0;
        let mut ours: BTreeMap<u32, MapHandle> = BTreeMap::new();
        for id in Ids::of(Kind::Map) {
            let id = id?;
            match MapHandle::from_map_id(id) {
                Ok(map) => {
                    let name = map.name().to_str().unwrap_or_default();
                    if [SETTINGS, POLICY_MAP, BUDGET_MAP].contains(&name) {
                        ours.insert(id, map);
                    }
                }
                // It went while we looked.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(_) => closed += 1,
            }
        }
        // A map alone does not tell whose it is: maps may outlive the object they
        // were made for, and serve the next. The programs that use it do.
        let mut groups: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (id, map) in &ours {
            if is_settings(map) {
                groups.insert(*id, BTreeSet::new());
            }
        }
        for id in Ids::of(Kind::Program) {
            let used = maps_of_program(id?);
            for settings in &used {
                if let Some(group) = groups.get_mut(settings) {
                    group.extend(&used);
                }
            }
        }
        let found = groups.iter().filter_map(|(id, group)| {
            let newest = |name: &str, value: usize, entries: usize| {
                let fits = |map: &&MapHandle| {
                    map.name() == name
                        && map.value_size() as usize == value
                        && map.max_entries() as usize == entries
                };
                let mut maps = group.iter().rev().filter_map(|id| ours.get(id));
                MapHandle::try_from(maps.find(fits)?).ok()
            };
            Some(Instance {
                settings: MapHandle::try_from(ours.get(id)?).ok()?,
                policies: newest(POLICY_MAP, size_of::<wire::Policy>(), 2 * POLICIES),
                budgets: newest(BUDGET_MAP, size_of::<wire::Budget>(), BUDGETS),
            })
        });
        let found = found.collect();
        Ok(Instances { found, closed })
    }
}

/// Settings as this version and those before it have them.
fn is_settings(map: &MapHandle) -> bool {
    map.name() == SETTINGS && map.value_size() == 8 && map.max_entries() > wire::SET_DISARMED
}

impl Instance {
    /// The process id of the sensor that loaded it, in the initial namespace.
    pub fn sensor(&self) -> Result<u32, ProbeError> {
        let pid = self.setting(wire::SET_SELF)?;
        Ok(pid.try_into().unwrap_or(0))
    }

    /// Whether every block was lifted.
    pub fn is_disarmed(&self) -> Result<bool, ProbeError> {
        Ok(self.setting(wire::SET_DISARMED)? != 0)
    }

    /// Lifts every block, or undoes that.
    pub fn set_disarmed(&self, disarmed: bool) -> Result<(), ProbeError> {
        let value = u64::from(disarmed).to_ne_bytes();
        self.settings
            .update(&wire::SET_DISARMED.to_ne_bytes(), &value, MapFlags::ANY)
            .map_err(|error| read_error(SETTINGS, error))
    }

    /// The policies that decide at this moment. Of an id longer than
    /// [`KernelPolicy::ID_BYTES`] only the beginning is there.
    pub fn policies(&self) -> Result<Vec<KernelPolicy>, ProbeError> {
        let half = half_of(self.setting(wire::SET_TABLES)?);
        let (Some(Half(half)), Some(map)) = (half, &self.policies) else {
            return Ok(Vec::new());
        };
        let first = half * POLICIES as u32;
        let entries = (first..first + POLICIES as u32).map(|key| {
            map.lookup(&key.to_ne_bytes(), MapFlags::ANY)
                .map_err(|error| read_error(POLICY_MAP, error))
        });
        let mut policies = Vec::new();
        for entry in entries {
            let entry = entry?.as_deref().and_then(wire::Policy::read);
            policies.extend(entry.as_ref().and_then(policy_of));
        }
        Ok(policies)
    }

    /// Makes a policy's budget as good as new; true if it had been used up.
    pub fn reset_budget(&self, policy: &KernelPolicy) -> Result<bool, ProbeError> {
        let (Some(map), Some(_)) = (&self.budgets, policy.actions) else {
            return Ok(false);
        };
        let key = policy.budget.to_ne_bytes();
        let failed = |error| read_error(BUDGET_MAP, error);
        let budget = map.lookup(&key, MapFlags::ANY).map_err(failed)?;
        let Some(mut budget) = budget.as_deref().and_then(wire::Budget::read) else {
            return Ok(false);
        };
        let tripped = budget.tripped_ms != 0;
        budget.next = 0;
        budget.tripped_ms = 0;
        budget.used_ms.fill(0);
        map.update(&key, budget.bytes(), MapFlags::ANY)
            .map_err(failed)?;
        Ok(tripped)
    }

    fn setting(&self, which: u32) -> Result<u64, ProbeError> {
        let value = self
            .settings
            .lookup(&which.to_ne_bytes(), MapFlags::ANY)
            .map_err(|error| read_error(SETTINGS, error))?;
        Ok(value.as_deref().map_or(0, number))
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Map,
    Program,
}

/// Ids of everything of a kind in the kernel, ascending.
struct Ids {
    kind: Kind,
    last: Option<u32>,
}

impl Ids {
    fn of(kind: Kind) -> Ids {
        Ids {
            kind,
            last: Some(0),
        }
    }
}

impl Iterator for Ids {
    type Item = Result<u32, ProbeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = self.last.take()?;
        let mut next = 0;
        // SAFETY: a number goes in, and `next` is a live place for the one that
        // comes out.
        let failed = unsafe {
            match self.kind {
                Kind::Map => libbpf_sys::bpf_map_get_next_id(last, &mut next),
                Kind::Program => libbpf_sys::bpf_prog_get_next_id(last, &mut next),
            }
        };
        if failed == 0 {
            self.last = Some(next);
            return Some(Ok(next));
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            // The end of the list.
            io::ErrorKind::NotFound => None,
            io::ErrorKind::PermissionDenied => Some(Err(ProbeError::Missing {
                what: "the right to look through the kernel's eBPF maps".into(),
                remedy: "run as root, or with CAP_SYS_ADMIN".into(),
            })),
            _ => Some(Err(read_error("the kernel's eBPF maps", error.into()))),
        }
    }
}

/// Ids of the maps that a program uses; none if it is gone or not ours to see.
fn maps_of_program(id: u32) -> Vec<u32> {
    // More than any program of ours uses.
    const MOST: usize = 64;
    // SAFETY: a number goes in; what comes out is a new descriptor or an error.
    let fd = unsafe { libbpf_sys::bpf_prog_get_fd_by_id(id) };
    if fd < 0 {
        return Vec::new();
    }
    // SAFETY: the kernel gave this descriptor to us alone.
    let program = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut ids = [0u32; MOST];
    let mut info = libbpf_sys::bpf_prog_info {
        nr_map_ids: MOST as u32,
        map_ids: ids.as_mut_ptr() as u64,
        ..Default::default()
    };
    let mut len = size_of_val(&info) as u32;
    // SAFETY: `info` is a live value of `len` bytes that asks for one variable
    // part only, for which it names a live buffer and how many fit into it.
    let failed =
        unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &mut info, &mut len) };
    if failed != 0 {
        return Vec::new();
    }
    ids[..(info.nr_map_ids as usize).min(MOST)].to_vec()
}
