//! An event under construction: fields in any order, then the whole.

use crate::diagnostics::{Diagnostic, Problem};
use crate::suite::given::{Given, Reader};
use crate::suite::process::{Draft, chain};
use picket_model::event::{
    Actor, Container, Detail, Dns, Endpoint, EventUid, Exec, File, Host, Network, Status,
};
use picket_model::field::{EventAttr, Field, ProcessList, Subject};
use picket_model::process::Parent;
use picket_model::record::{OpenFlags, Protocol};
use picket_model::{Datum, Event, EventClass, errno};
use std::sync::Arc;

/// What a test has said of its event.
#[derive(Default)]
pub(super) struct EventDraft {
    pub(super) time_ns: i64,
    process: Draft,
    parent: Draft,
    actor: Draft,
    process_ancestors: Ancestors,
    actor_ancestors: Ancestors,
    unknown_parent: bool,
    unknown_actor: bool,
    user_name: Datum<Box<str>>,
    uid: Datum<u32>,
    auid: Datum<u32>,
    host: Host,
    container: Option<Container>,
    src: Endpoint,
    dst: Endpoint,
    protocol: Datum<Protocol>,
    status: Datum<Status>,
    query_hostname: Datum<Box<str>>,
    query_type: Datum<Box<str>>,
    file: File,
    open: [Datum<bool>; 3],
}

#[derive(Default)]
struct Ancestors {
    processes: Vec<Draft>,
    given: bool,
    cut: bool,
}

impl Ancestors {
    fn into_parent(self) -> Parent {
        let end = if self.cut {
            Parent::Unknown
        } else {
            Parent::None
        };
        chain(self.processes, end)
    }
}

const NUMBER: &str = "a whole number from 0 to 4294967295";
const PORT: &str = "a whole number from 0 to 65535";

impl EventDraft {
    pub(super) fn set_ancestors(&mut self, list: ProcessList, processes: Vec<Draft>) {
        let ancestors = self.ancestors(list);
        ancestors.processes = processes;
        ancestors.given = true;
    }

    /// There were more ancestors than are given.
    pub(super) fn cut_ancestors(&mut self, list: ProcessList) {
        let ancestors = self.ancestors(list);
        ancestors.cut = true;
        ancestors.given = true;
    }

    fn ancestors(&mut self, list: ProcessList) -> &mut Ancestors {
        match list {
            ProcessList::ProcessAncestors => &mut self.process_ancestors,
            ProcessList::ActorAncestors => &mut self.actor_ancestors,
        }
    }

    /// Nothing is known of a whole process.
    pub(super) fn set_unknown(&mut self, subject: Subject) {
        match subject {
            Subject::Parent => self.unknown_parent = true,
            _ => self.unknown_actor = true,
        }
    }

    /// Takes one field.
    pub(super) fn set(&mut self, field: Field, value: Reader<'_>) {
        use EventAttr as A;
        let attr = match field {
            Field::Process(subject, attr) => {
                let draft = match subject {
                    Subject::Process | Subject::Element => &mut self.process,
                    Subject::Parent => &mut self.parent,
                    Subject::Actor => &mut self.actor,
                };
                return draft.set(attr, value);
            }
            Field::Event(attr) => attr,
        };
        match attr {
            A::UserName => self.user_name = value.text(),
            A::UserUid => self.uid = value.number(NUMBER),
            A::SessionAuid => self.auid = value.number(NUMBER),
            A::ContainerUid => self.container().uid = value.text(),
            A::ContainerImageName => self.container().image_name = value.text(),
            A::ContainerPrivileged => self.container().privileged = value.truth(),
            A::K8sNamespace => self.container().k8s_namespace = value.text(),
            A::K8sPod => self.container().k8s_pod = value.text(),
            A::DeviceHostname => self.host.hostname = value.text(),
            A::DeviceLabels => self.host.labels = value.texts(),
            A::DstIp => self.dst.ip = value.address(),
            A::DstPort => self.dst.port = value.number(PORT),
            A::DstHostname => self.dst.hostname = value.text().map(Arc::from),
            A::SrcIp => self.src.ip = value.address(),
            A::SrcPort => self.src.port = value.number(PORT),
            A::Protocol => self.protocol = value.text().map(|name| protocol(&name)),
            A::QueryHostname => self.query_hostname = value.text(),
            A::QueryType => self.query_type = value.text(),
            A::FilePath => self.file.path = value.text(),
            A::FileName | A::FileParentFolder => follows_from_path(value),
            A::FileOpenRead => self.open[0] = value.truth(),
            A::FileOpenWrite => self.open[1] = value.truth(),
            A::FileOpenCreate => self.open[2] = value.truth(),
            A::FileRenameFrom => self.file.rename_from = value.text(),
            A::FileMode => self.file.mode = value.number(NUMBER),
            // Only names that have a number are admitted.
            A::Status => {
                self.status = value
                    .text()
                    .map(|name| Status(errno::number(&name).unwrap_or(0)))
            }
        }
    }

    fn container(&mut self) -> &mut Container {
        self.container.get_or_insert_default()
    }

    /// The event.
    pub(super) fn finish(self, class: EventClass) -> Event {
        let exec = class == EventClass::ProcessExec;
        let process_parent = self.process_ancestors.into_parent();
        // The acting process of an exec is the same process with its image of
        // before: unless the test says otherwise, it has the same ancestors.
        let actor_parent = match &self.actor_ancestors {
            Ancestors { given: false, .. } if exec => process_parent.clone(),
            _ => self.actor_ancestors.into_parent(),
        };
        let actor = if self.unknown_actor {
            Datum::Unknown
        } else if self.actor.given || !matches!(actor_parent, Parent::None) {
            Datum::Known(Arc::new(self.actor.finish(actor_parent)))
        } else {
            Datum::Absent
        };
        let detail = match class {
            EventClass::ProcessExec => {
                let process = self.process.finish(process_parent);
                let parent_process = match &process.parent {
                    _ if self.unknown_parent => Datum::Unknown,
                    parent if self.parent.given => {
                        Datum::Known(Arc::new(self.parent.finish(above(parent))))
                    }
                    Parent::Known(parent) => Datum::Known(Arc::clone(parent)),
                    Parent::Unknown => Datum::Unknown,
                    Parent::None => Datum::Absent,
                };
                Detail::Exec(Exec {
                    process: Arc::new(process),
                    parent_process,
                })
            }
            EventClass::NetworkConnect | EventClass::NetworkListen => Detail::Network(Network {
                protocol: self.protocol,
                src: self.src,
                dst: self.dst,
                status: self.status,
            }),
            EventClass::DnsQuery => Detail::Dns(Dns {
                hostname: self.query_hostname,
                query_type: self.query_type,
                resolver: self.dst,
                protocol: self.protocol,
            }),
            _ => Detail::File(File {
                open: open_flags(self.open),
                status: self.status,
                ..self.file
            }),
        };
        Event {
            uid: EventUid::Text("test".into()),
            time_ns: self.time_ns,
            class,
            host: Arc::new(self.host),
            actor: Actor {
                process: actor,
                user_name: self.user_name.map(Arc::from),
                uid: self.uid,
                auid: self.auid,
            },
            container: self.container.map(Arc::new),
            detail,
        }
    }
}

/// Name and folder follow from the path, which alone an event holds.
fn follows_from_path(value: Reader<'_>) {
    let (Given::Value(node) | Given::Unknown(node)) = value.given;
    let problem = Problem::EventValue {
        field: value.field.to_string(),
        wanted: "left out: it follows from `file.path`",
    };
    value
        .sink
        .push(Diagnostic::new(&problem, node.span.clone()).help("write `file.path` instead"));
}

/// Read, write, create: an event knows all of them or none.
fn open_flags(flags: [Datum<bool>; 3]) -> Datum<OpenFlags> {
    if flags.contains(&Datum::Unknown) {
        return Datum::Unknown;
    }
    if flags.iter().all(|flag| *flag == Datum::Absent) {
        return Datum::Absent;
    }
    let [read, write, create] = flags.map(|flag| flag == Datum::Known(true));
    Datum::Known(OpenFlags {
        read,
        write,
        create,
    })
}

/// The parent of a process's parent.
fn above(parent: &Parent) -> Parent {
    match parent {
        Parent::Known(parent) => parent.parent.clone(),
        other => other.clone(),
    }
}

/// Only the two names are admitted.
fn protocol(name: &str) -> Protocol {
    if name == Protocol::Udp.name() {
        Protocol::Udp
    } else {
        Protocol::Tcp
    }
}
