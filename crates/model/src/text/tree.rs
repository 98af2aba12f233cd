//! The process tree of an event.

use super::shown;
use crate::event::Event;
use crate::process::Process;

/// The tree's lines, oldest ancestor first, the event's own process last: the
/// new image of a `process.exec`, the actor of everything else.
pub(super) fn lines(event: &Event) -> Vec<String> {
    let Some(own) = event.own_process() else {
        return Vec::new();
    };
    let mut ancestors = own.ancestors();
    let mut nodes: Vec<String> = vec![node(own)];
    nodes.extend(ancestors.by_ref().map(node));
    if ancestors.is_cut() {
        nodes.push("… (older ancestors are not known)".to_owned());
    }
    nodes.reverse();
    let indented = |(depth, node): (usize, String)| match depth {
        0 => node,
        _ => format!("{}└─ {node}", "   ".repeat(depth - 1)),
    };
    nodes.into_iter().enumerate().map(indented).collect()
}

/// `pid path  command line`.
fn node(process: &Process) -> String {
    let image = &*process.image;
    let mut node = match process.key.pid {
        0 => String::new(),
        pid => format!("{pid} "),
    };
    let file = shown(&image.path).or_else(|| shown(&image.name));
    node.push_str(file.as_deref().unwrap_or("?"));
    if let Some(command) = shown(&image.cmd_line) {
        node.push_str("  ");
        node.push_str(&command);
    }
    node
}
