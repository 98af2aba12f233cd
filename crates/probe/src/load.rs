//! Loading the programs: what this kernel does not take is left out.

use crate::hooks::{self, HOOKS, Site, When};
use crate::probes::{has_trace, map, read_error};
use crate::{ProbeError, log, wire};
use libbpf_rs::btf::Btf;
use libbpf_rs::{MapCore, MapHandle, MapType, Object, ObjectBuilder, OpenObject};
use picket_engine::kernel::layout;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

/// The compiled programs.
pub(crate) static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/picket.bpf.o"));

pub(crate) const NO_TRACEPOINT: &str = "this kernel has no tracepoint";

const BUDGETS: &str = "picket_budgets";

/// `SCRATCH_FREE` in bpf/path.h: the areas before it are everybody's.
const SCRATCH_FREE: u32 = 4;

/// What programs may do on this kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Powers {
    /// Those of cgroup hooks may send signals.
    pub(crate) cgroup_can_kill: bool,
    /// Security hooks run programs.
    pub(crate) security: bool,
    /// Load what judges records without events.
    pub(crate) trials: bool,
}

/// Loads the object; a program that this kernel does not take is left out,
/// unless everything depends on it. `budgets` is where they are pinned.
pub(crate) fn load(
    ring_bytes: u32,
    powers: Powers,
    budgets: Option<&Path>,
) -> Result<(Object, BTreeMap<&'static str, String>), ProbeError> {
    let btf = Btf::from_vmlinux().map_err(|_| ProbeError::Missing {
        what: "the kernel's type information (BTF)".into(),
        remedy:
            "run a kernel built with CONFIG_DEBUG_INFO_BTF=y; /sys/kernel/btf/vmlinux must exist"
                .into(),
    })?;
    let mut refused = BTreeMap::new();
    for hook in HOOKS {
        if let Site::Trace(name) | Site::TraceIfAny(name) = hook.site {
            if !has_trace(&btf, name) {
                refused.insert(hook.program, format!("{NO_TRACEPOINT} {name}"));
            }
        }
    }
    loop {
        log::start();
        let mut open = open_object(ring_bytes)?;
        set_powers(&mut open, powers)?;
        let pin = budgets.filter(|path| !go_on_with_budgets(&mut open, path));
        for mut program in open.progs_mut() {
            let name = program.name().to_str().unwrap_or_default();
            let hook = HOOKS.iter().find(|hook| hook.program == name);
            let unwanted = match hook.map(|hook| hook.when) {
                Some(When::Condemned(_)) => powers.cgroup_can_kill,
                Some(When::Security(_)) => !powers.security,
                Some(_) => false,
                None => name == hooks::LSM || (name == hooks::TRIAL && !powers.trials),
            };
            if unwanted || refused.contains_key(name) {
                program.set_autoload(false);
            }
        }
        let source = match open.load() {
            Ok(mut object) => {
                if let Some(path) = pin {
                    pin_budgets(&mut object, path)?;
                }
                return Ok((object, refused));
            }
            Err(source) => source,
        };
        let log = log::take();
        if source.kind() == libbpf_rs::ErrorKind::PermissionDenied && !log.contains("PROG LOAD LOG")
        {
            return Err(ProbeError::Missing {
                what: "the right to load eBPF programs".into(),
                remedy:
                    "run as root, or with CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_SYS_ADMIN"
                        .into(),
            });
        }
        let optional = refused_program(&log).filter(|name| !refused.contains_key(name));
        match optional {
            Some(name) => {
                refused.insert(name, format!("the kernel refused it: {}", last_words(&log)))
            }
            None => return Err(ProbeError::Load { source, log }),
        };
    }
}

/// Whether programs of cgroup hooks may send a signal (since Linux 6.16).
pub(crate) fn cgroup_can_kill() -> bool {
    [
        libbpf_sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
        libbpf_sys::BPF_PROG_TYPE_CGROUP_SOCK,
        libbpf_sys::BPF_PROG_TYPE_CGROUP_SKB,
    ]
    .into_iter()
    .all(|kind| {
        // SAFETY: numbers go in and a number comes out; no options are given.
        let found = unsafe {
            libbpf_sys::libbpf_probe_bpf_helper(
                kind,
                libbpf_sys::BPF_FUNC_send_signal,
                std::ptr::null(),
            )
        };
        found == 1
    })
}

/// Tells the programs, before they are verified, what they may do.
fn set_powers(open: &mut OpenObject, powers: Powers) -> Result<(), ProbeError> {
    for mut map in open.maps_mut() {
        if map.name() == ".rodata.powers"
            && let Some([first, ..]) = map.initial_value_mut()
        {
            *first = powers.cgroup_can_kill.into();
        }
        // Only security hooks use the areas behind these.
        if map.name() == "scratches" && !powers.security {
            map.set_max_entries(SCRATCH_FREE)
                .map_err(|source| ProbeError::Load {
                    source,
                    log: log::take(),
                })?;
        }
    }
    Ok(())
}

/// Takes the budgets that are pinned there for ours; false if there are none that
/// fit (another version may have made them).
fn go_on_with_budgets(open: &mut OpenObject, path: &Path) -> bool {
    let Ok(pinned) = MapHandle::from_pinned_path(path) else {
        return false;
    };
    let ours = open.maps_mut().find(|map| map.name() == BUDGETS);
    let fits = pinned.value_size() as usize == size_of::<wire::Budget>()
        && pinned.max_entries() as usize == layout::BUDGETS
        && pinned.map_type() == MapType::Array;
    fits && ours.is_some_and(|mut map| map.reuse_fd(pinned.as_fd()).is_ok())
}

fn pin_budgets(object: &mut Object, path: &Path) -> Result<(), ProbeError> {
    let failed = |error| read_error("the folder of what stays", error);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed(error.into()));
        }
        _ => {}
    }
    let mut budgets = MapHandle::try_from(&map(object, BUDGETS)?).map_err(failed)?;
    budgets.pin(path).map_err(failed)
}

/// The program that libbpf's log names as refused, if the rest can do without.
fn refused_program(log: &str) -> Option<&'static str> {
    let (_, after) = log
        .split_once("failed to load")
        .and_then(|(before, _)| before.rsplit_once("prog '"))?;
    let name = after.split('\'').next()?;
    HOOKS
        .iter()
        .find(|hook| hook.program == name && hook.when != When::Always)
        .map(|hook| hook.program)
}

/// The verifier's reason: the line before its statistics.
pub(crate) fn last_words(log: &str) -> &str {
    let lines: Vec<&str> = log.lines().collect();
    let end = lines
        .iter()
        .position(|line| line.starts_with("processed ") || line.starts_with("verification time"));
    end.and_then(|end| lines[..end].last())
        .copied()
        .unwrap_or("no reason given")
        .trim()
}

pub(crate) fn open_object(ring_bytes: u32) -> Result<OpenObject, ProbeError> {
    let failed = |source| ProbeError::Load {
        source,
        log: log::take(),
    };
    let mut builder = ObjectBuilder::default();
    let mut open = builder
        .name("picket")
        .and_then(|builder| builder.open_memory(OBJECT))
        .map_err(failed)?;
    for mut map in open.maps_mut() {
        if map.name() == "events" {
            map.set_max_entries(ring_bytes).map_err(failed)?;
        }
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_program_is_named_by_the_log() {
        let log = "libbpf: prog 'dns_egress': BPF program load failed: EACCES\n\
                   libbpf: prog 'dns_egress': -- BEGIN PROG LOAD LOG --\n\
                   R1 type=scalar expected=fp\n\
                   processed 12 insns (limit 1000000)\n\
                   libbpf: prog 'dns_egress': failed to load: -13\n";
        assert_eq!(refused_program(log), Some("dns_egress"));
        assert_eq!(last_words(log), "R1 type=scalar expected=fp");
        assert_eq!(
            refused_program(&log.replace("dns_egress", "process_exec")),
            None
        );
        assert_eq!(refused_program(""), None);
    }
}
