//! A finding as a block of text.

use super::{Escaped, Timestamp, particulars, printed, response, shown, tree};
use crate::event::{Container, Event};
use crate::finding::Finding;
use crate::rule::RuleInfo;
use crate::severity::Severity;
use std::fmt;

/// The finding over several lines, the last one ended as well; with ANSI
/// colours if asked.
pub fn finding(finding: &Finding, colour: bool) -> FindingText<'_> {
    FindingText { finding, colour }
}

/// Prints a finding; see [`finding`].
#[derive(Debug, Clone, Copy)]
pub struct FindingText<'a> {
    finding: &'a Finding,
    colour: bool,
}

impl fmt::Display for FindingText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rule, event) = (&*self.finding.rule, &*self.finding.event);
        self.headline(f, rule)?;
        let uid = event.uid.to_string();
        self.row(
            f,
            "when",
            format_args!("{}, event {}", Timestamp(event.time_ns), Escaped(&uid)),
        )?;
        self.some(f, "where", place(event))?;
        self.some(f, "who", user(event))?;
        self.row(f, "what", format_args!("{}", particulars::line(event)))?;
        for (index, line) in tree::lines(event).into_iter().enumerate() {
            let label = if index == 0 { "tree" } else { "" };
            self.row(f, label, format_args!("{line}"))?;
        }
        self.some(f, "rule", about(rule))?;
        for (index, decision) in self.finding.decisions.iter().enumerate() {
            let label = if index == 0 { "response" } else { "" };
            self.row(f, label, format_args!("{}", response::line(decision)))?;
        }
        Ok(())
    }
}

impl FindingText<'_> {
    fn headline(&self, f: &mut fmt::Formatter<'_>, rule: &RuleInfo) -> fmt::Result {
        let severity = rule.severity.name().to_uppercase();
        let (title, id) = (Escaped(&rule.title), Escaped(&rule.id));
        if self.colour {
            let colour = colour(rule.severity);
            writeln!(f, "{colour}{severity}{RESET}  {BOLD}{title}{RESET}  ({id})")
        } else {
            writeln!(f, "{severity}  {title}  ({id})")
        }
    }

    fn row(
        &self,
        f: &mut fmt::Formatter<'_>,
        label: &str,
        value: fmt::Arguments<'_>,
    ) -> fmt::Result {
        if self.colour {
            writeln!(f, "  {DIM}{label:<8}{RESET}  {value}")
        } else {
            writeln!(f, "  {label:<8}  {value}")
        }
    }

    fn some(&self, f: &mut fmt::Formatter<'_>, label: &str, value: Option<String>) -> fmt::Result {
        match value {
            Some(value) => self.row(f, label, format_args!("{value}")),
            None => Ok(()),
        }
    }
}

fn place(event: &Event) -> Option<String> {
    let host = shown(&event.host.hostname);
    let container = event.container.as_deref().map(container);
    joined([host, container])
}

/// `container 3f2a9c81d0aa (nginx:1.27, pod shop/web-0, privileged)`.
fn container(container: &Container) -> String {
    let mut uid = shown(&container.uid).unwrap_or_else(|| "?".to_owned());
    // As docker and crictl shorten it; only whole hex ids, which are ASCII.
    if uid.len() == 64 && uid.is_ascii() {
        uid.truncate(12);
    }
    let pod = match (shown(&container.k8s_namespace), shown(&container.k8s_pod)) {
        (Some(namespace), Some(pod)) => Some(format!("pod {namespace}/{pod}")),
        (_, pod) => pod.map(|pod| format!("pod {pod}")),
    };
    let privileged = container.privileged == crate::Datum::Known(true);
    let privileged = privileged.then(|| "privileged".to_owned());
    match joined([shown(&container.image_name), pod, privileged]) {
        Some(more) => format!("container {uid} ({more})"),
        None => format!("container {uid}"),
    }
}

/// `www-data (uid 33, login uid 1000)`.
fn user(event: &Event) -> Option<String> {
    let actor = &event.actor;
    let uid = printed(actor.uid).map(|uid| format!("uid {uid}"));
    let auid = printed(actor.auid).map(|auid| format!("login uid {auid}"));
    match (shown(&actor.user_name), joined([uid, auid])) {
        (Some(name), Some(ids)) => Some(format!("{name} ({ids})")),
        (name, ids) => name.or(ids),
    }
}

fn about(rule: &RuleInfo) -> Option<String> {
    let origin = (!rule.origin.file.is_empty())
        .then(|| format!("{}:{}", Escaped(&rule.origin.file), rule.origin.line));
    let category = rule.category.as_deref();
    let category = category.map(|category| format!("category {}", Escaped(category)));
    let tags = rule.tags.iter().map(|tag| Escaped(tag).to_string());
    let tags: Vec<String> = tags.collect();
    let tags = (!tags.is_empty()).then(|| format!("tags {}", tags.join(" ")));
    joined([origin, category, tags])
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "\x1b[1;97;41m",
        Severity::High => "\x1b[1;31m",
        Severity::Medium => "\x1b[1;33m",
        Severity::Low => "\x1b[1;36m",
        Severity::Informational => BOLD,
    }
}
