//! Small values that several kinds of entries share: ids, severities, dates.

use crate::diagnostics::{Diagnostic, Problem, Sink, nearest};
use crate::source::SourceSpan;
use crate::yaml::{self, Node};
use picket_model::{EventClass, Severity};
use std::collections::HashMap;

/// Longest id, tag, project or category, in bytes.
const NAME_BYTES: usize = 128;

/// An id: unique in `taken`, which it enters.
pub(crate) fn id(
    node: &Node<'_>,
    what: &'static str,
    plural: &'static str,
    taken: &mut HashMap<String, SourceSpan>,
    sink: &mut Sink,
) -> Option<String> {
    let text = yaml::text(node, what, sink)?;
    let good = text.len() <= NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if !good {
        let problem = Problem::BadId {
            what,
            id: text.to_owned(),
        };
        sink.push(Diagnostic::new(&problem, node.span.clone()).help(
            "ids are letters, digits, `.`, `_` and `-`, begin with a letter or digit, and have at most 128 characters",
        ));
        return None;
    }
    if let Some(before) = taken.get(text) {
        let problem = Problem::DuplicateId {
            what: plural,
            id: text.to_owned(),
        };
        sink.push(
            Diagnostic::new(&problem, node.span.clone())
                .here("again here")
                .also(before.clone(), "first here"),
        );
        return None;
    }
    taken.insert(text.to_owned(), node.span.clone());
    Some(text.to_owned())
}

/// An event class by its name.
pub(crate) fn class(text: &str, span: &SourceSpan, sink: &mut Sink) -> Option<EventClass> {
    let found = EventClass::from_name(text);
    if found.is_none() {
        let names = EventClass::ALL.map(EventClass::name);
        let diagnostic = Diagnostic::new(
            &Problem::UnknownClass {
                class: text.to_owned(),
            },
            span.clone(),
        );
        sink.push(match nearest(text, names) {
            Some(near) => diagnostic.suggest(Some(near)),
            None => diagnostic.help(format!("the classes are {}", names.join(", "))),
        });
    }
    found
}

/// A severity by its word.
pub(crate) fn severity(text: &str, span: &SourceSpan, sink: &mut Sink) -> Option<Severity> {
    let found = Severity::from_name(text);
    if found.is_none() {
        let names = Severity::ALL.map(Severity::name);
        let meant = match text.to_lowercase().as_str() {
            "info" | "notice" | "debug" => Some("informational"),
            "warning" | "warn" => Some("medium"),
            "error" => Some("high"),
            "emergency" | "alert" | "fatal" => Some("critical"),
            _ => nearest(text, names),
        };
        sink.push(
            Diagnostic::new(
                &Problem::UnknownSeverity {
                    word: text.to_owned(),
                },
                span.clone(),
            )
            .suggest(meant)
            .help(format!("severities are {}", names.join(", "))),
        );
    }
    found
}

/// One of a few words, by position; anything else is reported.
pub(crate) fn word(
    text: &str,
    words: &[&str],
    what: &'static str,
    span: &SourceSpan,
    sink: &mut Sink,
) -> Option<usize> {
    let found = words.iter().position(|word| *word == text);
    if found.is_none() {
        sink.push(
            Diagnostic::new(
                &Problem::UnknownWord {
                    what,
                    word: text.to_owned(),
                },
                span.clone(),
            )
            .suggest(nearest(text, words.iter().copied()))
            .help(format!("it is one of {}", words.join(", "))),
        );
    }
    found
}

/// Tags, projects and the like: lists of words without white space.
pub(crate) fn tags(
    node: &Node<'_>,
    what: &'static str,
    item: &'static str,
    sink: &mut Sink,
) -> Vec<String> {
    yaml::texts(node, what, item, sink)
        .into_iter()
        .filter(|(text, node)| tag(text, &node.span, sink))
        .map(|(text, _)| text.to_owned())
        .collect()
}

/// Whether the text can be a tag; reported if not.
pub(crate) fn tag(text: &str, span: &SourceSpan, sink: &mut Sink) -> bool {
    let good =
        text.len() <= NAME_BYTES && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if !good {
        sink.push(
            Diagnostic::new(
                &Problem::BadTag {
                    tag: text.to_owned(),
                },
                span.clone(),
            )
            .help("tags, categories and projects have no white space and at most 128 bytes"),
        );
    }
    good
}

/// A day (its start, UTC) or an RFC 3339 time, in nanoseconds since the epoch.
pub(crate) fn time(node: &Node<'_>, what: &'static str, sink: &mut Sink) -> Option<i64> {
    let text = yaml::text(node, what, sink)?;
    let timestamp = match text.parse::<jiff::civil::Date>() {
        Ok(date) if text.len() == "2027-06-01".len() => {
            jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
        }
        _ => text.parse::<jiff::Timestamp>().ok(),
    };
    let nanoseconds = timestamp.and_then(|timestamp| i64::try_from(timestamp.as_nanosecond()).ok());
    if nanoseconds.is_none() {
        sink.push(
            Diagnostic::new(
                &Problem::BadDate {
                    text: text.to_owned(),
                },
                node.span.clone(),
            )
            .help("write a day such as 2027-06-01, or a time such as 2027-06-01T12:00:00Z"),
        );
    }
    nanoseconds
}
