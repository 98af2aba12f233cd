//! OCSF JSON: events both ways, Detection Findings out.
//!
//! ```text
//! Event ─► tree (entries by OCSF path) ─► JSON          write, finding
//! JSON  ─► source (typed look-ups that know their path) ─► Event    read
//! ```
//!
//! The place of every field is [`crate::field`]'s `json()` column. What OCSF has
//! no word for stands under `ext` beside its object.
//!
//! # How much of a value is known
//! | [`Datum`](crate::Datum) | in JSON |
//! |---|---|
//! | `Absent` | no key (or `null`) |
//! | `Unknown` | its field name in the event's `unknown` list; a value beside it is ignored |
//! | `Truncated` | the value, and its field name in the event's `truncated` list |
//! | `Known` | the value |
//!
//! Names in these lists are the rule language's (`process.path`); the OCSF path
//! (`process.file.path`) is understood too. A process inside `ancestry` keeps its
//! own lists in `ext.unknown` and `ext.truncated`, with names as they stand
//! inside `any LIST ( … )`. Also understood: `process.ancestors` and
//! `actor.process.ancestors` (the chain goes on after the last one given),
//! `process.parent_process` and `actor.process`.
//!
//! # Ancestors
//! `ancestry` is the chain, nearest first. Without it, a `parent_process` (and
//! its own, nested) is the chain, and there is nothing beyond: what an event
//! does not name is absent. In a `process.exec`, an actor without `ancestry`
//! has the new image's. Chains longer than [`MAX_ANCESTORS`] are cut there.
//!
//! # What JSON does not carry
//! - Whether an event's uid was text or a sequence: it comes back as text.
//! - The ancestors of `process.parent_process` (no field speaks of them).
//! - Capability bits past the last one this crate has a name for.
//! - A failed operation's errno when only `status: "Failure"` was given: unknown.

mod attack;
mod finding;
mod process;
mod read;
mod read_process;
mod source;
mod tree;
mod values;
mod write;

#[cfg(test)]
mod tests;

pub use finding::{FindingJson, finding_to_json};
pub use read::event_from_json;
pub use source::EventError;
pub use write::{EventJson, event_to_json};

/// The OCSF version the JSON follows.
pub const OCSF_VERSION: &str = "1.6.0";

/// An event's JSON may not be longer, in bytes.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// Ancestors kept of one process; beyond, the chain is unknown.
pub const MAX_ANCESTORS: usize = 256;

/// OCSF `type_uid`.
const fn type_uid(class_uid: u32, activity_id: u32) -> u32 {
    class_uid * 100 + activity_id
}

/// OCSF `category_uid`: the thousands of the class.
const fn category_uid(class_uid: u32) -> u32 {
    class_uid / 1000
}

const NS_PER_MS: i64 = 1_000_000;
