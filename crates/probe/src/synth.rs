//! Raw records made by hand, for benches and replay tests: the same bytes the
//! kernel programs write.
//!
//! ```
//! use picket_probe::{decode, synth};
//!
//! let raw = synth::Exec::new(4711, "/usr/bin/dash", &["sh", "-c", "id"]).bytes();
//! assert_eq!(decode(&raw).unwrap().task.key.pid, 4711);
//! ```

pub mod raw;

use crate::wire::{self, Wire};
use picket_model::process::ProcessKey;

/// The acting process of a made record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Its identity.
    pub key: ProcessKey,
    /// Its parent's identity.
    pub parent: ProcessKey,
    /// Its real and effective user id.
    pub uid: u32,
    /// `comm`, cut to 15 bytes.
    pub comm: String,
    /// In the enforcement scope.
    pub in_scope: bool,
    /// When it acted, in nanoseconds since boot.
    pub boot_ns: u64,
}

impl Actor {
    /// Process `pid`, child of process 1, started and acting `pid` milliseconds
    /// after boot; in scope, owned by root.
    pub fn new(pid: u32) -> Actor {
        Actor {
            key: key(pid),
            parent: key(1),
            uid: 0,
            comm: String::new(),
            in_scope: true,
            boot_ns: key(pid).start_ns + 1,
        }
    }

    fn head(&self, kind: u32, size: usize) -> wire::Head {
        let mut comm = [0; 16];
        for (to, from) in comm.iter_mut().take(15).zip(self.comm.bytes()) {
            *to = from;
        }
        wire::Head {
            version: wire::VERSION,
            kind: kind as u8,
            flags: if self.in_scope {
                wire::IN_SCOPE as u8
            } else {
                0
            },
            size: size as u32,
            boot_ns: self.boot_ns,
            task: wire::Task {
                start_ns: self.key.start_ns,
                parent_start_ns: self.parent.start_ns,
                cgroup_id: 1,
                pid: self.key.pid,
                tid: self.key.pid,
                ppid: self.parent.pid,
                uid: self.uid,
                gid: self.uid,
                euid: self.uid,
                auid: u32::MAX,
                session: u32::MAX,
                pid_namespace: 0xf000_0000,
                mount_namespace: 0xf000_0001,
                comm,
            },
        }
    }
}

/// The key that made records give process `pid`: started `pid` milliseconds after boot.
pub fn key(pid: u32) -> ProcessKey {
    ProcessKey {
        pid,
        start_ns: u64::from(pid) * 1_000_000,
    }
}

/// The record of `actor` forking `child`.
pub fn fork(actor: &Actor, child: ProcessKey) -> Vec<u8> {
    let head = actor.head(wire::FORK, size_of::<wire::Fork>());
    wire::Fork {
        head,
        child_start_ns: child.start_ns,
        child_pid: child.pid,
        reserved: 0,
    }
    .bytes()
    .to_vec()
}

/// The record of `actor` ending with `code` (exit status << 8 | signal).
pub fn exit(actor: &Actor, code: i32) -> Vec<u8> {
    let head = actor.head(wire::EXIT, size_of::<wire::Exit>());
    wire::Exit {
        head,
        code,
        reserved: 0,
    }
    .bytes()
    .to_vec()
}

/// An exec record in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// Who executes.
    pub actor: Actor,
    /// Path of the file.
    pub path: String,
    /// The file as it was asked for.
    pub filename: String,
    /// The interpreter, for a script.
    pub interpreter: Option<String>,
    /// The arguments.
    pub args: Vec<String>,
    /// Working directory.
    pub working_directory: String,
    /// Controlling terminal.
    pub tty: Option<String>,
    /// cgroup path.
    pub cgroup: String,
    /// It ran before the sensor started.
    pub running: bool,
}

impl Exec {
    /// Process `pid` executing `path` with `args`; everything else plain.
    pub fn new(pid: u32, path: &str, args: &[&str]) -> Exec {
        let mut actor = Actor::new(pid);
        actor.comm = path.rsplit('/').next().unwrap_or(path).to_owned();
        Exec {
            actor,
            path: path.to_owned(),
            filename: path.to_owned(),
            interpreter: None,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            working_directory: "/".to_owned(),
            tty: None,
            cgroup: "/".to_owned(),
            running: false,
        }
    }

    /// The record. Texts longer than the kernel programs allow are cut and
    /// marked, as there.
    pub fn bytes(&self) -> Vec<u8> {
        let args: Vec<u8> = self
            .args
            .iter()
            .flat_map(|arg| arg.bytes().chain([0]))
            .collect();
        let mut tail = Vec::new();
        let mut texts = [ABSENT; wire::EXEC_TEXTS];
        let mut put = |which: u32, text: Option<&[u8]>| {
            texts[which as usize] = append(&mut tail, text);
        };
        put(wire::EXEC_PATH, Some(self.path.as_bytes()));
        put(wire::EXEC_FILENAME, Some(self.filename.as_bytes()));
        put(
            wire::EXEC_INTERPRETER,
            self.interpreter.as_deref().map(str::as_bytes),
        );
        put(wire::EXEC_CWD, Some(self.working_directory.as_bytes()));
        put(wire::EXEC_TTY, self.tty.as_deref().map(str::as_bytes));
        put(wire::EXEC_CGROUP, Some(self.cgroup.as_bytes()));
        put(wire::EXEC_ARGS, Some(&args));
        let kind = if self.running {
            wire::RUNNING
        } else {
            wire::EXEC
        };
        let exec = wire::Exec {
            head: self.actor.head(kind, size_of::<wire::Exec>() + tail.len()),
            inode: 1,
            mtime_ns: 1,
            capabilities: 0,
            device: 1,
            links: 1,
            flags: 0,
            reserved: 0,
            verdict: UNJUDGED,
            texts,
            more_reserved: 0,
        };
        [exec.bytes(), &tail].concat()
    }
}

/// No tables were in force.
const UNJUDGED: wire::Verdict = wire::Verdict {
    tables: 0,
    matched: 0,
    undecided: 0,
    rules: [0; wire::VERDICT_RULES],
    triggered: 0,
    over_budget: 0,
    tripped: 0,
    disarmed: 0,
    simulated: 0,
    acted: 0,
    deniable: 0,
    spared: 0,
    done: 0,
    kills_here: 0,
    reserved: 0,
    took_ns: 0,
};

const ABSENT: wire::Text = wire::Text {
    len: 0,
    known: wire::ABSENT as u8,
    reserved: 0,
};

fn append(tail: &mut Vec<u8>, text: Option<&[u8]>) -> wire::Text {
    let Some(text) = text else { return ABSENT };
    let (text, known) = if text.len() > wire::TEXT_MAX {
        (&text[..wire::TEXT_MAX], wire::TRUNCATED)
    } else {
        (text, wire::KNOWN)
    };
    tail.extend_from_slice(text);
    wire::Text {
        len: text.len() as u16,
        known: known as u8,
        reserved: 0,
    }
}

/// A record of another kind, with a fixed part and nothing unusual in it; for
/// tests that need one of each.
#[doc(hidden)]
pub fn one_of_each() -> Vec<Vec<u8>> {
    let actor = Actor::new(7);
    let v4 = wire::Address {
        ip: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        port: 53,
        family: 4,
    };
    let mapped = wire::Address {
        ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1],
        port: 443,
        family: 6,
    };
    let none = wire::Address {
        ip: [0; 16],
        port: 0,
        family: 0,
    };
    let tcp = libc::IPPROTO_TCP as u16;
    let connect = wire::Connect {
        head: actor.head(wire::CONNECT, size_of::<wire::Connect>()),
        cookie: 9,
        remote: mapped,
        local: none,
        error: 0,
        protocol: tcp,
        error_known: wire::UNKNOWN as u8,
        reserved: 0,
        verdict: UNJUDGED,
    };
    let outcome = wire::ConnectOutcome {
        head: actor.head(wire::CONNECT_OUTCOME, size_of::<wire::ConnectOutcome>()),
        cookie: 9,
        error: libc::ECONNREFUSED,
        reserved: 0,
    };
    let listen = wire::Listen {
        head: actor.head(wire::LISTEN, size_of::<wire::Listen>()),
        local: v4,
        protocol: tcp,
        reserved: 0,
        verdict: UNJUDGED,
    };
    let question =
        b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x01\x00\x01";
    let dns = |kind: u32, message: &[u8]| {
        let dns = wire::Dns {
            head: actor.head(kind, size_of::<wire::Dns>() + message.len()),
            remote: v4,
            protocol: tcp,
            reserved: 0,
            message_len: message.len() as u32,
            payload_len: message.len() as u32,
            verdict: UNJUDGED,
        };
        [dns.bytes(), message].concat()
    };
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    answer[7] = 1;
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
    let file = |kind: u32| {
        let mut tail = Vec::new();
        let mut texts = [ABSENT; wire::FILE_TEXTS];
        for (text, value) in texts.iter_mut().zip(["/srv", "../etc/x", "/tmp", "y"]) {
            *text = append(&mut tail, Some(value.as_bytes()));
        }
        let file = wire::File {
            head: actor.head(kind, size_of::<wire::File>() + tail.len()),
            error: 0,
            mode: 0o600,
            error_known: wire::KNOWN as u8,
            open: wire::OPEN_WRITE as u8,
            reserved: 0,
            more_reserved: 0,
            verdict: UNJUDGED,
            texts,
        };
        [file.bytes(), &tail].concat()
    };
    vec![
        fork(&actor, key(8)),
        exit(&actor, 0x100),
        Exec::new(7, "/bin/sh", &["sh", "-c", "id"]).bytes(),
        Exec {
            running: true,
            tty: Some("pts0".into()),
            ..Exec::new(7, "/bin/sh", &["sh"])
        }
        .bytes(),
        connect.bytes().to_vec(),
        outcome.bytes().to_vec(),
        listen.bytes().to_vec(),
        dns(wire::DNS_QUERY, question),
        dns(wire::DNS_ANSWER, &answer),
        file(wire::FILE_OPEN),
        file(wire::FILE_CREATE),
        file(wire::FILE_RENAME),
        file(wire::FILE_DELETE),
        file(wire::FILE_CHMOD),
    ]
}
