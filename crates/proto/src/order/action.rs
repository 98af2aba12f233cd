//! What can be ordered.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a path.
const MAX_PATH: usize = 4096;
/// Addresses that stay reachable.
const MAX_ALLOWED: usize = 64;

/// One process of one boot: a pid alone is somebody else's tomorrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRef {
    /// Its pid, in the host's namespace.
    pub pid: u32,
    /// When it started, nanoseconds after boot, as findings say it (`ext.start_ns`).
    pub start_ns: u64,
    /// The host's boot (`/proc/sys/kernel/random/boot_id`). Left out where it is not
    /// known: start times hardly ever agree across boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
}

/// One file: a path alone is somebody else's tomorrow. By its content, or as findings
/// know an executable, by inode and time of change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// SHA-256 of its content, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its inode (`ext.inode`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// When its content changed last, nanoseconds since the epoch (`ext.mtime_ns`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime_ns: Option<u64>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Kills a process and all that descend from it.
    KillTree {
        /// The process.
        process: ProcessRef,
    },
    /// Tells what a process is, has open and stands in.
    CollectForensics {
        /// The process.
        process: ProcessRef,
    },
    /// Takes a file out of everybody's reach. Undo puts it back.
    QuarantineFile {
        /// Where it is: absolute, without links.
        path: String,
        /// Which one is meant.
        file: FileRef,
    },
    /// Cuts the host off from the network, but for its server, until the lease ends.
    IsolateHost {
        /// Addresses and networks (CIDR) that stay reachable.
        #[serde(default)]
        allow: Vec<String>,
        /// Names can still be resolved: port 53, any address.
        #[serde(default)]
        dns: bool,
    },
    /// Takes an order back.
    Undo {
        /// The order's id.
        order: String,
    },
}

/// The kinds of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Action::KillTree`].
    KillTree,
    /// [`Action::CollectForensics`].
    CollectForensics,
    /// [`Action::QuarantineFile`].
    QuarantineFile,
    /// [`Action::IsolateHost`].
    IsolateHost,
    /// [`Action::Undo`].
    Undo,
}

/// What a host may allow.
pub const KINDS: [Kind; 4] = [
    Kind::KillTree,
    Kind::CollectForensics,
    Kind::QuarantineFile,
    Kind::IsolateHost,
];

impl Kind {
    /// Its name, as in the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::KillTree => "kill_tree",
            Kind::CollectForensics => "collect_forensics",
            Kind::QuarantineFile => "quarantine_file",
            Kind::IsolateHost => "isolate_host",
            Kind::Undo => "undo",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let found = KINDS.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            let names = KINDS.map(Kind::name).join(", ");
            format!("{text:?} is no action: there are {names}")
        })
    }
}

impl Action {
    /// Which kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Action::KillTree { .. } => Kind::KillTree,
            Action::CollectForensics { .. } => Kind::CollectForensics,
            Action::QuarantineFile { .. } => Kind::QuarantineFile,
            Action::IsolateHost { .. } => Kind::IsolateHost,
            Action::Undo { .. } => Kind::Undo,
        }
    }

    /// The order that it is about, if it is about one.
    pub fn of(&self) -> Option<&str> {
        match self {
            Action::Undo { order } => Some(order),
            _ => None,
        }
    }

    /// Refuses what makes no sense on any host.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Action::KillTree { process } | Action::CollectForensics { process } => {
                if process.pid < 2 || i32::try_from(process.pid).is_err() {
                    return Err(format!("pid {} is nothing to act on", process.pid));
                }
                if process.boot_id.as_ref().is_some_and(|id| id.len() > 64) {
                    return Err("that is no boot id".to_owned());
                }
                Ok(())
            }
            Action::QuarantineFile { path, file } => {
                let plain = path.starts_with('/')
                    && path.len() <= MAX_PATH
                    && !path.contains('\0')
                    && !path.ends_with('/')
                    && !path.split('/').any(|part| matches!(part, "." | ".."));
                if !plain {
                    return Err(format!("{path:?} is no absolute path of a file"));
                }
                let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
                let digest = |text: &String| text.len() == 64 && text.bytes().all(hex);
                match (&file.sha256, file.inode, file.mtime_ns) {
                    (Some(sha256), ..) if !digest(sha256) => {
                        return Err("sha256: 64 digits, in lower-case hex".to_owned());
                    }
                    (Some(_), ..) | (None, Some(_), Some(_)) => {}
                    _ => return Err("which file: its sha256, or inode and mtime_ns".to_owned()),
                }
                Ok(())
            }
            Action::IsolateHost { allow, .. } => {
                if allow.len() > MAX_ALLOWED {
                    return Err(format!("more than {MAX_ALLOWED} networks"));
                }
                allow.iter().try_for_each(|text| network(text).map(|_| ()))
            }
            Action::Undo { order } => {
                if order.is_empty() || order.len() > super::MAX_ID {
                    return Err("it names no order".to_owned());
                }
                Ok(())
            }
        }
    }
}

/// An address with the length of its network's prefix.
pub fn network(text: &str) -> Result<(std::net::IpAddr, u8), String> {
    let bad = || format!("{text:?} is neither an address nor a network such as 10.0.0.0/8");
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: std::net::IpAddr = address.parse().map_err(|_| bad())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(length) => length.parse().map_err(|_| bad())?,
    };
    if length > most {
        return Err(bad());
    }
    Ok((address, length))
}
