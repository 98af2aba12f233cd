//! Process objects out: `process`, `parent_process`, `actor.process` and the
//! elements of `ancestry`.

use super::tree::Tree;
use crate::datum::Datum;
use crate::event::{Value, process_value};
use crate::field::{ProcessAttr, Subject};
use crate::process::{Parent, Process};
use std::sync::Arc;

/// Which fields are not wholly known, by their names in the rule language.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) unknown: Vec<String>,
    pub(super) truncated: Vec<String>,
}

impl Marks {
    /// The value as far as there is one; notes where it is not whole.
    pub(super) fn note<T>(&mut self, prefix: &str, name: &str, datum: Datum<T>) -> Option<T> {
        match datum {
            Datum::Absent => None,
            Datum::Known(value) => Some(value),
            Datum::Unknown => {
                self.unknown.push(format!("{prefix}{name}"));
                None
            }
            Datum::Truncated(value) => {
                self.truncated.push(format!("{prefix}{name}"));
                Some(value)
            }
        }
    }

    /// Writes the lists that are not empty.
    pub(super) fn push_to<'a>(
        self,
        tree: &mut Tree<'a>,
        unknown: &'static str,
        truncated: &'static str,
    ) {
        for (path, names) in [(unknown, self.unknown), (truncated, self.truncated)] {
            if !names.is_empty() {
                tree.push(path, names);
            }
        }
    }
}

/// A process without its ancestors.
pub(super) fn process_tree<'a>(
    process: &'a Process,
    subject: Subject,
    marks: &mut Marks,
) -> Tree<'a> {
    let mut tree = Tree::new();
    if process.key.pid != 0 {
        tree.push(ProcessAttr::Pid.json(), process.key.pid);
    }
    for &attr in ProcessAttr::ALL {
        if attr == ProcessAttr::Pid {
            continue;
        }
        let noted = marks.note(subject.prefix(), attr.name(), process_value(process, attr));
        let Some(value) = noted else { continue };
        match (attr, value) {
            (ProcessAttr::Sha256, Value::Str(digest)) => {
                tree.push(attr.json(), vec![sha256_tree(digest)]);
            }
            (ProcessAttr::Inode, _) => push_file_identity(&mut tree, process),
            (_, value) => tree.push(attr.json(), value),
        }
    }
    if process.key.start_ns != 0 {
        tree.push("ext.start_ns", process.key.start_ns);
    }
    if process.image.since_ns != 0 {
        tree.push("ext.since_ns", process.image.since_ns);
    }
    tree
}

fn sha256_tree(digest: &str) -> Tree<'_> {
    let mut hash = Tree::new();
    hash.push("algorithm", "SHA-256");
    hash.push("algorithm_id", super::values::SHA256_ID);
    hash.push("value", digest);
    hash
}

fn push_file_identity(tree: &mut Tree<'_>, process: &Process) {
    if let Some(file) = process.image.file.value() {
        tree.push(ProcessAttr::Inode.json(), file.inode);
        tree.push("ext.device", file.device);
        tree.push("ext.mtime_ns", file.mtime_ns);
        tree.push("ext.links", file.links);
    }
}

/// The ancestors of a process, each with its own marks.
pub(super) fn ancestry(process: &Process) -> Vec<Tree<'_>> {
    let element = |ancestor| {
        let mut marks = Marks::default();
        let mut tree = process_tree(ancestor, Subject::Element, &mut marks);
        marks.push_to(&mut tree, "ext.unknown", "ext.truncated");
        tree
    };
    process.ancestors().map(element).collect()
}

/// True when the chain ends in a lost record.
pub(super) fn is_cut(process: &Process) -> bool {
    let mut ancestors = process.ancestors();
    ancestors.by_ref().for_each(drop);
    ancestors.is_cut()
}

/// True when both links are one and the same.
pub(super) fn same_chain(one: &Parent, other: &Parent) -> bool {
    match (one, other) {
        (Parent::None, Parent::None) | (Parent::Unknown, Parent::Unknown) => true,
        (Parent::Known(one), Parent::Known(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
