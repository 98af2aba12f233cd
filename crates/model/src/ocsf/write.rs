//! Events out.

use super::process::{Marks, ancestry, is_cut, process_tree, same_chain};
use super::tree::{Leaf, Tree};
use super::{NS_PER_MS, OCSF_VERSION, category_uid, type_uid};
use crate::datum::Datum;
use crate::event::{Detail, Event, Exec, Status, Value};
use crate::field::{EventAttr, Field, ProcessList, Subject};
use crate::process::Process;
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// The event as its OCSF object, written without an intermediate value.
pub fn event_to_json(event: &Event) -> EventJson<'_> {
    EventJson(event)
}

/// An event as its OCSF object; [`Display`](fmt::Display) gives the JSON on one line.
#[derive(Debug, Clone, Copy)]
pub struct EventJson<'a>(&'a Event);

impl Serialize for EventJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        event_tree(self.0).serialize(serializer)
    }
}

impl fmt::Display for EventJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The event's OCSF object.
pub(super) fn event_tree(event: &Event) -> Tree<'_> {
    let (class_uid, activity_id) = event.class.ocsf();
    let mut tree = Tree::new();
    let mut marks = Marks::default();
    tree.push("class_uid", class_uid);
    tree.push("activity_id", activity_id);
    tree.push("type_uid", type_uid(class_uid, activity_id));
    tree.push("category_uid", category_uid(class_uid));
    // An event by itself is no alarm.
    tree.push("severity_id", crate::Severity::Informational.id());
    tree.push("time", event.time_ns.div_euclid(NS_PER_MS));
    tree.push("metadata.uid", Leaf::Shown(&event.uid));
    push_product(&mut tree);

    let of_device = |attr: &EventAttr| attr.json().starts_with("device.");
    push_attributes(event, of_device, &mut tree, &mut marks);
    if let Detail::Exec(exec) = &event.detail {
        tree.push("process", exec_tree(exec, &mut marks));
    }
    push_actor(event, &mut tree, &mut marks);
    push_attributes(event, |attr| !of_device(attr), &mut tree, &mut marks);
    if event.container.is_some() && !tree.has_under("container.") {
        tree.push("container", Tree::new());
    }
    if let Detail::Network(network) = &event.detail {
        let hostname = marks.note("", SRC_HOSTNAME, network.src.hostname.as_ref());
        tree.push_some(SRC_HOSTNAME, hostname.map(|name| &**name));
    }
    if let Some(status) = marks.note("", EventAttr::Status.name(), event.status()) {
        push_status(status, &mut tree);
    }
    marks.push_to(&mut tree, "unknown", "truncated");
    if event.time_ns.rem_euclid(NS_PER_MS) != 0 {
        tree.push("ext.time_ns", event.time_ns);
    }
    tree
}

/// Carried although no field speaks of it.
pub(super) const SRC_HOSTNAME: &str = "src_endpoint.hostname";

/// Who wrote this, and by which version of OCSF.
pub(super) fn push_product(tree: &mut Tree<'_>) {
    tree.push("metadata.version", OCSF_VERSION);
    tree.push("metadata.product.name", "Picket");
    tree.push("metadata.product.vendor_name", "Picket");
    tree.push("metadata.product.version", env!("CARGO_PKG_VERSION"));
}

fn push_attributes<'a>(
    event: &'a Event,
    wanted: impl Fn(&EventAttr) -> bool,
    tree: &mut Tree<'a>,
    marks: &mut Marks,
) {
    for &attr in EventAttr::ALL.iter().filter(|attr| wanted(attr)) {
        let value = event.value(Field::Event(attr));
        match attr {
            EventAttr::Status => {}
            // Parts of file.path: they are known where it is.
            EventAttr::FileName | EventAttr::FileParentFolder => {
                tree.push_some(attr.json(), value.value().copied());
            }
            EventAttr::UserUid => {
                if let Some(Value::Int(uid)) = marks.note("", attr.name(), value) {
                    tree.push(attr.json(), uid.to_string());
                }
            }
            _ => tree.push_some(attr.json(), marks.note("", attr.name(), value)),
        }
    }
}

fn exec_tree<'a>(exec: &'a Exec, marks: &mut Marks) -> Tree<'a> {
    let mut tree = process_tree(&exec.process, Subject::Process, marks);
    let parent = noted_process("process.parent_process", &exec.parent_process, marks);
    let has_parent = parent.is_some();
    if let Some(parent) = parent {
        let parent = process_tree(parent, Subject::Parent, marks);
        tree.push("parent_process", parent);
    }
    // An empty list says that the parent is not an ancestor as well.
    let ancestors = ancestry(&exec.process);
    if has_parent || !ancestors.is_empty() {
        tree.push("ancestry", ancestors);
    }
    note_cut(&exec.process, ProcessList::ProcessAncestors, marks);
    tree
}

fn push_actor<'a>(event: &'a Event, tree: &mut Tree<'a>, marks: &mut Marks) {
    let Some(actor) = noted_process("actor.process", &event.actor.process, marks) else {
        return;
    };
    let mut object = process_tree(actor, Subject::Actor, marks);
    let ancestors = ancestry(actor);
    let (shares, write) = match &event.detail {
        Detail::Exec(exec) => {
            let shares = same_chain(&actor.parent, &exec.process.parent);
            (shares, !shares)
        }
        _ => (false, !ancestors.is_empty()),
    };
    if write {
        object.push("ancestry", ancestors);
    }
    if !shares {
        note_cut(actor, ProcessList::ActorAncestors, marks);
    }
    tree.push("actor.process", object);
}

fn noted_process<'a>(
    name: &str,
    process: &'a Datum<Arc<Process>>,
    marks: &mut Marks,
) -> Option<&'a Process> {
    marks
        .note("", name, process.as_ref())
        .map(|process| &**process)
}

fn note_cut(process: &Process, list: ProcessList, marks: &mut Marks) {
    if is_cut(process) {
        marks.unknown.push(list.name().to_owned());
    }
}

fn push_status(status: Status, tree: &mut Tree<'_>) {
    if status == Status(0) {
        tree.push("status", "Success");
        tree.push("status_id", 1u32);
    } else {
        tree.push("status", "Failure");
        tree.push("status_id", 2u32);
        tree.push("status_detail", status.text().into_owned());
    }
}
