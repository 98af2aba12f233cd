//! The event classes and their OCSF identities.

use std::fmt;

/// What happened. Rules name one of these in `event:`.
///
/// OCSF 1.x `class_uid`/`activity_id` pairs; see [`EventClass::ocsf`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventClass {
    /// A process replaced its image (Process Activity: Launch).
    ProcessExec,
    /// An outbound connection was attempted (Network Activity: Open).
    NetworkConnect,
    /// A socket began to accept traffic: TCP listen, UDP bind (Network Activity: Listen).
    NetworkListen,
    /// A DNS question was sent (DNS Activity: Query).
    DnsQuery,
    /// An existing file was opened (File System Activity: Open).
    FileOpen,
    /// A file was created (File System Activity: Create).
    FileCreate,
    /// A file was renamed (File System Activity: Rename).
    FileRename,
    /// A file was unlinked (File System Activity: Delete).
    FileDelete,
    /// A file's mode was changed (File System Activity: Set Attributes).
    FileChmod,
}

impl EventClass {
    /// Every class, in declaration order.
    pub const ALL: [EventClass; 9] = [
        EventClass::ProcessExec,
        EventClass::NetworkConnect,
        EventClass::NetworkListen,
        EventClass::DnsQuery,
        EventClass::FileOpen,
        EventClass::FileCreate,
        EventClass::FileRename,
        EventClass::FileDelete,
        EventClass::FileChmod,
    ];

    /// The file classes: their hooks cost every syscall of the host, so they
    /// are attached only while a loaded rule needs them.
    pub const FILE: [EventClass; 5] = [
        EventClass::FileOpen,
        EventClass::FileCreate,
        EventClass::FileRename,
        EventClass::FileDelete,
        EventClass::FileChmod,
    ];

    /// The name in the rule language, such as `process.exec`.
    pub const fn name(self) -> &'static str {
        match self {
            EventClass::ProcessExec => "process.exec",
            EventClass::NetworkConnect => "network.connect",
            EventClass::NetworkListen => "network.listen",
            EventClass::DnsQuery => "dns.query",
            EventClass::FileOpen => "file.open",
            EventClass::FileCreate => "file.create",
            EventClass::FileRename => "file.rename",
            EventClass::FileDelete => "file.delete",
            EventClass::FileChmod => "file.chmod",
        }
    }

    /// The class of that name, if there is one.
    pub fn from_name(name: &str) -> Option<EventClass> {
        EventClass::ALL
            .into_iter()
            .find(|class| class.name() == name)
    }

    /// OCSF `(class_uid, activity_id)`.
    pub const fn ocsf(self) -> (u32, u32) {
        match self {
            EventClass::ProcessExec => (1007, 1),
            EventClass::NetworkConnect => (4001, 1),
            EventClass::NetworkListen => (4001, 7),
            EventClass::DnsQuery => (4003, 1),
            EventClass::FileOpen => (1001, 14),
            EventClass::FileCreate => (1001, 1),
            EventClass::FileRename => (1001, 5),
            EventClass::FileDelete => (1001, 4),
            EventClass::FileChmod => (1001, 6),
        }
    }

    /// The class with this OCSF identity, if it is one of ours.
    pub fn from_ocsf(class_uid: u32, activity_id: u32) -> Option<EventClass> {
        EventClass::ALL
            .into_iter()
            .find(|class| class.ocsf() == (class_uid, activity_id))
    }

    /// True for the five file classes.
    pub fn is_file(self) -> bool {
        EventClass::FILE.contains(&self)
    }
}

impl fmt::Display for EventClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of event classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClassSet(u16);

impl ClassSet {
    /// No class.
    pub const EMPTY: ClassSet = ClassSet(0);

    /// Every class.
    pub const fn all() -> ClassSet {
        ClassSet((1 << EventClass::ALL.len()) - 1)
    }

    /// This set and `class`.
    #[must_use]
    pub const fn with(self, class: EventClass) -> ClassSet {
        ClassSet(self.0 | 1 << class as u16)
    }

    /// This set without `class`.
    #[must_use]
    pub const fn without(self, class: EventClass) -> ClassSet {
        ClassSet(self.0 & !(1 << class as u16))
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: ClassSet) -> ClassSet {
        ClassSet(self.0 & other.0)
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: ClassSet) -> ClassSet {
        ClassSet(self.0 | other.0)
    }

    /// Adds `class`.
    pub fn insert(&mut self, class: EventClass) {
        *self = self.with(class);
    }

    /// True when `class` is in the set.
    pub const fn contains(self, class: EventClass) -> bool {
        self.0 & 1 << class as u16 != 0
    }

    /// True when nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in declaration order.
    pub fn iter(self) -> impl Iterator<Item = EventClass> {
        EventClass::ALL
            .into_iter()
            .filter(move |class| self.contains(*class))
    }
}

impl FromIterator<EventClass> for ClassSet {
    fn from_iter<I: IntoIterator<Item = EventClass>>(classes: I) -> ClassSet {
        classes.into_iter().fold(ClassSet::EMPTY, ClassSet::with)
    }
}

impl Extend<EventClass> for ClassSet {
    fn extend<I: IntoIterator<Item = EventClass>>(&mut self, classes: I) {
        for class in classes {
            self.insert(class);
        }
    }
}
