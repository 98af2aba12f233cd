//! Events: what rules are evaluated on, and how a field is looked up in one.

use crate::class::EventClass;
use crate::datum::Datum;
use crate::field::{EventAttr, Field, ProcessAttr, ProcessList, Subject};
use crate::process::{Ancestors, Parent, Process};
use crate::record::{OpenFlags, Protocol};
use std::net::IpAddr;
use std::sync::Arc;

/// One thing that happened on a host, with its actor.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique on this host: OCSF `metadata.uid`.
    pub uid: EventUid,
    /// When, nanoseconds since the epoch.
    pub time_ns: i64,
    /// What.
    pub class: EventClass,
    /// Where.
    pub host: Arc<Host>,
    /// Who.
    pub actor: Actor,
    /// In which container, if any.
    pub container: Option<Arc<Container>>,
    /// What is particular to the class.
    pub detail: Detail,
}

/// An event's identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventUid {
    /// As it came from outside.
    Text(Box<str>),
    /// Made by this sensor: its run's random id and a running number. Printed
    /// only when needed, so that an event that matches nothing costs no text.
    Sequence {
        /// The sensor run.
        run: u64,
        /// Counts from 1.
        number: u64,
    },
}

impl std::fmt::Display for EventUid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EventUid::Text(text) => f.write_str(text),
            EventUid::Sequence { run, number } => write!(f, "{run:016x}-{number}"),
        }
    }
}

/// The host an event happened on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Host {
    /// Its name.
    pub hostname: Datum<Box<str>>,
    /// The sensor's labels, `key=value`.
    pub labels: Datum<Box<[Box<str>]>>,
}

/// Who initiated an event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Actor {
    /// The acting process; for `process.exec`, with the image that called execve.
    pub process: Datum<Arc<Process>>,
    /// The acting user's name.
    pub user_name: Datum<Arc<str>>,
    /// The acting user's real uid.
    pub uid: Datum<u32>,
    /// Login uid.
    pub auid: Datum<u32>,
}

/// The container a process runs in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Container {
    /// Container id.
    pub uid: Datum<Box<str>>,
    /// Image name.
    pub image_name: Datum<Box<str>>,
    /// It runs privileged.
    pub privileged: Datum<bool>,
    /// Kubernetes namespace.
    pub k8s_namespace: Datum<Box<str>>,
    /// Kubernetes pod.
    pub k8s_pod: Datum<Box<str>>,
}

/// What is particular to an event's class.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// `process.exec`.
    Exec(Exec),
    /// `network.connect` and `network.listen`.
    Network(Network),
    /// `dns.query`.
    Dns(Dns),
    /// The file classes.
    File(File),
}

/// A new image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exec {
    /// The process with its new image; its ancestors are `process.ancestors`.
    pub process: Arc<Process>,
    /// The kernel's parent (ppid) at that moment.
    pub parent_process: Datum<Arc<Process>>,
}

/// A connection or a listening socket.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    /// Transport.
    pub protocol: Datum<Protocol>,
    /// Own side.
    pub src: Endpoint,
    /// Other side.
    pub dst: Endpoint,
    /// Outcome.
    pub status: Datum<Status>,
}

/// One side of a connection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Endpoint {
    /// Address; never an IPv4-mapped IPv6 one.
    pub ip: Datum<IpAddr>,
    /// Port.
    pub port: Datum<u16>,
    /// Name this host's processes received that address for.
    pub hostname: Datum<Arc<str>>,
}

/// A DNS question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dns {
    /// The name asked for, without the final dot.
    pub hostname: Datum<Box<str>>,
    /// Record type, as in [`crate::dns::type_name`].
    pub query_type: Datum<Box<str>>,
    /// The resolver.
    pub resolver: Endpoint,
    /// Transport.
    pub protocol: Datum<Protocol>,
}

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    /// Its path; after a rename, the new one.
    pub path: Datum<Box<str>>,
    /// How it was opened.
    pub open: Datum<OpenFlags>,
    /// Its path before a rename.
    pub rename_from: Datum<Box<str>>,
    /// Its new permission bits.
    pub mode: Datum<u32>,
    /// Outcome.
    pub status: Datum<Status>,
}

/// The outcome of an operation: 0, or a positive errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

impl Status {
    /// `ok`, or the errno's name; errnos without a name here print as `E<number>`
    /// through [`Status::text`].
    pub fn name(self) -> Option<&'static str> {
        crate::errno::name(self.0)
    }

    /// The name, or `E<number>` for an errno without one.
    pub fn text(self) -> std::borrow::Cow<'static, str> {
        match self.name() {
            Some(name) => name.into(),
            None => format!("E{}", self.0).into(),
        }
    }
}

/// A field's value, borrowed from an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'e> {
    /// Text of any kind.
    Str(&'e str),
    /// Several texts.
    List(TextList<'e>),
    /// Integers and ports.
    Int(i64),
    /// A Boolean.
    Bool(bool),
    /// An address.
    Ip(IpAddr),
}

/// The texts of a list field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TextList<'e> {
    /// As stored.
    Texts(&'e [Box<str>]),
    /// A bit per capability of capability.h.
    Capabilities(u64),
}

impl<'e> TextList<'e> {
    /// Each text in order.
    pub fn iter(self) -> impl Iterator<Item = &'e str> + use<'e> {
        let (texts, bits) = match self {
            TextList::Texts(texts) => (texts, 0),
            TextList::Capabilities(bits) => (&[][..], bits),
        };
        texts
            .iter()
            .map(|text| &**text)
            .chain(crate::capability::names(bits).map(|name| -> &'e str { name }))
    }
}

impl Event {
    /// The value of a field that stands outside `any LIST ( … )`.
    ///
    /// A [`Subject::Element`] field is absent here: look it up with
    /// [`process_value`] on the element.
    pub fn value(&self, field: Field) -> Datum<Value<'_>> {
        match field {
            Field::Process(subject, attr) => match self.subject(subject) {
                Datum::Known(process) | Datum::Truncated(process) => process_value(process, attr),
                Datum::Unknown => Datum::Unknown,
                Datum::Absent => Datum::Absent,
            },
            Field::Event(attr) => self.attribute(attr),
        }
    }

    /// The process a subject stands for.
    pub fn subject(&self, subject: Subject) -> Datum<&Process> {
        match subject {
            Subject::Process => match &self.detail {
                Detail::Exec(exec) => Datum::Known(&*exec.process),
                _ => Datum::Absent,
            },
            Subject::Parent => match &self.detail {
                Detail::Exec(exec) => exec.parent_process.as_ref().map(|process| &**process),
                _ => Datum::Absent,
            },
            Subject::Actor => self.actor.process.as_ref().map(|process| &**process),
            Subject::Element => Datum::Absent,
        }
    }

    /// The process the event is about, which an action would be aimed at: the
    /// new image of a `process.exec`, the actor of everything else.
    pub fn own_process(&self) -> Option<&Process> {
        match &self.detail {
            Detail::Exec(exec) => Some(&exec.process),
            _ => self.actor.process.value().map(|process| &**process),
        }
    }

    /// The processes of a list, nearest first.
    pub fn processes(&self, list: ProcessList) -> Ancestors<'_> {
        let process = match (list, &self.detail) {
            (ProcessList::ProcessAncestors, Detail::Exec(exec)) => Some(&*exec.process),
            _ => self.actor.process.value().map(|process| &**process),
        };
        match process {
            Some(process) => process.ancestors(),
            None if matches!(self.actor.process, Datum::Unknown) => Ancestors::unknown(),
            None => Ancestors::none(),
        }
    }

    /// The status field, where the class has one.
    pub fn status(&self) -> Datum<Status> {
        match &self.detail {
            Detail::Network(network) => network.status,
            Detail::File(file) => file.status,
            Detail::Exec(_) | Detail::Dns(_) => Datum::Absent,
        }
    }

    fn attribute(&self, attr: EventAttr) -> Datum<Value<'_>> {
        use EventAttr as A;
        match attr {
            A::UserName => self.actor.user_name.as_ref().map(|name| Value::Str(name)),
            A::UserUid => self.actor.uid.map(|uid| Value::Int(uid.into())),
            A::SessionAuid => self.actor.auid.map(|auid| Value::Int(auid.into())),
            A::ContainerUid => self.container(|c| text(&c.uid)),
            A::ContainerImageName => self.container(|c| text(&c.image_name)),
            A::ContainerPrivileged => self.container(|c| c.privileged.map(Value::Bool)),
            A::K8sNamespace => self.container(|c| text(&c.k8s_namespace)),
            A::K8sPod => self.container(|c| text(&c.k8s_pod)),
            A::DeviceHostname => text(&self.host.hostname),
            A::DeviceLabels => texts(&self.host.labels),
            A::DstIp => self.dst(|end| end.ip.map(Value::Ip)),
            A::DstPort => self.dst(|end| end.port.map(|port| Value::Int(port.into()))),
            A::DstHostname => self.dst(|end| end.hostname.as_ref().map(|name| Value::Str(name))),
            A::SrcIp => self.src(|end| end.ip.map(Value::Ip)),
            A::SrcPort => self.src(|end| end.port.map(|port| Value::Int(port.into()))),
            A::Protocol => {
                let protocol = match &self.detail {
                    Detail::Network(network) => network.protocol,
                    Detail::Dns(dns) => dns.protocol,
                    _ => Datum::Absent,
                };
                protocol.map(|protocol| Value::Str(protocol.name()))
            }
            A::QueryHostname => self.dns(|dns| text(&dns.hostname)),
            A::QueryType => self.dns(|dns| text(&dns.query_type)),
            A::FilePath => self.file(|file| text(&file.path)),
            A::FileName => self.file(|file| path_part(&file.path, |_, name| name)),
            A::FileParentFolder => self.file(|file| path_part(&file.path, |folder, _| folder)),
            A::FileOpenRead => self.file(|file| file.open.map(|open| Value::Bool(open.read))),
            A::FileOpenWrite => self.file(|file| file.open.map(|open| Value::Bool(open.write))),
            A::FileOpenCreate => self.file(|file| file.open.map(|open| Value::Bool(open.create))),
            A::FileRenameFrom => self.file(|file| text(&file.rename_from)),
            A::FileMode => self.file(|file| file.mode.map(|mode| Value::Int(mode.into()))),
            A::Status => self
                .status()
                .map(|status| Value::Str(status.name().unwrap_or("EUNKNOWN"))),
        }
    }

    fn container<'e>(
        &'e self,
        get: impl Fn(&'e Container) -> Datum<Value<'e>>,
    ) -> Datum<Value<'e>> {
        self.container.as_deref().map_or(Datum::Absent, get)
    }

    fn dst<'e>(&'e self, get: impl Fn(&'e Endpoint) -> Datum<Value<'e>>) -> Datum<Value<'e>> {
        match &self.detail {
            Detail::Network(network) => get(&network.dst),
            Detail::Dns(dns) => get(&dns.resolver),
            _ => Datum::Absent,
        }
    }

    fn src<'e>(&'e self, get: impl Fn(&'e Endpoint) -> Datum<Value<'e>>) -> Datum<Value<'e>> {
        match &self.detail {
            Detail::Network(network) => get(&network.src),
            _ => Datum::Absent,
        }
    }

    fn dns<'e>(&'e self, get: impl Fn(&'e Dns) -> Datum<Value<'e>>) -> Datum<Value<'e>> {
        match &self.detail {
            Detail::Dns(dns) => get(dns),
            _ => Datum::Absent,
        }
    }

    fn file<'e>(&'e self, get: impl Fn(&'e File) -> Datum<Value<'e>>) -> Datum<Value<'e>> {
        match &self.detail {
            Detail::File(file) => get(file),
            _ => Datum::Absent,
        }
    }
}

/// The value of one attribute of a process.
pub fn process_value(process: &Process, attr: ProcessAttr) -> Datum<Value<'_>> {
    use ProcessAttr as A;
    let image = &*process.image;
    match attr {
        A::Name => text(&image.name),
        A::ExePath => text(&image.path),
        A::CmdLine => text(&image.cmd_line),
        A::Args => texts(&image.args),
        A::WorkingDirectory => text(&image.working_directory),
        // Events from outside may name no pid; the kernel's idle task is never an actor.
        A::Pid if process.key.pid == 0 => Datum::Absent,
        A::Pid => Datum::Known(Value::Int(process.key.pid.into())),
        A::Uid => number(image.uid),
        A::Gid => number(image.gid),
        A::Euid => number(image.euid),
        A::Tty => text(&image.tty),
        A::Memfd => image.memfd.map(Value::Bool),
        A::Deleted => image.deleted.map(Value::Bool),
        A::UpperLayer => image.upper_layer.map(Value::Bool),
        A::Interpreter => text(&image.interpreter),
        A::Script => text(&image.script),
        A::Sha256 => text(&image.sha256),
        A::Capabilities => image
            .capabilities
            .map(|bits| Value::List(TextList::Capabilities(bits))),
        A::PidNamespace => number(image.pid_namespace),
        A::MountNamespace => number(image.mount_namespace),
        // Inode numbers past i64 do not occur: file systems use 63 bits at most.
        A::Inode => image.file.map(|file| Value::Int(file.inode as i64)),
    }
}

fn text(datum: &Datum<Box<str>>) -> Datum<Value<'_>> {
    datum.as_ref().map(|text| Value::Str(text))
}

fn texts(datum: &Datum<Box<[Box<str>]>>) -> Datum<Value<'_>> {
    datum
        .as_ref()
        .map(|texts| Value::List(TextList::Texts(texts)))
}

fn number(datum: Datum<u32>) -> Datum<Value<'static>> {
    datum.map(|number| Value::Int(number.into()))
}

/// Folder and name of a path. The parts of a cut path are unknown: its last
/// slash need not be the whole path's.
fn path_part<'e>(
    path: &'e Datum<Box<str>>,
    part: impl Fn(&'e str, &'e str) -> &'e str,
) -> Datum<Value<'e>> {
    match path {
        Datum::Known(path) => Datum::Known(Value::Str(match path.rsplit_once('/') {
            Some(("", name)) => part("/", name),
            Some((folder, name)) => part(folder, name),
            None => part("", path),
        })),
        Datum::Truncated(_) | Datum::Unknown => Datum::Unknown,
        Datum::Absent => Datum::Absent,
    }
}

impl Ancestors<'static> {
    /// No ancestors.
    pub fn none() -> Self {
        Ancestors::from_parent(&Parent::None)
    }

    /// Ancestors of which nothing is known.
    pub fn unknown() -> Self {
        Ancestors::from_parent(&Parent::Unknown)
    }
}
