//! What this kernel lets the sensor see and stop, one line an item.
//!
//! Everything is tried out rather than guessed from the kernel's version:
//! distributions move features both ways.

mod lsm;

use crate::{ProbeConfig, ProbeError, Probes, cgroup, probes};
use libbpf_rs::btf::Btf;
use picket_model::{ClassSet, EventClass};
use std::fmt;
use std::path::Path;

/// The name of the line on ending processes from cgroup hooks.
pub const KILLS_IN_CGROUPS: &str = "kills in cgroup hooks";
/// The name of the line on security hooks.
pub const LSM: &str = "BPF LSM";
/// The name of the line on the sensor's own kills.
pub const PIDFD: &str = "pidfd";

/// One thing the sensor can use, and whether it can here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// What it is, such as `cgroup2`.
    pub name: String,
    /// What it gives, such as `network.connect, network.listen, dns.query`.
    pub gives: &'static str,
    /// Whether it works here.
    pub state: State,
}

/// Whether something works here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It works; where there is something to say, such as a path, it is said.
    Ok(String),
    /// It does not.
    No {
        /// Why.
        reason: String,
        /// What the reader can do about it.
        remedy: String,
    },
}

impl State {
    /// True when it works.
    pub fn is_ok(&self) -> bool {
        matches!(self, State::Ok(_))
    }

    fn no(reason: impl Into<String>, remedy: impl Into<String>) -> State {
        State::No {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Ok(what) if what.is_empty() => write!(f, "ok  {} ({})", self.name, self.gives),
            State::Ok(what) => write!(f, "ok  {}: {what} ({})", self.name, self.gives),
            State::No { reason, remedy } => {
                write!(f, "no  {} ({}): {reason}; {remedy}", self.name, self.gives)
            }
        }
    }
}

/// Tries everything out. Needs the rights the sensor needs; leaves nothing
/// behind. Takes about a second.
pub fn probe() -> Vec<Capability> {
    let mut found = vec![
        capability("rights", "everything", rights()),
        capability("kernel types (BTF)", "everything", btf()),
        capability(
            "cgroup2",
            "network.connect, network.listen, dns.query; denying them",
            cgroup2(),
        ),
        capability("tracefs", "the file classes, connect status", tracefs()),
        capability(
            "io_uring tracepoint",
            "file classes done through io_uring",
            io_uring(),
        ),
    ];
    found.extend(classes());
    found.push(capability(
        LSM,
        "denying process.exec, the file classes and listening TCP sockets",
        lsm::probe(),
    ));
    found.push(capability(
        "bpffs",
        "programs that outlive the sensor",
        bpffs(),
    ));
    found.push(capability(
        PIDFD,
        "ending a process without mistaking another for it",
        pidfd(),
    ));
    found
}

fn capability(name: impl Into<String>, gives: &'static str, state: State) -> Capability {
    Capability {
        name: name.into(),
        gives,
        state,
    }
}

/// Bits of capability.h that loading and attaching need, and their names.
const NEEDED: [(u32, &str); 4] = [
    (12, "CAP_NET_ADMIN"),
    (21, "CAP_SYS_ADMIN"),
    (38, "CAP_PERFMON"),
    (39, "CAP_BPF"),
];

fn rights() -> State {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let Some(effective) = effective else {
        return State::no(
            "/proc/self/status does not tell them",
            "mount -t proc proc /proc",
        );
    };
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        State::Ok(String::new())
    } else {
        State::no(format!("{} missing", missing.join(", ")), "run as root")
    }
}

fn btf() -> State {
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        State::Ok(String::new())
    } else {
        State::no(
            "there is no /sys/kernel/btf/vmlinux",
            "run a kernel built with CONFIG_DEBUG_INFO_BTF=y",
        )
    }
}

fn cgroup2() -> State {
    match cgroup::mount_point() {
        Some(path) => match cgroup::place(&path) {
            Ok(_) => State::Ok(path.display().to_string()),
            Err(reason) => State::no(reason, "run in the host's cgroup namespace"),
        },
        None => State::no(
            "it is not mounted",
            "mount -t cgroup2 none /sys/fs/cgroup/unified",
        ),
    }
}

fn tracefs() -> State {
    match probes::tracefs() {
        Some(path) => State::Ok(path.to_owned()),
        None => State::no(
            "it is not mounted, or the kernel has no system call tracepoints",
            "mount -t tracefs nodev /sys/kernel/tracing (CONFIG_FTRACE_SYSCALLS=y)",
        ),
    }
}

fn io_uring() -> State {
    let Ok(btf) = Btf::from_vmlinux() else {
        return State::no("it needs BTF", "see above");
    };
    let names = ["io_uring_submit_req", "io_uring_submit_sqe"];
    match names.into_iter().find(|name| probes::has_trace(&btf, name)) {
        Some(name) => State::Ok(name.to_owned()),
        None => State::no(
            "this kernel has none",
            "nothing, if it was built without io_uring",
        ),
    }
}

/// What each class really gives, by loading and attaching all of it.
fn classes() -> Vec<Capability> {
    let config = ProbeConfig {
        classes: ClassSet::all(),
        connect_status: true,
        ring_bytes: 0,
        ..ProbeConfig::default()
    };
    let (refused, kills): (Vec<_>, _) = match Probes::load(&config) {
        Ok(probes) => (probes.unavailable().to_vec(), kills_in_cgroups(&probes)),
        Err(error) => {
            let (reason, remedy) = match error {
                ProbeError::Missing { what, remedy } => (format!("{what} is missing"), remedy),
                other => (
                    other.to_string(),
                    "please report it with the kernel's version".to_owned(),
                ),
            };
            return vec![capability(
                "eBPF programs",
                "everything",
                State::no(reason, remedy),
            )];
        }
    };
    let state = |class: EventClass| {
        let lost: Vec<_> = refused.iter().filter(|lost| lost.class == class).collect();
        match lost.first() {
            None => State::Ok(String::new()),
            Some(first) => State::no(
                format!(
                    "{} of its programs not attached, {} first",
                    lost.len(),
                    first.program
                ),
                first.reason.clone(),
            ),
        }
    };
    let mut found: Vec<Capability> = EventClass::ALL
        .into_iter()
        .map(|class| capability(class.name(), "events of this class", state(class)))
        .collect();
    found.push(capability(
        KILLS_IN_CGROUPS,
        "killing on network.connect, on UDP sockets of network.listen, on dns.query",
        kills,
    ));
    found
}

fn kills_in_cgroups(probes: &Probes) -> State {
    if crate::load::cgroup_can_kill() {
        State::Ok("they send the signal themselves (bpf_send_signal, Linux 6.16)".to_owned())
    } else if probes.kills_in_cgroups() {
        State::Ok("where the kernel returns from them (fexit)".to_owned())
    } else {
        State::no(
            "they may not send signals, and programs at a function's end (fexit) do not attach",
            "run Linux 6.16 or newer, or one with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y and without \
             lockdown; until then what they refuse is killed from user space",
        )
    }
}

/// Whether the kernel calls BPF programs from its security hooks: by its own list
/// where that can be read, else by trying.
pub(crate) fn has_security_hooks() -> bool {
    match std::fs::read_to_string("/sys/kernel/security/lsm") {
        Ok(active) => active.trim().split(',').any(|module| module == "bpf"),
        Err(_) => lsm::probe().is_ok(),
    }
}

fn bpffs() -> State {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    match mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some("bpf"))
    {
        Some(line) => State::Ok(line.split(' ').nth(1).unwrap_or_default().to_owned()),
        None => State::no("it is not mounted", "mount -t bpf bpf /sys/fs/bpf"),
    }
}

fn pidfd() -> State {
    // SAFETY: opens a descriptor of this very process; nothing else is touched.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    if fd < 0 {
        return State::no(
            std::io::Error::last_os_error().to_string(),
            "run Linux 5.3 or newer",
        );
    }
    // SAFETY: the descriptor was opened just now and is used nowhere else.
    unsafe { libc::close(fd as i32) };
    State::Ok(String::new())
}
