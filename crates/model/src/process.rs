//! Process records: one image of one process, and who started it.

use crate::Datum;
use std::sync::Arc;

/// Names one process for the life of the host: a pid that is used again has
/// another start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ProcessKey {
    /// Thread-group id in the initial pid namespace.
    pub pid: u32,
    /// `group_leader->start_boottime`, in nanoseconds since boot; 0 when unknown.
    pub start_ns: u64,
}

/// A file's identity at the moment it was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileIdentity {
    /// `inode->i_ino`.
    pub inode: u64,
    /// `super_block->s_dev`, in the kernel's own encoding (major << 20 | minor).
    pub device: u32,
    /// `inode->i_mtime`, nanoseconds since the epoch.
    pub mtime_ns: u64,
    /// `inode->i_nlink`; 0 means deleted (or never linked).
    pub links: u32,
}

/// What one `execve` put in place. Shared by every process forked from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Base name of the file as it was asked for (`sh`, though the file is `dash`);
    /// a process cannot change it afterwards, unlike its `comm`.
    pub name: Datum<Box<str>>,
    /// Absolute path of the executed file in its mount namespace, symlinks resolved.
    /// For a memfd: `memfd:NAME`.
    pub path: Datum<Box<str>>,
    /// Arguments joined by one space.
    pub cmd_line: Datum<Box<str>>,
    /// The arguments, `args[0]` first.
    pub args: Datum<Box<[Box<str>]>>,
    /// Working directory at exec.
    pub working_directory: Datum<Box<str>>,
    /// The controlling terminal, such as `pts0`.
    pub tty: Datum<Box<str>>,
    /// The interpreter a script asked for (`/bin/sh`); absent for a binary.
    pub interpreter: Datum<Box<str>>,
    /// The script that was executed; absent for a binary.
    pub script: Datum<Box<str>>,
    /// The image lives in memory only (memfd_create(2)).
    pub memfd: Datum<bool>,
    /// The file had no name left when it was executed.
    pub deleted: Datum<bool>,
    /// The file came from an overlay's upper layer: it was not in the container's image.
    pub upper_layer: Datum<bool>,
    /// SHA-256 of the file, lower-case hex; unknown until it has been computed.
    pub sha256: Datum<Box<str>>,
    /// Identity of the executed file.
    pub file: Datum<FileIdentity>,
    /// A protected container runtime put it in place: it may be the runtime's copy
    /// of itself. Only the sensor's own table knows; false elsewhere.
    pub by_runtime: bool,
    /// Real user id at exec.
    pub uid: Datum<u32>,
    /// Real group id at exec.
    pub gid: Datum<u32>,
    /// Effective user id after exec (differs from `uid` for setuid files).
    pub euid: Datum<u32>,
    /// Effective capabilities after exec, a bit per CAP_* of capability.h.
    pub capabilities: Datum<u64>,
    /// Inode number of the pid namespace.
    pub pid_namespace: Datum<u32>,
    /// Inode number of the mount namespace.
    pub mount_namespace: Datum<u32>,
    /// When the image was put in place, nanoseconds since the epoch; 0 when unknown.
    pub since_ns: i64,
}

/// The process that started another, as far as it is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Parent {
    /// It has none: pid 1, kernel threads, or an event that names no ancestors.
    #[default]
    None,
    /// It had one, but the record is lost or the chain was cut at its depth limit.
    Unknown,
    /// As it was when it forked this one.
    Known(Arc<Process>),
}

/// One process with one image, linked to the process that forked it.
///
/// The link is taken at fork and never changes: a daemon that lets its parent
/// die stays the descendant of what started it. (`process.parent_process`, which
/// follows the kernel's ppid, is kept apart in the event.)
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// Identity; `pid` 0 in events from outside that name none.
    pub key: ProcessKey,
    /// What it runs.
    pub image: Arc<Image>,
    /// Who forked it.
    pub parent: Parent,
    /// How many ancestors the chain holds.
    pub depth: u32,
}

impl Process {
    /// The process as a child of `parent`, running `image`.
    pub fn new(key: ProcessKey, image: Arc<Image>, parent: Parent) -> Process {
        let depth = match &parent {
            Parent::Known(parent) => parent.depth + 1,
            Parent::None | Parent::Unknown => 0,
        };
        Process {
            key,
            image,
            parent,
            depth,
        }
    }

    /// The ancestors, nearest first. Ask [`Ancestors::is_cut`] at the end
    /// whether the chain was complete.
    pub fn ancestors(&self) -> Ancestors<'_> {
        Ancestors { next: &self.parent }
    }
}

/// Iterator over a process's ancestors, nearest first.
#[derive(Debug, Clone)]
pub struct Ancestors<'a> {
    next: &'a Parent,
}

impl<'a> Ancestors<'a> {
    pub(crate) fn from_parent(parent: &'a Parent) -> Ancestors<'a> {
        Ancestors { next: parent }
    }

    /// True when the chain ends in a lost record: there were more ancestors.
    pub fn is_cut(&self) -> bool {
        matches!(self.next, Parent::Unknown)
    }
}

impl<'a> Iterator for Ancestors<'a> {
    type Item = &'a Process;

    fn next(&mut self) -> Option<&'a Process> {
        match self.next {
            Parent::Known(process) => {
                self.next = &process.parent;
                Some(process)
            }
            Parent::None | Parent::Unknown => None,
        }
    }
}
