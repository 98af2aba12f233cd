//! Records into events: keeps the process table and puts the tree, the
//! container, the user and the host name around what the kernel said.

use super::table::{Entry, Limits, ProcessTable};
use crate::enrich::Enrichment;
use picket_model::datum::Datum;
use picket_model::event::{
    Actor, Detail, Dns, Endpoint, Event, EventUid, Exec, File, Host, Network, Status,
};
use picket_model::process::{Image, Parent, Process, ProcessKey};
use picket_model::record::{self, Body, FileOperation, Record, Task};
use picket_model::{EventClass, dns};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a record turned out to be.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time; a box would cost each event an allocation"
)]
pub enum Assembled {
    /// Something for the rules.
    Event {
        /// The event.
        event: Event,
        /// What a later record will tell about it.
        outcome: Option<OutcomeKey>,
    },
    /// The outcome of an earlier event.
    Outcome(OutcomeKey, Status),
    /// A process ended.
    Exit(ProcessKey),
    /// Only the tables changed.
    Internal,
}

/// Ties an event to the record of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutcomeKey(
    /// The socket's cookie.
    pub u64,
);

/// Makes events from records, in order.
#[derive(Debug)]
pub struct Assembler {
    table: ProcessTable,
    enrichment: Enrichment,
    host: Arc<Host>,
    run: u64,
    number: u64,
    /// Nanoseconds from boot time to the epoch.
    epoch_offset_ns: i64,
    /// Pid 1, for hosts that hide it from the task iterator.
    init: Arc<Image>,
    is_runtime: Option<IsRuntime>,
}

/// Tells a protected container runtime.
pub struct IsRuntime(
    /// Whether the process is one.
    pub Box<dyn Fn(&Process) -> bool + Send>,
);

impl std::fmt::Debug for IsRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IsRuntime")
    }
}

impl Assembler {
    /// `run` names this sensor run in event uids; `epoch_offset_ns` is what must
    /// be added to boot time to get time since the epoch.
    pub fn new(
        limits: Limits,
        enrichment: Enrichment,
        host: Arc<Host>,
        run: u64,
        epoch_offset_ns: i64,
    ) -> Assembler {
        Assembler {
            table: ProcessTable::new(limits),
            enrichment,
            host,
            run,
            number: 0,
            epoch_offset_ns,
            init: Arc::new(Image::default()),
            is_runtime: None,
        }
    }

    /// The process table.
    pub fn table(&self) -> &ProcessTable {
        &self.table
    }

    /// Tells the arguments of pid 1. Some hosts hide it from the task iterator,
    /// and a chain that ended in an unknown process would leave every rule on
    /// ancestors undecided.
    pub fn set_init(&mut self, args: &[String]) {
        let Some(path) = args.first() else { return };
        self.init = Arc::new(Image {
            name: Datum::Known(base_name(path)),
            path: Datum::Known(path.as_str().into()),
            cmd_line: Datum::Known(args.join(" ").into()),
            args: Datum::Known(args.iter().map(|arg| arg.as_str().into()).collect()),
            ..Image::default()
        });
    }

    /// How to tell a container runtime, whose images are marked as put in place by
    /// one.
    pub fn set_is_runtime(&mut self, is_runtime: IsRuntime) {
        self.is_runtime = Some(is_runtime);
    }

    fn is_runtime(&self, process: &Process) -> bool {
        self.is_runtime
            .as_ref()
            .is_some_and(|is_runtime| (is_runtime.0)(process))
    }

    /// Takes in users' names that were given anew.
    pub fn refresh_users(&mut self) {
        self.enrichment.users.refresh();
    }

    /// Follows a step of the wall clock.
    pub fn set_epoch_offset(&mut self, nanoseconds: i64) {
        self.epoch_offset_ns = nanoseconds;
    }

    /// Takes one record in.
    pub fn take(&mut self, record: Record) -> Assembled {
        let Record {
            boot_ns,
            task,
            body,
            ..
        } = record;
        match body {
            Body::Fork { child } => {
                let creator = self.acting(&task);
                self.table.fork(child, &creator);
                Assembled::Internal
            }
            Body::Running(exec) => {
                self.running(&task, *exec, boot_ns);
                Assembled::Internal
            }
            Body::Exit { .. } => {
                self.table.exit(task.key, boot_ns);
                Assembled::Exit(task.key)
            }
            Body::DnsAnswer { name, addresses } => {
                self.enrichment.names.learn(&name, &addresses);
                Assembled::Internal
            }
            Body::ConnectOutcome { cookie, errno } => {
                Assembled::Outcome(OutcomeKey(cookie), Status(errno))
            }
            Body::Exec(exec) => self.exec(&task, *exec, boot_ns),
            Body::Connect(connect) => self.connect(&task, &connect, boot_ns),
            Body::Listen { protocol, local } => {
                let mut src = endpoint(local);
                if local.port() == 0 {
                    // listen(2) without bind(2): the kernel enters LISTEN before
                    // it chooses the port (inet_csk_listen_start).
                    src.port = Datum::Unknown;
                }
                let network = Network {
                    protocol: Datum::Known(protocol),
                    src,
                    dst: Endpoint::default(),
                    status: Datum::Known(Status(0)),
                };
                self.event(
                    &task,
                    boot_ns,
                    EventClass::NetworkListen,
                    Detail::Network(network),
                )
            }
            Body::DnsQuery {
                protocol,
                resolver,
                name,
                qtype,
            } => {
                let dns = Dns {
                    hostname: name,
                    query_type: qtype.map(dns::type_name),
                    resolver: endpoint(resolver),
                    protocol: Datum::Known(protocol),
                };
                self.event(&task, boot_ns, EventClass::DnsQuery, Detail::Dns(dns))
            }
            Body::File(file) => self.file(&task, *file, boot_ns),
        }
    }

    fn exec(&mut self, task: &Task, exec: record::Exec, boot_ns: u64) -> Assembled {
        let before = self.acting(task);
        let container = self
            .enrichment
            .containers
            .of(exec.cgroup.value().map(|path| &**path), task);
        let refused = exec.refused;
        let mut image = self.image(task, exec, boot_ns);
        image.by_runtime = self.is_runtime(&before.process);
        let image = Arc::new(image);
        let parent = before.process.parent.clone();
        let process = if refused {
            Arc::new(Process::new(task.key, image, parent))
        } else {
            self.table.exec(task.key, image, container.clone(), parent)
        };
        let parent_process = match (&process.parent, task.parent) {
            (_, ProcessKey { pid: 0, .. }) => Datum::Absent,
            (Parent::Known(parent), key) if parent.key == key => {
                // Its image now, which need not be the one it forked with.
                Datum::Known(
                    self.table
                        .find(key)
                        .map_or(parent, |entry| &entry.process)
                        .clone(),
                )
            }
            (_, key) => match self.table.find(key) {
                Some(entry) => Datum::Known(entry.process.clone()),
                None => Datum::Unknown,
            },
        };
        let actor = self.actor(task, before.process);
        let event = Event {
            uid: self.uid(),
            time_ns: self.time(boot_ns),
            class: EventClass::ProcessExec,
            host: self.host.clone(),
            actor,
            container,
            detail: Detail::Exec(Exec {
                process,
                parent_process,
            }),
        };
        Assembled::Event {
            event,
            outcome: None,
        }
    }

    fn connect(&mut self, task: &Task, connect: &record::Connect, boot_ns: u64) -> Assembled {
        let mut dst = endpoint(connect.remote);
        dst.hostname = self.enrichment.names.name(connect.remote.ip()).into();
        let network = Network {
            protocol: Datum::Known(connect.protocol),
            src: connect.local.map(endpoint).unwrap_or_default(),
            dst,
            status: connect.errno.map(Status),
        };
        let pending = matches!(network.status, Datum::Unknown);
        let assembled = self.event(
            task,
            boot_ns,
            EventClass::NetworkConnect,
            Detail::Network(network),
        );
        match assembled {
            Assembled::Event { event, .. } if pending => Assembled::Event {
                event,
                outcome: Some(OutcomeKey(connect.cookie)),
            },
            other => other,
        }
    }

    fn file(&mut self, task: &Task, file: record::File, boot_ns: u64) -> Assembled {
        let mut detail = File {
            path: file.path,
            status: file.errno.map(Status),
            ..File::default()
        };
        let class = match file.operation {
            FileOperation::Open(flags) => {
                detail.open = Datum::Known(flags);
                EventClass::FileOpen
            }
            FileOperation::Create(flags) => {
                detail.open = flags;
                EventClass::FileCreate
            }
            FileOperation::Rename { from } => {
                detail.rename_from = from;
                EventClass::FileRename
            }
            FileOperation::Delete => EventClass::FileDelete,
            FileOperation::Chmod { mode } => {
                detail.mode = Datum::Known(mode);
                EventClass::FileChmod
            }
        };
        self.event(task, boot_ns, class, Detail::File(detail))
    }

    fn event(&mut self, task: &Task, boot_ns: u64, class: EventClass, detail: Detail) -> Assembled {
        let entry = self.acting(task);
        let event = Event {
            uid: self.uid(),
            time_ns: self.time(boot_ns),
            class,
            host: self.host.clone(),
            actor: self.actor(task, entry.process),
            container: entry.container,
            detail,
        };
        Assembled::Event {
            event,
            outcome: None,
        }
    }

    /// A process that ran before the sensor did; parents come before children.
    fn running(&mut self, task: &Task, mut exec: record::Exec, boot_ns: u64) {
        let parent = match self.table.find(task.key) {
            // Its fork or exec was seen, which says more.
            Some(entry) if is_file_of(&entry.process.image, &exec) => return,
            // Its exec was lost, or everything but that it acted.
            Some(entry) => entry.process.parent.clone(),
            None => self.parent(task.parent),
        };
        if let Some(interpreter) = interpreter_of_running(&exec) {
            exec.interpreter = interpreter;
        }
        let container = self
            .enrichment
            .containers
            .of(exec.cgroup.value().map(|path| &**path), task);
        let mut image = self.image(task, exec, boot_ns);
        image.since_ns = self.time(task.key.start_ns);
        // Who executed it is not known any more; who forked it is the best guess.
        image.by_runtime = matches!(&parent, Parent::Known(parent) if self.is_runtime(parent));
        self.table
            .exec(task.key, Arc::new(image), container, parent);
    }

    /// The process of that key as somebody's parent.
    fn parent(&mut self, key: ProcessKey) -> Parent {
        match (self.table.find(key), key.pid) {
            (Some(entry), _) => Parent::Known(entry.process.clone()),
            (None, 0) => Parent::None,
            (None, 1) => {
                let init = self.init.clone();
                Parent::Known(self.table.exec(key, init, None, Parent::None))
            }
            (None, _) => Parent::Unknown,
        }
    }

    /// The acting process as the table knows it, or what its task says.
    fn acting(&mut self, task: &Task) -> Entry {
        if let Some(entry) = self.table.find(task.key) {
            return entry.clone();
        }
        // Its own records were lost. Its parent may still be known.
        let stub = Entry::stub(task.key, &task.comm);
        let parent = self.parent(task.parent);
        self.table
            .exec(task.key, stub.process.image.clone(), None, parent);
        self.table.find(task.key).cloned().unwrap_or(stub)
    }

    fn actor(&mut self, task: &Task, process: Arc<Process>) -> Actor {
        Actor {
            process: Datum::Known(process),
            user_name: self.enrichment.users.name(task.uid),
            uid: Datum::Known(task.uid),
            auid: task.auid.into(),
        }
    }

    fn image(&mut self, task: &Task, exec: record::Exec, boot_ns: u64) -> Image {
        let name = match (&exec.filename, &exec.path) {
            (Datum::Known(name), Datum::Known(path)) if is_stand_in(name) => {
                Datum::Known(base_name(path))
            }
            (Datum::Known(name), _) => Datum::Known(base_name(name)),
            (_, Datum::Known(path)) => Datum::Known(base_name(path)),
            _ if task.comm.is_empty() => Datum::Unknown,
            _ => Datum::Known(task.comm.clone()),
        };
        let script = match &exec.interpreter {
            Datum::Absent => Datum::Absent,
            _ => absolute(&exec.filename, &exec.working_directory),
        };
        let cmd_line = exec
            .args
            .as_ref()
            .map(|args| args.join(" ").into_boxed_str());
        Image {
            name,
            path: exec.path,
            cmd_line,
            args: exec.args,
            working_directory: exec.working_directory,
            tty: exec.tty,
            interpreter: exec.interpreter,
            script,
            memfd: Datum::Known(exec.memfd),
            deleted: Datum::Known(exec.deleted),
            upper_layer: Datum::Known(exec.upper_layer),
            sha256: Datum::Unknown,
            file: Datum::Known(exec.file),
            by_runtime: false,
            uid: Datum::Known(task.uid),
            gid: Datum::Known(task.gid),
            euid: Datum::Known(task.euid),
            capabilities: Datum::Known(exec.capabilities),
            pid_namespace: Datum::Known(task.pid_namespace),
            mount_namespace: Datum::Known(task.mount_namespace),
            since_ns: self.time(boot_ns),
        }
    }

    fn uid(&mut self) -> EventUid {
        self.number += 1;
        EventUid::Sequence {
            run: self.run,
            number: self.number,
        }
    }

    fn time(&self, boot_ns: u64) -> i64 {
        i64::try_from(boot_ns)
            .unwrap_or(i64::MAX)
            .saturating_add(self.epoch_offset_ns)
    }
}

/// Whether that is the file which the image was made of.
fn is_file_of(image: &Image, exec: &record::Exec) -> bool {
    let known = image.file.value();
    known.is_some_and(|file| (file.device, file.inode) == (exec.file.device, exec.file.inode))
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        ip: Datum::Known(address.ip().to_canonical()),
        port: Datum::Known(address.port()),
        hostname: Datum::Absent,
    }
}

fn base_name(path: &str) -> Box<str> {
    // A memfd's name may hold slashes (runc's is a path): it is one name.
    if path.starts_with("memfd:") {
        return path.into();
    }
    path.rsplit('/').next().unwrap_or(path).into()
}

/// Whether a process that already ran is a script's, and whose: the kernel has
/// forgotten the interpreter, but puts it and the script's name in front of the
/// arguments (fs/binfmt_script.c), while a binary's own name is not repeated.
fn interpreter_of_running(exec: &record::Exec) -> Option<Datum<Box<str>>> {
    let args = exec.args.value()?;
    let filename = exec.filename.known()?;
    // `#!interpreter one-argument` puts one argument between.
    let is_script = args.iter().skip(1).take(2).any(|arg| arg == filename);
    Some(if is_script {
        Datum::Known(args.first()?.clone())
    } else {
        Datum::Absent
    })
}

/// A file name that says nothing of the file: the kernel invents `/dev/fd/N` for
/// execveat(2), and busybox runs its applets as `/proc/self/exe`.
fn is_stand_in(name: &str) -> bool {
    name.starts_with("/dev/fd/") || (name.starts_with("/proc/") && name.ends_with("/exe"))
}

/// The path a relative file name stands for, its `.` and `..` left as given.
fn absolute(name: &Datum<Box<str>>, folder: &Datum<Box<str>>) -> Datum<Box<str>> {
    match (name, folder) {
        (Datum::Known(name), _) if name.starts_with('/') => Datum::Known(name.clone()),
        (Datum::Known(name), Datum::Known(folder)) => {
            let name = name.strip_prefix("./").unwrap_or(name);
            Datum::Known(format!("{}/{name}", folder.trim_end_matches('/')).into())
        }
        _ => Datum::Unknown,
    }
}
