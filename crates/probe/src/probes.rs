//! The loaded programs.

use crate::hooks::{self, Extras, HOOKS, Hook, Site, When};
use crate::load::{self, NO_TRACEPOINT, Powers};
use crate::ring::Ring;
use crate::{
    Count, Drops, Errors, ProbeConfig, ProbeError, Unavailable, capability, cgroup, counters,
    decode, log, wire,
};
use libbpf_rs::btf::Btf;
use libbpf_rs::{Iter, Link, MapCore, MapFlags, Object, ProgramInput};
use picket_model::{ClassSet, EventClass};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The reader is woken at most this often by records that are not urgent.
const WAKE_INTERVAL: Duration = Duration::from_millis(2);
/// After there was something to read, records may lie there without a wake for
/// [`WAKE_INTERVAL`]; a look after this long finds them.
const LINGER: Duration = Duration::from_millis(4);

/// Size of `decided` in bpf/ring.h.
const DECIDED_BYTES: u32 = 1 << 20;

/// The loaded and attached programs; dropping it detaches them.
#[derive(Debug)]
pub struct Probes {
    // Links before the object: what is attached goes first.
    links: BTreeMap<&'static str, Link>,
    ring: Ring,
    /// Records with a decision that found no room in `ring`.
    decided: Ring,
    pub(crate) object: Object,
    extras: Extras,
    /// The kernel calls BPF programs from its security hooks.
    security: bool,
    cgroup_root: Option<File>,
    /// Programs that this kernel does not take, with the reason.
    refused: BTreeMap<&'static str, String>,
    unavailable: Vec<Unavailable>,
    lingering: bool,
    /// Where links are pinned, if the programs are to outlive this process.
    pinned: Option<PathBuf>,
}

impl Probes {
    /// Opens, loads and attaches the programs, fork, exec and exit first.
    /// Mounts nothing; what is missing is named in the error.
    pub fn load(config: &ProbeConfig) -> Result<Probes, ProbeError> {
        log::start();
        let ring_bytes = ring_size(config.ring_bytes);
        let security = capability::has_security_hooks();
        let powers = Powers {
            cgroup_can_kill: load::cgroup_can_kill(),
            security,
            trials: config.trials,
        };
        let (object, refused) = load::load(ring_bytes, powers, config.budgets.as_deref())?;
        let ring = |name, bytes: u32| {
            Ring::map(map(&object, name)?.as_fd(), bytes as usize)
                .map_err(|error| read_error("the ring buffer", error.into()))
        };
        let (ring, decided) = (ring("events", ring_bytes)?, ring("decided", DECIDED_BYTES)?);
        let mut probes = Probes {
            links: BTreeMap::new(),
            ring,
            decided,
            object,
            extras: Extras {
                connect_status: config.connect_status,
                dns_answers: config.dns_answers,
                condemned: !powers.cgroup_can_kill,
                security: ClassSet::EMPTY,
            },
            security,
            cgroup_root: cgroup::mount_point().and_then(|path| File::open(path).ok()),
            refused,
            unavailable: Vec::new(),
            lingering: false,
            pinned: None,
        };
        probes.know_self()?;
        probes.set(wire::SET_WAKE_INTERVAL_NS, nanoseconds(WAKE_INTERVAL))?;
        probes.set(wire::SET_UDP_REPEAT_NS, nanoseconds(config.udp_repeat))?;
        probes.set_connect_status(config.connect_status)?;
        probes.set_urgent(config.urgent)?;
        probes.set_scope(config.scope.as_deref())?;
        probes.set_classes(config.classes)?;
        Ok(probes)
    }

    /// What the classes asked for last need and this kernel does not give.
    pub fn unavailable(&self) -> &[Unavailable] {
        &self.unavailable
    }

    /// Hands a [`Running`](picket_model::record::Body::Running) record of every
    /// process on the host to `each`. Call it after [`load`](Probes::load) and
    /// before the first [`poll`](Probes::poll): what forks in between is in the
    /// ring buffer.
    pub fn running(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), ProbeError> {
        const WHAT: &str = "the task iterator";
        let program = program(&self.object, hooks::ITERATOR)
            .ok_or_else(|| missing_program(hooks::ITERATOR, self.refused.get(hooks::ITERATOR)))?;
        let link = program.attach().map_err(|source| ProbeError::Attach {
            program: hooks::ITERATOR.into(),
            source,
        })?;
        let mut tasks =
            Iter::new(&link).map_err(|source| ProbeError::Read { what: WHAT, source })?;
        let mut bytes = Vec::new();
        tasks
            .read_to_end(&mut bytes)
            .map_err(|error| read_error(WHAT, error.into()))?;
        let mut rest = bytes.as_slice();
        while let Some(len) = decode::record_len(rest) {
            match rest.split_at_checked(len) {
                Some((record, after)) if len > 0 => {
                    each(record);
                    rest = after;
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Hands waiting records to `each`, in order; waits for the first at most
    /// `timeout`. Returns how many there were.
    ///
    /// Records that are not [urgent](Probes::set_urgent) arrive within a few
    /// milliseconds, on a quiet host at once.
    pub fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, ProbeError> {
        let deadline = Instant::now() + timeout;
        let mut each = |bytes: &[u8]| each(decode::one_record(bytes));
        loop {
            let count = self.ring.consume(&mut each) + self.decided.consume(&mut each);
            if count > 0 {
                self.lingering = true;
                return Ok(count);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(0);
            }
            let wait = if self.lingering {
                left.min(LINGER)
            } else {
                left
            };
            // A whole wait without a record: the next one will wake us.
            self.lingering = self.lingering && wait < LINGER;
            self.ring
                .wait(wait)
                .map_err(|error| read_error("the ring buffer", error.into()))?;
        }
    }

    /// Sees exactly these classes from now on (and fork, exec and exit always);
    /// classes that stay have no gap. Returns what is not seen in full.
    pub fn set_classes(&mut self, classes: ClassSet) -> Result<Vec<Unavailable>, ProbeError> {
        self.set(wire::SET_CLASSES, hooks::kind_bits(classes))?;
        self.unavailable.clear();
        for hook in HOOKS
            .iter()
            .filter(|hook| hook.is_wanted(classes, self.extras))
        {
            if self.links.contains_key(hook.program) {
                continue;
            }
            match self.attach(hook) {
                Ok(Some(link)) => {
                    self.links.insert(hook.program, link);
                }
                Ok(None) => {}
                Err(error) if hook.when == When::Always => return Err(error),
                // Without it what is refused is not killed here: see `kills_in_cgroups`.
                Err(_) if matches!(hook.when, When::Condemned(_) | When::Security(_)) => {}
                Err(error) => {
                    let lost = hook
                        .classes()
                        .iter()
                        .filter(|class| classes.contains(**class));
                    self.unavailable.extend(lost.map(|class| Unavailable {
                        class: *class,
                        program: hook.program,
                        reason: reason(&error),
                    }));
                }
            }
        }
        self.set(wire::SET_EXIT_HOOKS, u64::from(self.has_exit_hooks()))?;
        let extras = self.extras;
        self.links.retain(|name, link| {
            let wanted = HOOKS
                .iter()
                .any(|hook| hook.program == *name && hook.is_wanted(classes, extras));
            if !wanted && link.pin_path().is_some() {
                let _ = link.unpin();
            }
            wanted
        });
        self.set(wire::SET_LSM, hooks::kind_bits(self.refuses()))?;
        Ok(self.unavailable.clone())
    }

    /// Whether hooks of connections, sends, UDP sockets and DNS questions can end
    /// the process that is in them; if not, what they refuse is left to be killed
    /// from user space.
    pub fn kills_in_cgroups(&self) -> bool {
        !self.extras.condemned || self.has_exit_hooks()
    }

    /// Whether what is executed, done to files and listened on can be refused:
    /// the kernel has BPF LSM.
    pub fn has_security_hooks(&self) -> bool {
        self.security
    }

    /// Decides rules on these classes in security hooks too, where there are any;
    /// takes effect with the next [`set_classes`](Probes::set_classes).
    pub fn set_security(&mut self, classes: ClassSet) {
        if self.security {
            self.extras.security = classes;
        }
    }

    /// The classes of which a security hook judges each operation before it
    /// happens, and refuses it.
    pub fn refuses(&self) -> ClassSet {
        let of = |class: EventClass| {
            HOOKS.iter().filter(move |hook| {
                matches!(hook.when, When::Security(classes) if classes.contains(&class))
            })
        };
        let judged = self.extras.security.iter().filter(|class| {
            let mut hooks = of(*class).peekable();
            hooks.peek().is_some() && hooks.all(|hook| self.links.contains_key(hook.program))
        });
        judged.collect()
    }

    fn has_exit_hooks(&self) -> bool {
        let mut wanted = HOOKS
            .iter()
            .filter(|hook| matches!(hook.when, When::Condemned(_)));
        self.extras.condemned && wanted.all(|hook| self.links.contains_key(hook.program))
    }

    /// Whether connects that fail at once have an outcome; it costs every system
    /// call of the host. Takes effect with the next [`set_classes`](Probes::set_classes).
    pub fn set_connect_status(&mut self, wanted: bool) -> Result<(), ProbeError> {
        self.extras.connect_status = wanted;
        self.set(wire::SET_CONNECT_STATUS, u64::from(wanted))
    }

    /// Makes the members of this cgroup2 directory, and of those below it,
    /// [`in_scope`](picket_model::record::Task::in_scope); `None`: every process.
    pub fn set_scope(&mut self, scope: Option<&Path>) -> Result<(), ProbeError> {
        let place = match scope {
            None => cgroup::Place { id: 0, level: 0 },
            Some(path) => cgroup::place(path).map_err(|reason| ProbeError::Scope {
                path: path.into(),
                reason,
            })?,
        };
        // Into the slot that is not in use; then the programs change over at once.
        let next = (self.setting(wire::SET_SCOPE)? & 1) ^ 1;
        let (id, level) = if next == 0 {
            (wire::SET_SCOPE_ID_0, wire::SET_SCOPE_LEVEL_0)
        } else {
            (wire::SET_SCOPE_ID_1, wire::SET_SCOPE_LEVEL_1)
        };
        self.set(id, place.id)?;
        self.set(level, place.level)?;
        self.set(wire::SET_SCOPE, next)
    }

    /// Records of these classes wake the reader at once; others may wait a few
    /// milliseconds in a batch.
    pub fn set_urgent(&mut self, classes: ClassSet) -> Result<(), ProbeError> {
        self.set(wire::SET_URGENT, hooks::kind_bits(classes))
    }

    /// Records lost since load: for want of room, or because the kernel skipped a
    /// program that was already running on that CPU.
    pub fn drops(&self) -> Result<Drops, ProbeError> {
        let mut drops = self.counts("drops", &wire::KIND_NAMES)?;
        let count = self.skipped_runs();
        if count > 0 {
            drops.push(Count {
                name: "runs the kernel skipped",
                count,
            });
        }
        Ok(Drops(drops))
    }

    /// How often the kernel did not run one of the programs because it was already
    /// running on that CPU (`bpf_prog_inc_misses_counter` in `__bpf_trace_run`): a
    /// preempted program on a fully preemptible kernel.
    fn skipped_runs(&self) -> u64 {
        self.object
            .progs()
            .filter_map(|program| {
                let mut info = libbpf_sys::bpf_prog_info::default();
                let mut len = u32::try_from(size_of_val(&info)).ok()?;
                // SAFETY: `info` is a live value of `len` bytes, all zero, so that it
                // asks for none of the variable parts.
                let failed = unsafe {
                    libbpf_sys::bpf_prog_get_info_by_fd(
                        program.as_fd().as_raw_fd(),
                        &mut info,
                        &mut len,
                    )
                };
                (failed == 0).then_some(info.recursion_misses)
            })
            .sum()
    }

    /// Kernel helpers that failed, since load.
    pub fn errors(&self) -> Result<Errors, ProbeError> {
        self.counts("errors", &wire::PLACE_NAMES).map(Errors)
    }

    fn attach(&self, hook: &Hook) -> Result<Option<Link>, ProbeError> {
        let program = program(&self.object, hook.program)
            .ok_or_else(|| missing_program(hook.program, self.refused.get(hook.program)))?;
        if let Some(reason) = self.refused.get(hook.program) {
            if matches!(hook.site, Site::TraceIfAny(_)) && reason.starts_with(NO_TRACEPOINT) {
                return Ok(None);
            }
            return Err(missing_program(hook.program, Some(reason)));
        }
        let attached = match hook.site {
            Site::Trace(_) | Site::TraceIfAny(_) | Site::FunctionExit | Site::Security => {
                program.attach()
            }
            Site::Cgroup => {
                let root = self.cgroup_root.as_ref().ok_or_else(|| ProbeError::Missing {
                    what: "a cgroup2 mount".into(),
                    remedy: "mount -t cgroup2 none /sys/fs/cgroup/unified (or wherever the host keeps it)".into(),
                })?;
                program.attach_cgroup(root.as_raw_fd())
            }
            Site::Syscall(name) => {
                let tracefs = tracefs().ok_or_else(|| ProbeError::Missing {
                    what: "tracefs".into(),
                    remedy: "mount -t tracefs nodev /sys/kernel/tracing".into(),
                })?;
                if !Path::new(tracefs)
                    .join("events/syscalls")
                    .join(name)
                    .exists()
                {
                    return Ok(None);
                }
                program.attach()
            }
        };
        let attached = attached.and_then(|mut link| {
            if let Some(folder) = &self.pinned {
                link.pin(folder.join(hook.program))?;
            }
            Ok(Some(link))
        });
        attached.map_err(|source| ProbeError::Attach {
            program: hook.program.into(),
            source,
        })
    }

    /// Pins what is attached, and what will be, in that folder.
    pub(crate) fn pin_links(&mut self, folder: &Path) -> Result<(), ProbeError> {
        for (name, link) in &mut self.links {
            link.pin(folder.join(name))
                .map_err(|source| ProbeError::Attach {
                    program: (*name).into(),
                    source,
                })?;
        }
        self.pinned = Some(folder.into());
        Ok(())
    }

    fn know_self(&self) -> Result<(), ProbeError> {
        let program = program(&self.object, hooks::KNOW_SELF)
            .ok_or_else(|| missing_program(hooks::KNOW_SELF, None))?;
        program
            .test_run(ProgramInput::default())
            .map(drop)
            .map_err(|source| ProbeError::Attach {
                program: hooks::KNOW_SELF.into(),
                source,
            })
    }

    pub(crate) fn set(&self, which: u32, value: u64) -> Result<(), ProbeError> {
        map(&self.object, "picket_settings")?
            .update(&which.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| ProbeError::Read {
                what: "the settings",
                source,
            })
    }

    pub(crate) fn setting(&self, which: u32) -> Result<u64, ProbeError> {
        let value = map(&self.object, "picket_settings")?
            .lookup(&which.to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| ProbeError::Read {
                what: "the settings",
                source,
            })?;
        Ok(value.as_deref().map_or(0, number))
    }

    fn counts(
        &self,
        name: &'static str,
        names: &'static [&'static str],
    ) -> Result<Vec<Count>, ProbeError> {
        counters::sums(&map(&self.object, name)?, names)
    }
}

/// Where tracefs is mounted, of the two places libbpf looks at.
pub(crate) fn tracefs() -> Option<&'static str> {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .into_iter()
        .find(|path| Path::new(path).join("events/syscalls").exists())
}

/// True when the kernel has that tracepoint for BTF-typed programs.
pub(crate) fn has_trace(btf: &Btf<'_>, name: &str) -> bool {
    btf.type_by_name::<libbpf_rs::btf::types::Typedef<'_>>(&format!("btf_trace_{name}"))
        .is_some()
}

pub(crate) fn map<'o>(
    object: &'o Object,
    name: &'static str,
) -> Result<libbpf_rs::Map<'o>, ProbeError> {
    object
        .maps()
        .find(|map| map.name() == name)
        .ok_or_else(|| missing_program(name, None))
}

pub(crate) fn program<'o>(object: &'o Object, name: &str) -> Option<libbpf_rs::ProgramMut<'o>> {
    object.progs_mut().find(|program| program.name() == name)
}

fn missing_program(name: &str, reason: Option<&String>) -> ProbeError {
    ProbeError::Refused {
        program: name.into(),
        reason: reason
            .cloned()
            .unwrap_or_else(|| "it is not in the object".into()),
    }
}

pub(crate) fn read_error(what: &'static str, source: libbpf_rs::Error) -> ProbeError {
    ProbeError::Read { what, source }
}

/// The error in few words, for [`Unavailable`].
fn reason(error: &ProbeError) -> String {
    match error {
        ProbeError::Attach { source, .. } => source.to_string(),
        ProbeError::Missing { what, remedy } => format!("{what} is missing: {remedy}"),
        ProbeError::Refused { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

/// A size the kernel takes for a ring: a power of two, a page at least.
fn ring_size(bytes: u32) -> u32 {
    // 64 KiB is a page on some arm64 kernels.
    bytes.clamp(64 << 10, 1 << 30).next_power_of_two()
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_are_what_the_kernel_takes() {
        assert_eq!(ring_size(0), 64 << 10);
        assert_eq!(ring_size(3 << 20), 4 << 20);
        assert_eq!(ring_size(16 << 20), 16 << 20);
        assert_eq!(ring_size(u32::MAX), 1 << 30);
    }
}
