//! Records: what the kernel programs say, decoded and checked, before the
//! process table has put a tree around it.
//!
//! `probe` makes them, `sensor` turns them into [events](crate::event).

use crate::datum::Datum;
use crate::process::{FileIdentity, ProcessKey};
use std::net::{IpAddr, SocketAddr};

/// One record from the ring buffer (or from a recording of it).
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// `bpf_ktime_get_boot_ns()`: nanoseconds since boot, suspend included.
    pub boot_ns: u64,
    /// The task that caused it.
    pub task: Task,
    /// What happened.
    pub body: Body,
    /// What the kernel decided about it; none where it did not judge it.
    pub verdict: Option<Box<Verdict>>,
}

/// What the kernel decided about an event, in the numbers of the tables it was
/// judged by. Sets of policies have a bit per policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Version of the tables.
    pub tables: u32,
    /// Programs whose rules hold for certain: the first few of them.
    pub rules: Box<[u16]>,
    /// How many there are.
    pub matched: u16,
    /// Rules that may hold: user space must decide.
    pub undecided: u16,
    /// Policies that the rules which hold set off.
    pub triggered: u64,
    /// Those whose budget is used up.
    pub over_budget: u64,
    /// Those of them whose budget this very event used up.
    pub tripped: u64,
    /// Those that would have acted, were they not disarmed.
    pub disarmed: u64,
    /// Those that simulate.
    pub simulated: u64,
    /// Those that acted.
    pub acted: u64,
    /// Why none of them acts on this process.
    pub spared: Spared,
    /// What was done.
    pub done: Done,
    /// Those that were decided where the operation can be refused.
    pub deniable: u64,
    /// The hook itself ends the process; if not, user space must.
    pub kills_here: bool,
    /// Nanoseconds from the event to the decision.
    pub took_ns: u32,
}

/// Why no policy acts on a process, whatever matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// It may be acted on.
    No,
    /// It is a member of the protected set.
    Protected,
    /// It is outside the enforcement scope.
    OutOfScope,
    /// The kernel does not know what it needs to know of it: user space decides.
    Unknown,
    /// It is a thread of the kernel's own.
    Kernel,
}

/// What the kernel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// It refused the operation.
    pub denied: bool,
    /// It sent SIGKILL.
    pub killed: bool,
    /// It tried to, in vain.
    pub kill_failed: bool,
    /// The process is to die, and this hook cannot do it.
    pub kill_wanted: bool,
}

/// The acting task as the kernel saw it at that moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Task {
    /// Its process.
    pub key: ProcessKey,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// `real_parent`'s process at that moment (the kernel's ppid).
    pub parent: ProcessKey,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Login uid; absent when unset (`(uid_t)-1`).
    pub auid: Option<u32>,
    /// Audit session id; absent when unset.
    pub session: Option<u32>,
    /// `comm` of the thread-group leader.
    pub comm: Box<str>,
    /// cgroup2 id of the task (`bpf_get_current_cgroup_id`).
    pub cgroup_id: u64,
    /// Inode number of the pid namespace.
    pub pid_namespace: u32,
    /// Inode number of the mount namespace.
    pub mount_namespace: u32,
    /// True when the process is in the enforcement scope's cgroup subtree, or
    /// no scope is set.
    pub in_scope: bool,
}

/// What the task did.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// It made a process.
    Fork {
        /// The new process.
        child: ProcessKey,
    },
    /// It replaced its image.
    Exec(Box<Exec>),
    /// It already ran when the sensor started (task iterator); not an event.
    Running(Box<Exec>),
    /// Its last thread ended.
    Exit {
        /// `task->exit_code`: exit status << 8 | terminating signal.
        code: i32,
    },
    /// It attempted an outbound connection, or sent on an unconnected UDP socket.
    Connect(Connect),
    /// What became of an earlier [`Connect`].
    ConnectOutcome {
        /// The same socket's cookie.
        cookie: u64,
        /// 0, or a positive errno.
        errno: i32,
    },
    /// A socket listens (TCP) or is bound (UDP).
    Listen {
        /// Transport.
        protocol: Protocol,
        /// Where it listens. Port 0: TCP, not bound before; the kernel chooses
        /// the port after this record.
        local: SocketAddr,
    },
    /// It sent a DNS question.
    DnsQuery {
        /// UDP or TCP.
        protocol: Protocol,
        /// The resolver.
        resolver: SocketAddr,
        /// The name asked for, without the final dot; unknown if it could not be read.
        name: Datum<Box<str>>,
        /// QTYPE of RFC 1035 3.2.3.
        qtype: Datum<u16>,
    },
    /// It received a DNS answer.
    DnsAnswer {
        /// The name asked for, without the final dot.
        name: Box<str>,
        /// The addresses it stands for (A and AAAA, through CNAMEs).
        addresses: Vec<IpAddr>,
    },
    /// It did something to a file.
    File(Box<File>),
}

/// A new image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exec {
    /// Path of the executed file; `memfd:NAME` for a memfd.
    pub path: Datum<Box<str>>,
    /// `bprm->filename`: the file as it was asked for; for a script, the script.
    pub filename: Datum<Box<str>>,
    /// `bprm->interp`, where it differs from `filename`: the file is a script.
    pub interpreter: Datum<Box<str>>,
    /// Arguments.
    pub args: Datum<Box<[Box<str>]>>,
    /// Working directory.
    pub working_directory: Datum<Box<str>>,
    /// Controlling terminal.
    pub tty: Datum<Box<str>>,
    /// Identity of the file.
    pub file: FileIdentity,
    /// It is a memfd.
    pub memfd: bool,
    /// It had no link left.
    pub deleted: bool,
    /// It came from an overlay's upper layer.
    pub upper_layer: bool,
    /// A security hook refused it: the process goes on with the image it had.
    pub refused: bool,
    /// `cred->cap_effective`.
    pub capabilities: u64,
    /// Path of the task's cgroup (the v2 one; on hybrid hosts where that is the
    /// root, the one of a v1 controller), read at exec.
    pub cgroup: Datum<Box<str>>,
}

/// An attempted connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// `bpf_get_socket_cookie`: ties the outcome to the attempt.
    pub cookie: u64,
    /// Transport.
    pub protocol: Protocol,
    /// Where to; an IPv4-mapped IPv6 address is given as IPv4.
    pub remote: SocketAddr,
    /// From where, if already known.
    pub local: Option<SocketAddr>,
    /// 0 or a positive errno where it is known at once; unknown where an
    /// outcome will follow.
    pub errno: Datum<i32>,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`, as in OCSF's `connection_info.protocol_name`.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// Something done to a file.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// What.
    pub operation: FileOperation,
    /// The file's path; for a rename, the new one.
    pub path: Datum<Box<str>>,
    /// 0 or a positive errno.
    pub errno: Datum<i32>,
}

/// What was done to a file.
#[derive(Debug, Clone, PartialEq)]
pub enum FileOperation {
    /// An existing file was opened.
    Open(OpenFlags),
    /// A file was created (O_CREAT where nothing was, creat(2)); how it was opened
    /// is unknown where that was refused by a security hook.
    Create(Datum<OpenFlags>),
    /// It was renamed.
    Rename {
        /// The old path.
        from: Datum<Box<str>>,
    },
    /// It was unlinked.
    Delete,
    /// Its mode was changed.
    Chmod {
        /// The new mode's permission bits.
        mode: u32,
    },
}

/// How a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenFlags {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// O_CREAT was asked for.
    pub create: bool,
}
