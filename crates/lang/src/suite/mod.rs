//! The tests inside rules: each is made into the event it describes.
//! Evaluating them takes an engine, and is not done here.

use crate::diagnostics::Sink;
use crate::source::Lines;
use crate::words;
use crate::yaml::{self, Keys, Node};
use picket_model::{Event, EventClass};

mod draft;
mod event;
mod given;
mod process;

/// The tests of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTests {
    /// The rule's id.
    pub rule: String,
    /// In the order they stand in.
    pub tests: Vec<RuleTest>,
}

/// One test: an event, and whether the rule must match it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// 1-based line it starts on.
    pub line: u32,
    /// Whether the rule must match.
    pub expected: bool,
    /// The event.
    pub event: Event,
}

const KEYS: &[&str] = &["match", "event", "name", "class"];

/// Reads a rule's `tests`. Those with errors are left out.
pub(crate) fn read(
    node: &Node<'_>,
    classes: &[EventClass],
    files: &[(&str, Lines<'_>)],
    sink: &mut Sink,
) -> Vec<RuleTest> {
    let tests = yaml::list(node, "`tests`", sink).unwrap_or_default();
    tests
        .iter()
        .filter_map(|node| test(node, classes, files, sink))
        .collect()
}

fn test(
    node: &Node<'_>,
    classes: &[EventClass],
    files: &[(&str, Lines<'_>)],
    sink: &mut Sink,
) -> Option<RuleTest> {
    let keys = Keys::of(node, "a test", KEYS, sink)?;
    let name = keys
        .get("name")
        .and_then(|node| yaml::text(node, "`name`", sink));
    let expected = keys
        .require("match", sink)
        .and_then(|node| yaml::truth(node, "`match`", sink));
    let class = match keys.get("class") {
        Some(node) => Some(event::class(node, classes, sink)?),
        None => None,
    };
    let event = keys
        .require("event", sink)
        .and_then(|node| event::read(node, class, classes, sink));
    Some(RuleTest {
        name: name.map(str::to_owned),
        line: files
            .get(node.span.source)
            .map_or(0, |(_, lines)| lines.position(node.span.start).line),
        expected: expected?,
        event: event?,
    })
}

/// A test event's time: when exceptions have not expired yet, unless it says.
fn time(keys: &Keys<'_, '_>, sink: &mut Sink) -> i64 {
    keys.get("time")
        .and_then(|node| words::time(node, "`time`", sink))
        .unwrap_or(0)
}
