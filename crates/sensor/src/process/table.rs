//! The process table: every process of the host, with who started it.

use hashbrown::HashMap;
use picket_model::datum::Datum;
use picket_model::event::Container;
use picket_model::process::{Image, Parent, Process, ProcessKey};
use std::collections::VecDeque;
use std::sync::Arc;

/// The table's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Processes kept, ended ones included.
    pub processes: usize,
    /// How long an ended process is kept for records that still speak of it,
    /// nanoseconds of boot time.
    pub linger_ns: u64,
    /// Ancestors kept per process; a longer chain is cut to `depth_after_cut`
    /// and marked as incomplete.
    pub depth: u32,
    /// What is kept of a chain that is cut.
    pub depth_after_cut: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // Twice the default pid_max of 32,768: room for as many ended ones.
            processes: 65_536,
            linger_ns: 5_000_000_000,
            depth: 1_024,
            depth_after_cut: 256,
        }
    }
}

/// One process.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its current image and its ancestors.
    pub process: Arc<Process>,
    /// Its container.
    pub container: Option<Arc<Container>>,
    ended: bool,
}

/// Every process of the host. A reused pid has another start time and so
/// another key; it can never be confused with its predecessor.
#[derive(Debug)]
pub struct ProcessTable {
    entries: HashMap<ProcessKey, Entry>,
    /// Ended processes in the order of their end, with the boot time of it.
    ended: VecDeque<(u64, ProcessKey)>,
    /// Keys in order of arrival, to find the newest when the table is full.
    arrivals: VecDeque<ProcessKey>,
    limits: Limits,
    evicted: u64,
}

impl ProcessTable {
    /// An empty table.
    pub fn new(limits: Limits) -> ProcessTable {
        ProcessTable {
            entries: HashMap::new(),
            ended: VecDeque::new(),
            arrivals: VecDeque::new(),
            limits,
            evicted: 0,
        }
    }

    /// The process of that key, ended or not.
    pub fn find(&self, key: ProcessKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// Every process that has not ended.
    pub fn living(&self) -> impl Iterator<Item = &Process> {
        self.entries
            .values()
            .filter(|entry| !entry.ended)
            .map(|entry| &*entry.process)
    }

    /// The living processes that descend from that one, as they were forked. Its start
    /// may be known from `/proc` alone, which counts in hundredths of a second.
    pub fn descendants(&self, of: ProcessKey) -> Vec<ProcessKey> {
        const TICK_NS: u64 = 10_000_000;
        let meant =
            |key: ProcessKey| key.pid == of.pid && key.start_ns / TICK_NS == of.start_ns / TICK_NS;
        self.living()
            .filter(|process| process.ancestors().any(|ancestor| meant(ancestor.key)))
            .map(|process| process.key)
            .collect()
    }

    /// How many processes are in the table.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many processes had to leave before they ended because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Adds a child that runs its creator's image.
    pub fn fork(&mut self, child: ProcessKey, creator: &Entry) {
        let parent = self.bounded(Parent::Known(creator.process.clone()));
        let process = Process::new(child, creator.process.image.clone(), parent);
        self.insert(child, process, creator.container.clone());
    }

    /// Puts a new image in place; gives the process as it is from now on.
    /// `parent` is taken for a process the table has not seen before.
    pub fn exec(
        &mut self,
        key: ProcessKey,
        image: Arc<Image>,
        container: Option<Arc<Container>>,
        parent: Parent,
    ) -> Arc<Process> {
        if let Some(entry) = self.entries.get_mut(&key) {
            let parent = entry.process.parent.clone();
            entry.process = Arc::new(Process::new(key, image, parent));
            entry.container = container;
            return entry.process.clone();
        }
        let parent = self.bounded(parent);
        self.insert(key, Process::new(key, image, parent), container)
    }

    /// Marks a process as ended; it stays for [`Limits::linger_ns`].
    pub fn exit(&mut self, key: ProcessKey, boot_ns: u64) {
        if let Some(entry) = self.entries.get_mut(&key)
            && !entry.ended
        {
            entry.ended = true;
            self.ended.push_back((boot_ns, key));
        }
        self.sweep(boot_ns);
    }

    /// Forgets what ended long enough ago.
    fn sweep(&mut self, boot_ns: u64) {
        while let Some(&(at, key)) = self.ended.front() {
            if at.saturating_add(self.limits.linger_ns) > boot_ns {
                break;
            }
            self.ended.pop_front();
            self.entries.remove(&key);
        }
        // Arrivals also name processes that were forgotten by the sweep: shed
        // them before they outnumber what lives.
        if self.arrivals.len() > 2 * self.entries.len() + 1_024 {
            let entries = &self.entries;
            self.arrivals.retain(|key| entries.contains_key(key));
        }
    }

    fn insert(
        &mut self,
        key: ProcessKey,
        process: Process,
        container: Option<Arc<Container>>,
    ) -> Arc<Process> {
        while self.entries.len() >= self.limits.processes {
            self.evict();
        }
        let process = Arc::new(process);
        let entry = Entry {
            process: process.clone(),
            container,
            ended: false,
        };
        if self.entries.insert(key, entry).is_none() {
            self.arrivals.push_back(key);
        }
        process
    }

    /// Ended processes go first, then the newest that did not end: in a fork
    /// bomb those are the bomb's own, while the oldest are the services whose
    /// children must still be recognised.
    fn evict(&mut self) {
        if let Some((_, key)) = self.ended.pop_front() {
            self.entries.remove(&key);
            return;
        }
        while let Some(key) = self.arrivals.pop_back() {
            if self.entries.remove(&key).is_some() {
                self.evicted += 1;
                return;
            }
        }
    }

    /// Keeps chains of generations (a process that forks itself for ever) from
    /// growing without end: past the limit the nearest ancestors are copied and
    /// the rest is marked as unknown.
    fn bounded(&self, parent: Parent) -> Parent {
        let Parent::Known(nearest) = &parent else {
            return parent;
        };
        if nearest.depth < self.limits.depth {
            return parent;
        }
        let kept: Vec<&Process> = std::iter::once(&**nearest)
            .chain(nearest.ancestors())
            .take(self.limits.depth_after_cut as usize)
            .collect();
        kept.into_iter()
            .rev()
            .fold(Parent::Unknown, |parent, process| {
                Parent::Known(Arc::new(Process::new(
                    process.key,
                    process.image.clone(),
                    parent,
                )))
            })
    }
}

impl Entry {
    /// A process that no record introduced: what little its task says.
    pub fn stub(key: ProcessKey, comm: &str) -> Entry {
        let image = Image {
            name: Datum::Known(comm.into()),
            path: Datum::Unknown,
            cmd_line: Datum::Unknown,
            args: Datum::Unknown,
            working_directory: Datum::Unknown,
            tty: Datum::Unknown,
            interpreter: Datum::Unknown,
            script: Datum::Unknown,
            memfd: Datum::Unknown,
            deleted: Datum::Unknown,
            upper_layer: Datum::Unknown,
            sha256: Datum::Unknown,
            file: Datum::Unknown,
            by_runtime: false,
            uid: Datum::Unknown,
            gid: Datum::Unknown,
            euid: Datum::Unknown,
            capabilities: Datum::Unknown,
            pid_namespace: Datum::Unknown,
            mount_namespace: Datum::Unknown,
            since_ns: 0,
        };
        Entry {
            process: Arc::new(Process::new(key, Arc::new(image), Parent::Unknown)),
            container: None,
            ended: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32, start_ns: u64) -> ProcessKey {
        ProcessKey { pid, start_ns }
    }

    fn image(name: &str) -> Arc<Image> {
        Arc::new(Image {
            name: Datum::Known(name.into()),
            ..Image::default()
        })
    }

    fn table(limits: Limits) -> ProcessTable {
        let mut table = ProcessTable::new(limits);
        table.exec(key(1, 1), image("init"), None, Parent::None);
        table
    }

    fn names(process: &Process) -> Vec<String> {
        process
            .ancestors()
            .map(|ancestor| {
                ancestor
                    .image
                    .name
                    .value()
                    .map(|name| name.to_string())
                    .unwrap_or_default()
            })
            .collect()
    }

    #[test]
    fn a_child_keeps_its_creator_when_the_creator_ends_and_its_pid_is_used_again() {
        let mut table = table(Limits {
            linger_ns: 0,
            ..Limits::default()
        });
        let init = table.find(key(1, 1)).unwrap().clone();
        table.fork(key(10, 100), &init);
        table.exec(key(10, 100), image("nginx"), None, Parent::None);
        let nginx = table.find(key(10, 100)).unwrap().clone();
        table.fork(key(11, 110), &nginx);
        table.exit(key(10, 100), 200);
        assert!(table.find(key(10, 100)).is_none());
        table.fork(key(10, 300), &init);
        table.exec(key(10, 300), image("sshd"), None, Parent::None);

        let shell = table.exec(key(11, 110), image("sh"), None, Parent::None);
        assert_eq!(names(&shell), ["nginx", "init"]);
    }

    #[test]
    fn an_ended_process_lingers_for_late_records() {
        let mut table = table(Limits {
            linger_ns: 50,
            ..Limits::default()
        });
        let init = table.find(key(1, 1)).unwrap().clone();
        table.fork(key(10, 100), &init);
        table.exit(key(10, 100), 200);
        assert!(table.find(key(10, 100)).is_some());
        table.exit(key(99, 1), 250);
        assert!(table.find(key(10, 100)).is_none());
    }

    #[test]
    fn a_full_table_gives_up_ended_processes_first_and_counts_the_others() {
        let mut table = table(Limits {
            processes: 3,
            ..Limits::default()
        });
        let init = table.find(key(1, 1)).unwrap().clone();
        table.fork(key(10, 1), &init);
        table.fork(key(11, 1), &init);
        table.exit(key(11, 1), 5);
        table.fork(key(12, 1), &init);
        assert!(table.find(key(11, 1)).is_none() && table.find(key(10, 1)).is_some());
        assert_eq!(table.evicted(), 0);
        table.fork(key(13, 1), &init);
        assert_eq!((table.len(), table.evicted()), (3, 1));
    }

    #[test]
    fn an_endless_chain_of_generations_is_cut_and_says_so() {
        let limits = Limits {
            depth: 20,
            depth_after_cut: 5,
            linger_ns: 0,
            ..Limits::default()
        };
        let mut table = table(limits);
        for generation in 1..1_000_u32 {
            let parent = table.find(key(generation, 1)).unwrap().clone();
            table.fork(key(generation + 1, 1), &parent);
            table.exit(key(generation, 1), u64::from(generation));
        }
        let last = &table.find(key(1_000, 1)).unwrap().process;
        let mut ancestors = last.ancestors();
        let count = ancestors.by_ref().count();
        assert!((5..=21).contains(&count), "{count}");
        assert!(ancestors.is_cut());
        assert!(table.len() <= 3);
    }
}
