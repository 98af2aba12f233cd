//! What a process is, has open and stands in, while it is there.
//!
//! Of its environment the names alone: values hold passwords.

use super::digest::sha256;
use super::processes::{meant, name};
use picket_proto::order::ProcessRef;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;

/// Bytes of one text.
const TEXT: usize = 4_096;
/// Entries of one list.
const LIST: usize = 256;
/// Bytes of an executable that are hashed; a larger one has no hash.
const HASHED: u64 = 256 << 20;
/// Lines of `/proc/PID/status` that say something of a case.
const STATUS: [&str; 12] = [
    "Name",
    "State",
    "Tgid",
    "PPid",
    "TracerPid",
    "Uid",
    "Gid",
    "NSpid",
    "VmRSS",
    "Threads",
    "CapEff",
    "Seccomp",
];

/// Collects it.
pub(super) fn collect(process: &ProcessRef) -> Result<Value, String> {
    let held = meant(process)?;
    let proc = Proc(held.pid);
    let mut found = Map::new();
    found.insert("pid".into(), held.pid.into());
    found.insert("start_ns".into(), process.start_ns.into());
    found.insert("name".into(), name(held.pid).into());
    for (key, link) in [("exe", "exe"), ("cwd", "cwd"), ("root", "root")] {
        found.insert(key.into(), json!(proc.link(link)));
    }
    found.insert("exe_sha256".into(), json!(proc.hash()));
    found.insert(
        "cmd_line".into(),
        json!(proc.words("cmdline", |word| Some(word))),
    );
    let names = proc.words("environ", |word| word.split_once('=').map(|(name, _)| name));
    found.insert("environment_names".into(), json!(names));
    found.insert("status".into(), json!(proc.status()));
    found.insert("login_uid".into(), json!(proc.text("loginuid")));
    found.insert("cgroup".into(), json!(proc.text("cgroup")));
    found.insert("namespaces".into(), json!(proc.namespaces()));
    let (files, sockets) = proc.open_files();
    found.insert("open_files".into(), json!(files));
    found.insert("sockets".into(), json!(proc.sockets(&sockets)));
    found.insert("mapped".into(), json!(proc.mapped()));
    // All of it is of the process that was meant only if that is still there.
    meant(process)?;
    Ok(Value::Object(found))
}

struct Proc(u32);

impl Proc {
    fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = fs::File::open(self.path(name)).ok()?;
        let mut bytes = Vec::new();
        // Files of /proc have no length of their own.
        file.take(1 << 20).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.read(name).map(|bytes| cut(&bytes))
    }

    fn link(&self, name: &str) -> Option<String> {
        let link = fs::read_link(self.path(name)).ok()?;
        Some(cut(link.as_os_str().as_encoded_bytes()))
    }

    fn words(&self, name: &str, part: impl Fn(&str) -> Option<&str>) -> Vec<String> {
        let bytes = self.read(name).unwrap_or_default();
        bytes
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .take(LIST)
            .filter_map(|word| {
                let word = cut(word);
                part(&word).map(str::to_owned)
            })
            .collect()
    }

    fn status(&self) -> BTreeMap<String, String> {
        let text = self.text("status").unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| STATUS.contains(key))
            .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
            .collect()
    }

    fn namespaces(&self) -> BTreeMap<String, String> {
        let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
        let ids = kinds.into_iter().filter_map(|kind| {
            let id = self.link(&format!("ns/{kind}"))?;
            Some((kind.to_owned(), id))
        });
        ids.collect()
    }

    /// What is open, and the inodes of sockets among it.
    fn open_files(&self) -> (Vec<String>, BTreeSet<String>) {
        let (mut files, mut sockets) = (Vec::new(), BTreeSet::new());
        let Ok(folder) = fs::read_dir(self.path("fd")) else {
            return (files, sockets);
        };
        for entry in folder.flatten().take(LIST * 4) {
            let number = entry.file_name().to_string_lossy().into_owned();
            let Some(link) = self.link(&format!("fd/{number}")) else {
                continue;
            };
            let inode = link
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            if let Some(inode) = inode {
                sockets.insert(inode.to_owned());
            }
            if files.len() < LIST {
                files.push(format!("{number} {link}"));
            }
        }
        (files, sockets)
    }

    /// Its sockets of the internet, as the kernel lists them in its network namespace.
    fn sockets(&self, inodes: &BTreeSet<String>) -> Vec<Value> {
        let mut found = Vec::new();
        for table in ["tcp", "tcp6", "udp", "udp6"] {
            let bytes = self.read(&format!("net/{table}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            for line in text.lines().skip(1) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let (Some(local), Some(remote), Some(state), Some(inode)) =
                    (words.get(1), words.get(2), words.get(3), words.get(9))
                else {
                    continue;
                };
                if inodes.contains(*inode) && found.len() < LIST {
                    found.push(json!({
                        "protocol": table,
                        "local": address(local),
                        "remote": address(remote),
                        "state": state,
                    }));
                }
            }
        }
        found
    }

    fn mapped(&self) -> BTreeSet<String> {
        let bytes = self.read("maps").unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let paths = text.lines().filter_map(|line| {
            let at = line.find(['/', '['])?;
            Some(cut(&line.as_bytes()[at..]))
        });
        paths
            .take(LIST * 16)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .take(LIST)
            .collect()
    }

    fn hash(&self) -> Option<String> {
        let file = fs::File::open(self.path("exe")).ok()?;
        if file.metadata().ok()?.len() > HASHED {
            return None;
        }
        sha256(file).ok()
    }
}

fn cut(bytes: &[u8]) -> String {
    let bytes = bytes.get(..TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

/// An address and port as `/proc/net/tcp` has them: 32-bit words in the host's order.
fn address(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u8> = (0..address.len() / 8)
        .filter_map(|at| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok())
        .flat_map(u32::to_ne_bytes)
        .collect();
    if let Ok(bytes) = <[u8; 4]>::try_from(words.as_slice()) {
        return Some(std::net::SocketAddr::from((bytes, port)).to_string());
    }
    let bytes = <[u8; 16]>::try_from(words.as_slice()).ok()?;
    Some(std::net::SocketAddr::from((bytes, port)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_process_is_told_with_its_sockets_and_without_its_secrets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let ticks: u64 = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(19)?.parse().ok())
            .unwrap();
        let process = ProcessRef {
            pid: std::process::id(),
            start_ns: ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second(),
            boot_id: None,
        };
        let found = collect(&process).unwrap();
        let sockets = found["sockets"].as_array().unwrap();
        assert!(
            sockets.iter().any(|one| one["local"] == here.as_str()),
            "{sockets:?}"
        );
        assert_eq!(found["exe_sha256"].as_str().unwrap().len(), 64);
        assert!(
            found["environment_names"]
                .as_array()
                .unwrap()
                .contains(&"PATH".into())
        );
        let path = std::env::var("PATH").unwrap();
        assert!(
            !found.to_string().contains(&path),
            "a value of the environment"
        );
        drop(listener);
    }
}
