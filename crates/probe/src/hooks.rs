//! Which program serves which event class, and how it is attached.

use crate::wire;
use picket_model::{ClassSet, EventClass};

/// Where a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// A kernel tracepoint, by its BTF type.
    Trace(&'static str),
    /// The same; where the kernel has no such tracepoint, there is nothing to
    /// see, or it has another name for it.
    TraceIfAny(&'static str),
    /// The cgroup2 root: every process of the host.
    Cgroup,
    /// `syscalls:NAME`; where the kernel has no such system call, there is
    /// nothing to see.
    Syscall(&'static str),
    /// The end of a kernel function.
    FunctionExit,
    /// A security hook, where the kernel has BPF LSM.
    Security,
}

/// When a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Always: the process tree needs it.
    Always,
    /// While one of these classes is asked for.
    Any(&'static [EventClass]),
    /// The same, if connect status was asked for too.
    ConnectStatus(&'static [EventClass]),
    /// The same, if DNS answers were asked for too.
    DnsAnswers(&'static [EventClass]),
    /// The same, where the programs of cgroups cannot end a process by themselves.
    Condemned(&'static [EventClass]),
    /// While rules on one of these classes are decided in security hooks.
    Security(&'static [EventClass]),
}

/// One program of the object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook {
    /// The function's name in bpf/.
    pub(crate) program: &'static str,
    pub(crate) site: Site,
    pub(crate) when: When,
}

/// What was asked for besides classes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extras {
    pub(crate) connect_status: bool,
    pub(crate) dns_answers: bool,
    pub(crate) condemned: bool,
    /// Classes that are to be decided in security hooks.
    pub(crate) security: ClassSet,
}

impl Hook {
    pub(crate) fn is_wanted(&self, classes: ClassSet, extras: Extras) -> bool {
        let any = |wanted: &[EventClass]| wanted.iter().any(|class| classes.contains(*class));
        match self.when {
            When::Always => true,
            When::Any(wanted) => any(wanted),
            When::ConnectStatus(wanted) => extras.connect_status && any(wanted),
            When::DnsAnswers(wanted) => extras.dns_answers && any(wanted),
            When::Condemned(wanted) => extras.condemned && any(wanted),
            When::Security(wanted) => wanted.iter().any(|class| extras.security.contains(*class)),
        }
    }

    /// The classes that suffer when it cannot be attached.
    pub(crate) fn classes(&self) -> &'static [EventClass] {
        match self.when {
            When::Always => &[EventClass::ProcessExec],
            When::Any(classes)
            | When::ConnectStatus(classes)
            | When::DnsAnswers(classes)
            | When::Condemned(classes)
            | When::Security(classes) => classes,
        }
    }
}

const CONNECT: &[EventClass] = &[EventClass::NetworkConnect];
const LISTEN: &[EventClass] = &[EventClass::NetworkListen];
const OPEN: &[EventClass] = &[EventClass::FileOpen, EventClass::FileCreate];
const CREATE: &[EventClass] = &[EventClass::FileCreate];
const RENAME: &[EventClass] = &[EventClass::FileRename];
const DELETE: &[EventClass] = &[EventClass::FileDelete];
const CHMOD: &[EventClass] = &[EventClass::FileChmod];
const BY_REQUEST: &[EventClass] = &[
    EventClass::FileOpen,
    EventClass::FileCreate,
    EventClass::FileRename,
    EventClass::FileDelete,
];

const fn hook(program: &'static str, site: Site, when: When) -> Hook {
    Hook {
        program,
        site,
        when,
    }
}

const fn security(program: &'static str, classes: &'static [EventClass]) -> Hook {
    hook(program, Site::Security, When::Security(classes))
}

/// Every program, in the order of attachment.
pub(crate) const HOOKS: &[Hook] = &[
    hook(
        "process_fork",
        Site::Trace("sched_process_fork"),
        When::Always,
    ),
    hook(
        "process_exec",
        Site::Trace("sched_process_exec"),
        When::Always,
    ),
    hook(
        "process_exit",
        Site::Trace("sched_process_exit"),
        When::Always,
    ),
    hook(
        "condemned_address",
        Site::FunctionExit,
        When::Condemned(CONNECT),
    ),
    hook(
        "condemned_socket",
        Site::FunctionExit,
        When::Condemned(LISTEN),
    ),
    hook(
        "condemned_packet",
        Site::FunctionExit,
        When::Condemned(&[EventClass::DnsQuery, EventClass::NetworkConnect]),
    ),
    // The outcome before the attempt, lest an early attempt never hear of it.
    hook(
        "tcp_state",
        Site::Trace("inet_sock_set_state"),
        When::Any(&[EventClass::NetworkConnect, EventClass::NetworkListen]),
    ),
    hook(
        "connect_exit",
        Site::Syscall("sys_exit_connect"),
        When::ConnectStatus(CONNECT),
    ),
    hook("connect4", Site::Cgroup, When::Any(CONNECT)),
    hook("connect6", Site::Cgroup, When::Any(CONNECT)),
    hook("sendmsg4", Site::Cgroup, When::Any(CONNECT)),
    hook("sendmsg6", Site::Cgroup, When::Any(CONNECT)),
    hook("post_bind4", Site::Cgroup, When::Any(LISTEN)),
    hook("post_bind6", Site::Cgroup, When::Any(LISTEN)),
    hook(
        "dns_egress",
        Site::Cgroup,
        // Packets of raw sockets are connections.
        When::Any(&[EventClass::DnsQuery, EventClass::NetworkConnect]),
    ),
    hook(
        "dns_ingress",
        Site::Cgroup,
        When::DnsAnswers(&[EventClass::DnsQuery, EventClass::NetworkConnect]),
    ),
    hook(
        "openat_exit",
        Site::Syscall("sys_exit_openat"),
        When::Any(OPEN),
    ),
    hook(
        "open_exit_old",
        Site::Syscall("sys_exit_open"),
        When::Any(OPEN),
    ),
    hook(
        "creat_exit",
        Site::Syscall("sys_exit_creat"),
        When::Any(OPEN),
    ),
    hook(
        "openat2_exit",
        Site::Syscall("sys_exit_openat2"),
        When::Any(OPEN),
    ),
    hook(
        "mknod_exit",
        Site::Syscall("sys_exit_mknod"),
        When::Any(CREATE),
    ),
    hook(
        "mknodat_exit",
        Site::Syscall("sys_exit_mknodat"),
        When::Any(CREATE),
    ),
    hook(
        "rename_exit",
        Site::Syscall("sys_exit_rename"),
        When::Any(RENAME),
    ),
    hook(
        "renameat_exit",
        Site::Syscall("sys_exit_renameat"),
        When::Any(RENAME),
    ),
    hook(
        "renameat2_exit",
        Site::Syscall("sys_exit_renameat2"),
        When::Any(RENAME),
    ),
    hook(
        "unlink_exit",
        Site::Syscall("sys_exit_unlink"),
        When::Any(DELETE),
    ),
    hook(
        "unlinkat_exit",
        Site::Syscall("sys_exit_unlinkat"),
        When::Any(DELETE),
    ),
    hook(
        "chmod_exit",
        Site::Syscall("sys_exit_chmod"),
        When::Any(CHMOD),
    ),
    hook(
        "fchmod_exit",
        Site::Syscall("sys_exit_fchmod"),
        When::Any(CHMOD),
    ),
    hook(
        "fchmodat_exit",
        Site::Syscall("sys_exit_fchmodat"),
        When::Any(CHMOD),
    ),
    hook(
        "fchmodat2_exit",
        Site::Syscall("sys_exit_fchmodat2"),
        When::Any(CHMOD),
    ),
    security("lsm_exec", &[EventClass::ProcessExec]),
    security("lsm_open", &[EventClass::FileOpen]),
    security("lsm_create", CREATE),
    security("lsm_delete", DELETE),
    security("lsm_rename", RENAME),
    security("lsm_chmod", CHMOD),
    security("lsm_listen", LISTEN),
    hook(
        "request_submit",
        Site::TraceIfAny("io_uring_submit_req"),
        When::Any(BY_REQUEST),
    ),
    hook(
        "request_submit_old",
        Site::TraceIfAny("io_uring_submit_sqe"),
        When::Any(BY_REQUEST),
    ),
];

/// Programs that are not attached: run or read by the loader itself.
pub(crate) const ITERATOR: &str = "running";
/// Tells the kernel side which process the sensor is.
pub(crate) const KNOW_SELF: &str = "know_self";

/// Judges a record without an event.
pub(crate) const TRIAL: &str = "trial_run";

/// Loaded only by [`capability`](crate::capability).
pub(crate) const LSM: &str = "lsm_file_open";

/// The kind of record an event class arrives in.
pub(crate) const fn kind_of(class: EventClass) -> u32 {
    match class {
        EventClass::ProcessExec => wire::EXEC,
        EventClass::NetworkConnect => wire::CONNECT,
        EventClass::NetworkListen => wire::LISTEN,
        EventClass::DnsQuery => wire::DNS_QUERY,
        EventClass::FileOpen => wire::FILE_OPEN,
        EventClass::FileCreate => wire::FILE_CREATE,
        EventClass::FileRename => wire::FILE_RENAME,
        EventClass::FileDelete => wire::FILE_DELETE,
        EventClass::FileChmod => wire::FILE_CHMOD,
    }
}

/// A bit per kind of record.
pub(crate) fn kind_bits(classes: ClassSet) -> u64 {
    classes
        .iter()
        .fold(0, |bits, class| bits | 1 << kind_of(class))
}
