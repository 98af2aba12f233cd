//! Why a rule matches an event, or does not: every predicate with the value it
//! saw. Slow and complete: nothing is skipped although the answer is known.

use crate::fold::Folder;
use crate::naive::{self, PreparedTest, has_expired};
use crate::truth::Truth;
use picket_lang::ir::{Expr, Predicate, Rule};
use picket_model::event::{TextList, Value};
use picket_model::process::Process;
use picket_model::text::Escaped;
use picket_model::{Datum, Event};
use serde::Serialize;

/// Why a rule holds of an event or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The rule's id.
    pub rule: String,
    /// What the rule says of the event as a whole.
    pub verdict: Truth,
    /// The event's class, if the rule does not look at it: then nothing else counts.
    pub other_class: Option<&'static str>,
    /// The condition.
    pub condition: Node,
    /// The exceptions.
    pub exceptions: Vec<ExceptionNode>,
}

/// One exception of the rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExceptionNode {
    /// Its name.
    pub name: String,
    /// It had expired when the event happened: it does not count.
    pub expired: bool,
    /// Its condition.
    pub condition: Node,
}

/// One part of a condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// What it says of the event.
    pub truth: Truth,
    /// What it is.
    #[serde(flatten)]
    pub part: Part,
}

/// The kinds of parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Part {
    /// All of them.
    And {
        /// These.
        parts: Vec<Node>,
    },
    /// Any of them.
    Or {
        /// These.
        parts: Vec<Node>,
    },
    /// Not it.
    Not {
        /// This one.
        part: Box<Node>,
    },
    /// `any LIST (…)`.
    Any {
        /// The list's name.
        list: &'static str,
        /// The body, for each process of the list, nearest first.
        processes: Vec<Element>,
        /// There were more processes, of which nothing is known.
        incomplete: bool,
    },
    /// One test of one field.
    Predicate {
        /// The field's name.
        field: String,
        /// The first byte of the predicate in its source.
        start: u32,
        /// One past its last byte.
        end: u32,
        /// The operator and its constants, as the engine has them.
        test: String,
        /// The value it saw; long ones are shortened.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// How much of the value is known.
        known: Knowledge,
    },
}

/// One process of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Element {
    /// Its name and pid, as far as they are known.
    pub process: String,
    /// The body.
    pub body: Node,
}

/// How much of a value was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// The event has no such value: the predicate is false.
    Absent,
    /// It has one, but it is not known.
    Unknown,
    /// Its beginning.
    Truncated,
    /// All of it.
    Whole,
}

/// Explains what a rule says of an event.
pub fn explain(rule: &Rule, event: &Event) -> Explanation {
    let mut folder = Folder::default();
    let other_class = (!rule.classes.contains(&event.class)).then(|| event.class.name());
    let condition = node(&rule.condition, event, None, &mut folder);
    let exceptions: Vec<ExceptionNode> = rule
        .exceptions
        .iter()
        .map(|exception| ExceptionNode {
            name: exception.name.clone(),
            expired: has_expired(exception.expires_ns, event),
            condition: node(&exception.condition, event, None, &mut folder),
        })
        .collect();
    let excepted = exceptions
        .iter()
        .filter(|exception| !exception.expired)
        .map(|exception| exception.condition.truth)
        .fold(Truth::False, Truth::or);
    let verdict = match other_class {
        Some(_) => Truth::False,
        None => condition.truth.and(!excepted),
    };
    Explanation {
        rule: rule.info.id.clone(),
        verdict,
        other_class,
        condition,
        exceptions,
    }
}

fn node(expr: &Expr, event: &Event, element: Option<&Process>, folder: &mut Folder) -> Node {
    let mut all = |parts: &[Expr]| -> Vec<Node> {
        parts
            .iter()
            .map(|part| node(part, event, element, folder))
            .collect()
    };
    match expr {
        Expr::And(parts) => {
            let parts = all(parts);
            Node {
                truth: parts
                    .iter()
                    .map(|part| part.truth)
                    .fold(Truth::True, Truth::and),
                part: Part::And { parts },
            }
        }
        Expr::Or(parts) => {
            let parts = all(parts);
            Node {
                truth: parts
                    .iter()
                    .map(|part| part.truth)
                    .fold(Truth::False, Truth::or),
                part: Part::Or { parts },
            }
        }
        Expr::Not(part) => {
            let part = Box::new(node(part, event, element, folder));
            Node {
                truth: !part.truth,
                part: Part::Not { part },
            }
        }
        Expr::Any(list, body) => {
            let mut processes = event.processes(*list);
            let elements: Vec<Element> = processes
                .by_ref()
                .map(|process| Element {
                    process: process_name(process),
                    body: node(body, event, Some(process), folder),
                })
                .collect();
            let incomplete = processes.is_cut();
            let start = if incomplete {
                Truth::Unknown
            } else {
                Truth::False
            };
            Node {
                truth: elements
                    .iter()
                    .map(|element| element.body.truth)
                    .fold(start, Truth::or),
                part: Part::Any {
                    list: list.name(),
                    processes: elements,
                    incomplete,
                },
            }
        }
        Expr::Predicate(predicate) => predicate_node(predicate, event, element, folder),
    }
}

fn predicate_node(
    predicate: &Predicate,
    event: &Event,
    element: Option<&Process>,
    folder: &mut Folder,
) -> Node {
    let seen = naive::value(event, element, predicate.field);
    let (value, known) = match seen {
        Datum::Absent => (None, Knowledge::Absent),
        Datum::Unknown => (None, Knowledge::Unknown),
        Datum::Truncated(value) => (Some(show(value)), Knowledge::Truncated),
        Datum::Known(value) => (Some(show(value)), Knowledge::Whole),
    };
    Node {
        truth: PreparedTest::new(&predicate.test).test(seen, folder),
        part: Part::Predicate {
            field: predicate.field.to_string(),
            start: predicate.span.start,
            end: predicate.span.end,
            test: crate::show::test(&predicate.test),
            value,
            known,
        },
    }
}

fn process_name(process: &Process) -> String {
    let name = Escaped(process.image.name.value().map_or("?", |name| name));
    match process.key.pid {
        0 => name.to_string(),
        pid => format!("{name} ({pid})"),
    }
}

/// A value as people read it.
fn show(value: Value<'_>) -> String {
    match value {
        Value::Str(text) => crate::show::quoted(text),
        Value::List(list) => show_list(list),
        Value::Int(number) => number.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Ip(address) => address.to_string(),
    }
}

fn show_list(list: TextList<'_>) -> String {
    const SHOWN: usize = 20;
    let mut parts: Vec<String> = list.iter().take(SHOWN).map(crate::show::quoted).collect();
    let more = list.iter().count().saturating_sub(SHOWN);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    format!("[{}]", parts.join(", "))
}
