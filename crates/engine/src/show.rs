//! Tests, values and explanations as text for people.

use crate::explain::{Explanation, Knowledge, Node, Part};
use crate::truth::Truth;
use picket_lang::ir::{Test, TextMatch};
use std::fmt::{self, Write as _};

/// Texts longer than this are shortened, in chars.
const SHOWN: usize = 200;

/// The text in quotes, shortened if it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}… ({} bytes)", &text[..cut], text.len()),
    }
}

/// Operator and constants.
pub(crate) fn test(test: &Test) -> String {
    match test {
        Test::Exists => "exists".to_owned(),
        Test::Text(text) => {
            let case = if text.ignore_case { "i" } else { "" };
            let operator = match text.how {
                TextMatch::Equals if text.ignore_case => "iequals".to_owned(),
                TextMatch::Equals => "==".to_owned(),
                TextMatch::Contains => format!("{case}contains"),
                TextMatch::StartsWith => format!("{case}startswith"),
                TextMatch::EndsWith => format!("{case}endswith"),
                TextMatch::Glob => format!("{case}glob"),
                TextMatch::Regex => format!("{case}matches"),
            };
            let patterns = text.patterns.iter().map(|pattern| quoted(pattern));
            match (&text.patterns[..], text.all) {
                ([only], _) => format!("{operator} {}", quoted(only)),
                (_, true) => format!("{operator} allof ({})", some(patterns)),
                (_, false) => format!("{operator} anyof ({})", some(patterns)),
            }
        }
        Test::TextNot {
            value,
            ignore_case: false,
        } => format!("!= {}", quoted(value)),
        Test::TextNot {
            value,
            ignore_case: true,
        } => format!("!= {} (without case)", quoted(value)),
        Test::Number(ranges) => {
            let ranges = ranges
                .iter()
                .map(|range| match (*range.start(), *range.end()) {
                    (low, high) if low == high => low.to_string(),
                    (i64::MIN, high) => format!("up to {high}"),
                    (low, i64::MAX) => format!("{low} and above"),
                    (low, high) => format!("{low}-{high}"),
                });
            format!("in ({})", some(ranges))
        }
        Test::NumberNot(number) => format!("!= {number}"),
        Test::Ip(networks) => format!(
            "in ({})",
            some(
                networks
                    .iter()
                    .map(|net| format!("{}/{}", net.base, net.prefix))
            )
        ),
        Test::IpNot(address) => format!("!= {address}"),
        Test::Bool(expected) => format!("== {expected}"),
    }
}

/// Up to twelve constants.
fn some(constants: impl ExactSizeIterator<Item = String>) -> String {
    const CONSTANTS: usize = 12;
    let more = constants.len().saturating_sub(CONSTANTS);
    let mut shown = constants.take(CONSTANTS).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(shown, ", and {more} more");
    }
    shown
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Truth::True => "matches",
            Truth::Unknown => "is undecided",
            Truth::False => "does not match",
        };
        writeln!(f, "{}: {verdict}", self.rule)?;
        if let Some(class) = self.other_class {
            writeln!(f, "  the rule does not look at {class} events")?;
        }
        writeln!(f, "  condition")?;
        node(f, &self.condition, 4)?;
        for exception in &self.exceptions {
            let expired = if exception.expired {
                " (expired: does not count)"
            } else {
                ""
            };
            writeln!(f, "  exception {}{expired}", exception.name)?;
            node(f, &exception.condition, 4)?;
        }
        Ok(())
    }
}

fn node(f: &mut fmt::Formatter<'_>, at: &Node, indent: usize) -> fmt::Result {
    write!(f, "{:indent$}{:<8}", "", at.truth.name())?;
    let inner = indent + 2;
    match &at.part {
        Part::And { parts } => {
            writeln!(f, "all of")?;
            parts.iter().try_for_each(|part| node(f, part, inner))
        }
        Part::Or { parts } => {
            writeln!(f, "any of")?;
            parts.iter().try_for_each(|part| node(f, part, inner))
        }
        Part::Not { part } => {
            writeln!(f, "not")?;
            node(f, part, inner)
        }
        Part::Any {
            list,
            processes,
            incomplete,
        } => {
            match (processes.is_empty(), incomplete) {
                (true, false) => writeln!(f, "any {list}: there are none")?,
                (true, true) => writeln!(f, "any {list}: not known")?,
                (false, false) => writeln!(f, "any {list}")?,
                (false, true) => writeln!(f, "any {list}: incomplete")?,
            }
            for element in processes {
                writeln!(f, "{:inner$}{}", "", element.process)?;
                node(f, &element.body, inner + 2)?;
            }
            Ok(())
        }
        Part::Predicate {
            field,
            test,
            value,
            known,
            ..
        } => {
            let value = value.as_deref().unwrap_or_default();
            match known {
                Knowledge::Absent => writeln!(f, "{field} {test}: the event has no such value"),
                Knowledge::Unknown => writeln!(f, "{field} {test}: the value is not known"),
                Knowledge::Truncated => {
                    writeln!(f, "{field} {test}: it begins {value} and is cut off")
                }
                Knowledge::Whole => writeln!(f, "{field} {test}: it is {value}"),
            }
        }
    }
}
