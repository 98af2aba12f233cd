//! Processes of this host, named so that nobody else is meant; and the end of a tree of
//! them.

use super::Lineage;
use picket_model::process::ProcessKey;
use picket_proto::order::ProcessRef;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// How often it is looked for more of a tree: a stopped process starts none, so each
/// round is about what the last one has not stopped in time.
const ROUNDS: usize = 50;
/// Processes of one tree, at most.
const MOST: usize = 100_000;
/// Processes named in the answer.
const NAMED: usize = 200;
/// How long they may take to end, once killed, milliseconds; such as one that waits for
/// a disk.
const PATIENCE_MS: i64 = 5_000;

/// A process that cannot become another one while this is held.
pub(super) struct Held {
    pub pid: u32,
    pub key: ProcessKey,
    fd: OwnedFd,
}

impl Held {
    /// The process of that pid, whoever it is.
    fn open(pid: u32) -> Result<Held, String> {
        let gone = || format!("process {pid} is there no more");
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| format!("{pid} is no pid"))?;
        let fd = pidfd_open(raw, PidfdFlags::empty()).map_err(|_| gone())?;
        // The descriptor first: what is read now is its process, or none.
        let ticks = stat(pid).ok_or_else(gone)?.start_ticks;
        let key = ProcessKey {
            pid,
            start_ns: ticks.saturating_mul(tick_ns()),
        };
        Ok(Held { pid, key, fd })
    }

    fn started_at(&self, start_ns: u64) -> bool {
        self.key.start_ns == start_ns / tick_ns() * tick_ns()
    }

    fn signal(&self, signal: Signal) -> bool {
        pidfd_send_signal(&self.fd, signal).is_ok()
    }
}

/// The process that is meant, if it is still there.
pub(super) fn meant(process: &ProcessRef) -> Result<Held, String> {
    if let Some(boot) = &process.boot_id {
        let now = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        if now.trim() != boot {
            return Err("the host has been booted since: no process of then is left".to_owned());
        }
    }
    let held = Held::open(process.pid)?;
    if held.started_at(process.start_ns) {
        return Ok(held);
    }
    Err(format!(
        "the process that was meant has ended: {} is another one now",
        process.pid
    ))
}

/// What `/proc/PID/stat` says (proc_pid_stat(5)).
struct Stat {
    parent: u32,
    start_ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything; it ends at the last parenthesis.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let parent = words.nth(1)?.parse().ok()?;
    let start_ticks = words.nth(17)?.parse().ok()?;
    Some(Stat {
        parent,
        start_ticks,
    })
}

fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// A process's name, as it calls itself.
pub(super) fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// This process and its ancestors.
fn own() -> BTreeSet<u32> {
    let mut own = BTreeSet::new();
    let mut next = Some(std::process::id());
    while let Some(pid) = next.filter(|pid| *pid > 0 && own.insert(*pid)) {
        next = stat(pid).map(|stat| stat.parent);
    }
    own
}

/// Stops a process and all that descend from it, until no more are found, and then
/// kills them: none of them starts another in between.
pub(super) fn kill_tree(process: &ProcessRef, lineage: &dyn Lineage) -> Result<Value, String> {
    let root = meant(process)?;
    if own().contains(&root.pid) {
        return Err("this sensor descends from that process: it is not killed".to_owned());
    }
    if fs::read_link(format!("/proc/{}/exe", root.pid)).is_err() && stat(root.pid).is_some() {
        return Err(format!("{} is a thread of the kernel", root.pid));
    }
    let key = ProcessKey {
        pid: process.pid,
        start_ns: process.start_ns,
    };
    root.signal(Signal::STOP);
    let mut tree: BTreeMap<u32, Held> = BTreeMap::from([(root.pid, root)]);
    let mut settled = false;
    for _ in 0..ROUNDS {
        let more = descendants(&tree, key, lineage);
        settled = more.is_empty();
        if settled || tree.len() + more.len() > MOST {
            break;
        }
        for held in more {
            held.signal(Signal::STOP);
            tree.insert(held.pid, held);
        }
    }
    let named: Vec<Value> = tree
        .keys()
        .take(NAMED)
        .map(|pid| json!({"pid": pid, "name": name(*pid)}))
        .collect();
    for held in tree.values() {
        held.signal(Signal::KILL);
    }
    let left: Vec<u32> = tree
        .values()
        .filter(|held| !ended(held))
        .map(|held| held.pid)
        .collect();
    let result = json!({"killed": tree.len() - left.len(), "processes": named});
    if !left.is_empty() {
        return Err(format!(
            "killed, but not ended yet: {left:?} (they wait for something in the kernel)"
        ));
    }
    if !settled {
        return Err(format!(
            "{} processes were killed, and it kept starting more: order it again, or a block",
            tree.len()
        ));
    }
    Ok(result)
}

/// Those of the tree that are not in it yet.
fn descendants(tree: &BTreeMap<u32, Held>, root: ProcessKey, lineage: &dyn Lineage) -> Vec<Held> {
    let mut found: BTreeMap<u32, Option<u64>> = lineage
        .descendants(root)
        .into_iter()
        .map(|key| (key.pid, Some(key.start_ns)))
        .collect();
    // What the event thread has not come to yet.
    let parents = parents();
    for pid in parents.keys() {
        let mut above = parents.get(pid);
        let mut hops = 0;
        while let Some(parent) = above.filter(|parent| **parent > 1 && hops < 1_024) {
            if tree.contains_key(parent) {
                found.entry(*pid).or_insert(None);
                break;
            }
            above = parents.get(parent);
            hops += 1;
        }
    }
    let own = own();
    found
        .into_iter()
        .filter(|(pid, _)| !tree.contains_key(pid) && !own.contains(pid))
        .filter_map(|(pid, start_ns)| {
            let held = Held::open(pid).ok()?;
            start_ns
                .is_none_or(|start_ns| held.started_at(start_ns))
                .then_some(held)
        })
        .collect()
}

/// Every process's parent.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    folder
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(pid)?.parent))
        })
        .collect()
}

fn ended(held: &Held) -> bool {
    let mut fds = [PollFd::new(&held.fd, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: PATIENCE_MS / 1_000,
        tv_nsec: 0,
    };
    matches!(poll(&mut fds, Some(&patience)), Ok(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    struct Nobody;

    impl Lineage for Nobody {
        fn descendants(&self, _: ProcessKey) -> Vec<ProcessKey> {
            Vec::new()
        }
    }

    fn reference(pid: u32) -> ProcessRef {
        ProcessRef {
            pid,
            start_ns: Held::open(pid).unwrap().key.start_ns,
            boot_id: None,
        }
    }

    #[test]
    fn a_tree_is_killed_whole_and_nobody_else() {
        let mut shell = Command::new("sh")
            .args(["-c", "sh -c 'sleep 600 & echo $!; wait' & wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = shell.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let leaf: u32 = line.trim().parse().unwrap();
        let leaf = Held::open(leaf).unwrap();
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();

        let mut wrong = reference(shell.id());
        wrong.start_ns += 1_000_000_000;
        assert!(meant(&wrong).is_err());
        let mut before = reference(shell.id());
        before.boot_id = Some("another".to_owned());
        assert!(meant(&before).is_err());

        let result = kill_tree(&reference(shell.id()), &Nobody).unwrap();
        assert_eq!(result["killed"], 3, "{result}");
        assert!(ended(&leaf));
        assert_eq!(shell.wait().unwrap().code(), None);
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn the_sensor_does_not_kill_what_it_descends_from() {
        let parent = stat(std::process::id()).unwrap().parent;
        let refused = kill_tree(&reference(parent), &Nobody).unwrap_err();
        assert!(refused.contains("descends"), "{refused}");
    }
}
