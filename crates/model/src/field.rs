//! The field schema: every name a rule may use, its type, the event classes
//! that have it, its place in OCSF and what it means. Stands once, here.

use crate::class::EventClass::{
    self, DnsQuery, FileChmod, FileCreate, FileDelete, FileOpen, FileRename, NetworkConnect,
    NetworkListen, ProcessExec,
};
use std::fmt;

/// The type of a field's values, which decides the operators it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text.
    Str,
    /// An absolute path: text.
    Path,
    /// Lower-case hex digest: text.
    Digest,
    /// One of a closed set of words: text, checked against the set.
    Enum(&'static [&'static str]),
    /// Several texts; a predicate holds if it holds for any of them.
    StrList,
    /// A whole number.
    Int,
    /// A whole number from 0 to 65535.
    Port,
    /// True or false.
    Bool,
    /// An IPv4 or IPv6 address.
    Ip,
}

impl FieldType {
    /// True for everything the string operators work on.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            FieldType::Str
                | FieldType::Path
                | FieldType::Digest
                | FieldType::Enum(_)
                | FieldType::StrList
        )
    }

    /// True for numbers.
    pub fn is_number(self) -> bool {
        matches!(self, FieldType::Int | FieldType::Port)
    }

    /// The type's name for messages.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Str => "string",
            FieldType::Path => "path",
            FieldType::Digest => "hash",
            FieldType::Enum(_) => "enum",
            FieldType::StrList => "list of strings",
            FieldType::Int => "integer",
            FieldType::Port => "port",
            FieldType::Bool => "boolean",
            FieldType::Ip => "IP address",
        }
    }
}

/// Whose process attribute a field speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// `process`: the new image of `process.exec`.
    Process,
    /// `process.parent_process`: the kernel's parent (ppid) at that moment.
    Parent,
    /// `actor.process`: who acted; in `process.exec`, the image that called execve.
    Actor,
    /// An element inside `any LIST ( … )`.
    Element,
}

impl Subject {
    /// The prefix in field names; empty for list elements.
    pub const fn prefix(self) -> &'static str {
        match self {
            Subject::Process => "process.",
            Subject::Parent => "process.parent_process.",
            Subject::Actor => "actor.process.",
            Subject::Element => "",
        }
    }

    /// The classes whose events have this subject.
    pub const fn classes(self) -> &'static [EventClass] {
        match self {
            Subject::Process | Subject::Parent => &[ProcessExec],
            Subject::Actor | Subject::Element => &EventClass::ALL,
        }
    }
}

/// A list of processes, for `any LIST ( … )`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProcessList {
    /// `process.ancestors`: of the new image; outside `process.exec`, of the actor.
    ProcessAncestors,
    /// `actor.process.ancestors`.
    ActorAncestors,
}

impl ProcessList {
    /// Both lists.
    pub const ALL: [ProcessList; 2] = [ProcessList::ProcessAncestors, ProcessList::ActorAncestors];

    /// The name in the rule language.
    pub const fn name(self) -> &'static str {
        match self {
            ProcessList::ProcessAncestors => "process.ancestors",
            ProcessList::ActorAncestors => "actor.process.ancestors",
        }
    }

    /// The list of that name.
    pub fn from_name(name: &str) -> Option<ProcessList> {
        ProcessList::ALL
            .into_iter()
            .find(|list| list.name() == name)
    }

    /// What it holds.
    pub const fn doc(self) -> &'static str {
        match self {
            ProcessList::ProcessAncestors => {
                "who started the process, nearest first, as each was when it forked"
            }
            ProcessList::ActorAncestors => {
                "who started the acting process, nearest first, as each was when it forked"
            }
        }
    }
}

macro_rules! attributes {
    ($(#[$outer:meta])* $enum:ident { $( $variant:ident $name:literal $ty:expr; $json:literal; $doc:literal ),+ $(,)? }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $enum { $( #[doc = $doc] $variant ),+ }

        impl $enum {
            /// Every attribute, in declaration order.
            pub const ALL: &'static [$enum] = &[ $( $enum::$variant ),+ ];

            /// The name in the rule language.
            pub const fn name(self) -> &'static str {
                match self { $( $enum::$variant => $name ),+ }
            }

            /// The type of its values.
            pub const fn ty(self) -> FieldType {
                match self { $( $enum::$variant => $ty ),+ }
            }

            /// Its place in the OCSF object, dot-separated.
            pub const fn json(self) -> &'static str {
                match self { $( $enum::$variant => $json ),+ }
            }

            /// What it means, one line.
            pub const fn doc(self) -> &'static str {
                match self { $( $enum::$variant => $doc ),+ }
            }
        }
    };
}

use FieldType::{Bool, Digest, Enum, Int, Ip, Path, Port, Str, StrList};

attributes! {
    /// What is known of a process; a field when joined to a [`Subject`].
    ProcessAttr {
        Name "name" Str; "name"; "base name of the file as it was asked for",
        ExePath "path" Path; "file.path"; "absolute path of the executed file, symlinks resolved",
        CmdLine "cmd_line" Str; "cmd_line"; "arguments joined by one space",
        Args "args" StrList; "ext.args"; "the arguments, args[0] first",
        WorkingDirectory "working_directory" Path; "working_directory"; "working directory at exec",
        Pid "pid" Int; "pid"; "process id in the initial pid namespace",
        Uid "uid" Int; "ext.uid"; "real user id at exec",
        Gid "gid" Int; "ext.gid"; "real group id at exec",
        Euid "euid" Int; "ext.euid"; "effective user id after exec",
        Tty "tty" Str; "session.terminal"; "controlling terminal, such as pts0",
        Memfd "memfd" Bool; "ext.memfd"; "the image lives in memory only (memfd_create)",
        Deleted "deleted" Bool; "ext.deleted"; "the file had no name left when it was executed",
        UpperLayer "upper_layer" Bool; "ext.upper_layer"; "the file was not in the container's image (overlay upper layer)",
        Interpreter "interpreter" Path; "ext.interpreter"; "the interpreter a script asked for",
        Script "script" Path; "ext.script"; "the script that was executed",
        Sha256 "hash.sha256" Digest; "file.hashes"; "SHA-256 of the executed file, lower-case hex",
        Capabilities "capabilities" StrList; "ext.capabilities"; "effective capabilities after exec, such as CAP_SYS_ADMIN",
        PidNamespace "namespace.pid" Int; "ext.pid_namespace"; "inode number of the pid namespace",
        MountNamespace "namespace.mnt" Int; "ext.mount_namespace"; "inode number of the mount namespace",
        Inode "inode" Int; "ext.inode"; "inode number of the executed file",
    }
}

attributes! {
    /// Fields that belong to the event and not to one of its processes.
    EventAttr {
        UserName "actor.user.name" Str; "actor.user.name"; "the acting user's name in the host's passwd",
        UserUid "actor.user.uid" Int; "actor.user.uid"; "the acting user's real user id",
        SessionAuid "actor.session.auid" Int; "actor.session.ext.auid"; "login uid: who logged in, kept across su and sudo",
        ContainerUid "container.uid" Str; "container.uid"; "container id, 64 hex digits",
        ContainerImageName "container.image.name" Str; "container.image.name"; "the container's image",
        ContainerPrivileged "container.privileged" Bool; "container.ext.privileged"; "the container runs privileged",
        K8sNamespace "k8s.namespace" Str; "container.ext.k8s.namespace"; "Kubernetes namespace of the pod",
        K8sPod "k8s.pod" Str; "container.ext.k8s.pod"; "Kubernetes pod name",
        DeviceHostname "device.hostname" Str; "device.hostname"; "the host's name",
        DeviceLabels "device.labels" StrList; "device.ext.labels"; "the sensor's labels, key=value",
        DstIp "dst_endpoint.ip" Ip; "dst_endpoint.ip"; "where to; in dns.query, the resolver",
        DstPort "dst_endpoint.port" Port; "dst_endpoint.port"; "the port there",
        DstHostname "dst_endpoint.hostname" Str; "dst_endpoint.hostname"; "the name this host's processes got that address for",
        SrcIp "src_endpoint.ip" Ip; "src_endpoint.ip"; "where from; in network.listen, where it listens",
        SrcPort "src_endpoint.port" Port; "src_endpoint.port"; "the port there",
        Protocol "connection_info.protocol_name" Enum(&["tcp", "udp"]); "connection_info.protocol_name"; "transport protocol",
        QueryHostname "query.hostname" Str; "query.hostname"; "the name asked for, without the final dot",
        QueryType "query.type" Enum(crate::dns::TYPE_NAMES); "query.type"; "the record type asked for",
        FilePath "file.path" Path; "file.path"; "the file's absolute path",
        FileName "file.name" Str; "file.name"; "its last component",
        FileParentFolder "file.parent_folder" Path; "file.parent_folder"; "its folder",
        FileOpenRead "file.open.read" Bool; "file.ext.open.read"; "opened for reading",
        FileOpenWrite "file.open.write" Bool; "file.ext.open.write"; "opened for writing",
        FileOpenCreate "file.open.create" Bool; "file.ext.open.create"; "O_CREAT was asked for",
        FileRenameFrom "file.rename_from" Path; "file.ext.rename_from"; "the old path",
        FileMode "file.mode" Int; "file.ext.mode"; "the new permission bits",
        Status "status" Str; "status"; "ok, or the errno's name such as ECONNREFUSED",
    }
}

impl EventAttr {
    /// The classes whose events have this field.
    pub const fn classes(self) -> &'static [EventClass] {
        use EventAttr as A;
        match self {
            A::UserName
            | A::UserUid
            | A::SessionAuid
            | A::ContainerUid
            | A::ContainerImageName
            | A::ContainerPrivileged
            | A::K8sNamespace
            | A::K8sPod
            | A::DeviceHostname
            | A::DeviceLabels => &EventClass::ALL,
            A::DstIp | A::DstPort => &[NetworkConnect, DnsQuery],
            A::DstHostname => &[NetworkConnect],
            A::SrcIp | A::SrcPort => &[NetworkConnect, NetworkListen],
            A::Protocol => &[NetworkConnect, NetworkListen, DnsQuery],
            A::QueryHostname | A::QueryType => &[DnsQuery],
            A::FilePath | A::FileName | A::FileParentFolder => &EventClass::FILE,
            A::FileOpenRead | A::FileOpenWrite | A::FileOpenCreate => &[FileOpen, FileCreate],
            A::FileRenameFrom => &[FileRename],
            A::FileMode => &[FileChmod],
            A::Status => &[
                NetworkConnect,
                NetworkListen,
                FileOpen,
                FileCreate,
                FileRename,
                FileDelete,
                FileChmod,
            ],
        }
    }
}

/// One field of the rule language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// An attribute of one of the event's processes.
    Process(Subject, ProcessAttr),
    /// An attribute of the event itself.
    Event(EventAttr),
}

impl Field {
    /// Every field that stands outside `any LIST ( … )`.
    pub fn all() -> impl Iterator<Item = Field> {
        let of = |subject| {
            ProcessAttr::ALL
                .iter()
                .map(move |&attr| Field::Process(subject, attr))
        };
        of(Subject::Process)
            .chain(of(Subject::Parent))
            .chain(of(Subject::Actor))
            .chain(EventAttr::ALL.iter().map(|&attr| Field::Event(attr)))
    }

    /// The field of that full name, outside `any LIST ( … )`.
    pub fn from_name(name: &str) -> Option<Field> {
        if let Some(attr) = EventAttr::ALL.iter().find(|attr| attr.name() == name) {
            return Some(Field::Event(*attr));
        }
        // `process.parent_process.` before `process.`: the longer prefix decides.
        for subject in [Subject::Parent, Subject::Process, Subject::Actor] {
            if let Some(rest) = name.strip_prefix(subject.prefix()) {
                return ProcessAttr::from_name(rest).map(|attr| Field::Process(subject, attr));
            }
        }
        None
    }

    /// The type of its values.
    pub const fn ty(self) -> FieldType {
        match self {
            Field::Process(_, attr) => attr.ty(),
            Field::Event(attr) => attr.ty(),
        }
    }

    /// The classes whose events have it.
    pub const fn classes(self) -> &'static [EventClass] {
        match self {
            Field::Process(subject, _) => subject.classes(),
            Field::Event(attr) => attr.classes(),
        }
    }

    /// What it means, one line.
    pub const fn doc(self) -> &'static str {
        match self {
            Field::Process(_, attr) => attr.doc(),
            Field::Event(attr) => attr.doc(),
        }
    }

    /// Its place in the event's JSON, dot-separated; for a list element, relative to it.
    pub fn json(self) -> String {
        match self {
            Field::Process(subject, attr) => format!("{}{}", subject.prefix(), attr.json()),
            Field::Event(attr) => attr.json().to_owned(),
        }
    }
}

impl ProcessAttr {
    /// The attribute of that name, as it stands inside `any LIST ( … )`.
    pub fn from_name(name: &str) -> Option<ProcessAttr> {
        ProcessAttr::ALL
            .iter()
            .copied()
            .find(|attr| attr.name() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Process(subject, attr) => write!(f, "{}{}", subject.prefix(), attr.name()),
            Field::Event(attr) => f.write_str(attr.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_field() {
        for field in Field::all() {
            assert_eq!(Field::from_name(&field.to_string()), Some(field));
            assert!(!field.classes().is_empty() && !field.doc().is_empty());
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = Field::all().map(|field| field.to_string()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
