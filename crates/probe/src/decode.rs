//! Raw record bytes into [`Record`]s, checked: kernel bytes are input like any
//! other, and a recording may come from anywhere.

mod dns;
mod path;
mod text;
mod verdict;

use crate::wire::{self, Wire};
use picket_model::Datum;
use picket_model::process::{FileIdentity, ProcessKey};
use picket_model::record::{
    Body, Connect, Exec, File, FileOperation, OpenFlags, Protocol, Record, Task,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use text::{Texts, known_of, split_args, string};

/// Bytes that are not a record of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the record does.
    #[error("a {kind} record ends after {len} bytes")]
    Short {
        /// The kind of record, as far as it could be read.
        kind: &'static str,
        /// How many bytes there were.
        len: usize,
    },
    /// Another version of Picket wrote it.
    #[error("record version {0} is not {version}", version = wire::VERSION)]
    Version(u16),
    /// There is no such kind of record.
    #[error("record kind {0} does not exist")]
    Kind(u8),
    /// A field holds what the kernel programs never write.
    #[error("a {kind} record has an impossible {field}")]
    Field {
        /// The kind of record.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A DNS answer that is not one: the network's doing, not the kernel's.
    #[error("a DNS answer cannot be read: {0}")]
    Answer(&'static str),
}

/// The record in `bytes`, which hold exactly one.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let head = wire::Head::read(bytes).ok_or(DecodeError::Short {
        kind: "unknown",
        len: bytes.len(),
    })?;
    if head.version != wire::VERSION {
        return Err(DecodeError::Version(head.version));
    }
    let kind = match wire::KIND_NAMES.get(usize::from(head.kind)) {
        Some(name) if head.kind != 0 => *name,
        _ => return Err(DecodeError::Kind(head.kind)),
    };
    let size = head.size as usize;
    let bytes = bytes.get(..size).ok_or(DecodeError::Short {
        kind,
        len: bytes.len(),
    })?;
    let raw = Raw { kind, bytes };
    let verdict = raw.verdict(u32::from(head.kind))?;
    let body = match u32::from(head.kind) {
        wire::FORK => raw.fork()?,
        wire::EXEC => Body::Exec(Box::new(raw.exec(Image::New)?)),
        wire::RUNNING => Body::Running(Box::new(raw.exec(Image::Old)?)),
        wire::EXIT => Body::Exit {
            code: raw.fixed::<wire::Exit>()?.code,
        },
        wire::CONNECT => Body::Connect(raw.connect()?),
        wire::CONNECT_OUTCOME => raw.connect_outcome()?,
        wire::LISTEN => raw.listen()?,
        wire::DNS_QUERY => raw.dns_query()?,
        wire::DNS_ANSWER => raw.dns_answer()?,
        _ => Body::File(Box::new(raw.file(u32::from(head.kind))?)),
    };
    Ok(Record {
        boot_ns: head.boot_ns,
        task: task(&head),
        body,
        verdict,
    })
}

/// How long the record that `bytes` begin with is, by its own account; `None`
/// when they are too short to say. For reading records laid end to end.
pub fn record_len(bytes: &[u8]) -> Option<usize> {
    wire::Head::read(bytes).map(|head| head.size as usize)
}

/// The record that `bytes` begin with: fixed reservations may be longer.
pub(crate) fn one_record(bytes: &[u8]) -> &[u8] {
    let len = record_len(bytes).unwrap_or(bytes.len());
    &bytes[..len.min(bytes.len())]
}

/// Whether arguments are as the kernel laid them out, or as the process left them.
#[derive(Clone, Copy, PartialEq)]
enum Image {
    New,
    Old,
}

struct Raw<'a> {
    kind: &'static str,
    bytes: &'a [u8],
}

impl Raw<'_> {
    fn fixed<T: Wire>(&self) -> Result<T, DecodeError> {
        T::read(self.bytes).ok_or(DecodeError::Short {
            kind: self.kind,
            len: self.bytes.len(),
        })
    }

    fn field(&self, field: &'static str) -> DecodeError {
        DecodeError::Field {
            kind: self.kind,
            field,
        }
    }

    fn fork(&self) -> Result<Body, DecodeError> {
        let fork: wire::Fork = self.fixed()?;
        Ok(Body::Fork {
            child: ProcessKey {
                pid: fork.child_pid,
                start_ns: fork.child_start_ns,
            },
        })
    }

    fn texts<'t, T: Wire, const N: usize>(
        &'t self,
        marks: &[wire::Text; N],
    ) -> Result<Texts<'t, N>, DecodeError> {
        Texts::split(marks, &self.bytes[size_of::<T>()..]).map_err(|error| match error {
            text::Bad::Short => DecodeError::Short {
                kind: self.kind,
                len: self.bytes.len(),
            },
            text::Bad::Known => self.field("text"),
        })
    }

    fn exec(&self, image: Image) -> Result<Exec, DecodeError> {
        let exec: wire::Exec = self.fixed()?;
        let texts = self.texts::<wire::Exec, { wire::EXEC_TEXTS }>(&exec.texts)?;
        let text = |which: u32| texts.get(which).map(string);
        let path = text(wire::EXEC_PATH);
        // Every other path begins with a slash.
        let memfd = path.value().is_some_and(|path| path.starts_with("memfd:"));
        Ok(Exec {
            memfd,
            path,
            filename: text(wire::EXEC_FILENAME),
            interpreter: text(wire::EXEC_INTERPRETER),
            args: texts
                .get(wire::EXEC_ARGS)
                .map(|args| split_args(args, image == Image::Old)),
            working_directory: text(wire::EXEC_CWD),
            tty: text(wire::EXEC_TTY),
            cgroup: text(wire::EXEC_CGROUP),
            file: FileIdentity {
                inode: exec.inode,
                device: exec.device,
                mtime_ns: exec.mtime_ns,
                links: exec.links,
            },
            // A memfd never had a link to lose.
            deleted: exec.flags & wire::EXEC_DELETED != 0 && !memfd,
            upper_layer: exec.flags & wire::EXEC_UPPER_LAYER != 0,
            refused: exec.flags & wire::EXEC_REFUSED != 0,
            capabilities: exec.capabilities,
        })
    }

    fn connect(&self) -> Result<Connect, DecodeError> {
        let connect: wire::Connect = self.fixed()?;
        let known = known_of(connect.error_known).ok_or_else(|| self.field("errno"))?;
        Ok(Connect {
            cookie: connect.cookie,
            protocol: self.protocol(connect.protocol)?,
            remote: self
                .address(&connect.remote)?
                .ok_or_else(|| self.field("remote address"))?,
            local: self.address(&connect.local)?,
            errno: known.map(|()| connect.error),
        })
    }

    fn connect_outcome(&self) -> Result<Body, DecodeError> {
        let outcome: wire::ConnectOutcome = self.fixed()?;
        Ok(Body::ConnectOutcome {
            cookie: outcome.cookie,
            errno: outcome.error,
        })
    }

    fn listen(&self) -> Result<Body, DecodeError> {
        let listen: wire::Listen = self.fixed()?;
        Ok(Body::Listen {
            protocol: self.protocol(listen.protocol)?,
            local: self
                .address(&listen.local)?
                .ok_or_else(|| self.field("local address"))?,
        })
    }

    fn dns(&self) -> Result<(wire::Dns, &[u8]), DecodeError> {
        let dns: wire::Dns = self.fixed()?;
        let message = self.bytes[size_of::<wire::Dns>()..]
            .get(..dns.payload_len as usize)
            .ok_or(DecodeError::Short {
                kind: self.kind,
                len: self.bytes.len(),
            })?;
        Ok((dns, message))
    }

    fn dns_query(&self) -> Result<Body, DecodeError> {
        let (dns, message) = self.dns()?;
        let (name, qtype) = match dns::question(message) {
            Some((name, qtype)) => (Datum::Known(name), Datum::Known(qtype)),
            None => (Datum::Unknown, Datum::Unknown),
        };
        Ok(Body::DnsQuery {
            protocol: self.protocol(dns.protocol)?,
            resolver: self
                .address(&dns.remote)?
                .ok_or_else(|| self.field("resolver"))?,
            name,
            qtype,
        })
    }

    fn dns_answer(&self) -> Result<Body, DecodeError> {
        let (_, message) = self.dns()?;
        let (name, addresses) = dns::answer(message).map_err(DecodeError::Answer)?;
        Ok(Body::DnsAnswer { name, addresses })
    }

    fn file(&self, kind: u32) -> Result<File, DecodeError> {
        let file: wire::File = self.fixed()?;
        let texts = self.texts::<wire::File, { wire::FILE_TEXTS }>(&file.texts)?;
        let flags = OpenFlags {
            read: u32::from(file.open) & wire::OPEN_READ != 0,
            write: u32::from(file.open) & wire::OPEN_WRITE != 0,
            create: u32::from(file.open) & wire::OPEN_CREATE != 0,
        };
        let told = u32::from(file.open) & wire::OPEN_UNTOLD == 0;
        let operation = match kind {
            wire::FILE_OPEN => FileOperation::Open(flags),
            wire::FILE_CREATE => FileOperation::Create(if told {
                Datum::Known(flags)
            } else {
                Datum::Unknown
            }),
            wire::FILE_RENAME => FileOperation::Rename {
                from: path::joined(texts.get(wire::FILE_FROM_DIR), texts.get(wire::FILE_FROM)),
            },
            wire::FILE_DELETE => FileOperation::Delete,
            _ => FileOperation::Chmod { mode: file.mode },
        };
        let known = known_of(file.error_known).ok_or_else(|| self.field("errno"))?;
        Ok(File {
            operation,
            path: path::joined(texts.get(wire::FILE_DIR), texts.get(wire::FILE_PATH)),
            errno: known.map(|()| file.error),
        })
    }

    fn protocol(&self, protocol: u16) -> Result<Protocol, DecodeError> {
        match i32::from(protocol) {
            libc::IPPROTO_TCP => Ok(Protocol::Tcp),
            libc::IPPROTO_UDP => Ok(Protocol::Udp),
            _ => Err(self.field("protocol")),
        }
    }

    fn address(&self, address: &wire::Address) -> Result<Option<SocketAddr>, DecodeError> {
        let ip = match address.family {
            0 => return Ok(None),
            4 => {
                let [a, b, c, d, ..] = address.ip;
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            6 => {
                let ip = Ipv6Addr::from(address.ip);
                // To the peer it is IPv4, whatever the socket is.
                ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
            }
            _ => return Err(self.field("address family")),
        };
        Ok(Some(SocketAddr::new(ip, address.port)))
    }
}

fn task(head: &wire::Head) -> Task {
    let task = &head.task;
    let set = |id: u32| (id != u32::MAX).then_some(id);
    let comm = task
        .comm
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    Task {
        key: ProcessKey {
            pid: task.pid,
            start_ns: task.start_ns,
        },
        tid: task.tid,
        parent: ProcessKey {
            pid: task.ppid,
            start_ns: task.parent_start_ns,
        },
        uid: task.uid,
        gid: task.gid,
        euid: task.euid,
        auid: set(task.auid),
        session: set(task.session),
        comm: string(comm),
        cgroup_id: task.cgroup_id,
        pid_namespace: task.pid_namespace,
        mount_namespace: task.mount_namespace,
        in_scope: u32::from(head.flags) & wire::IN_SCOPE != 0,
    }
}
