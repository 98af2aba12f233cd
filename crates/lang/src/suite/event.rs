//! A test's mapping to the event it describes.
//!
//! Keys are the rule language's names, nested at their dots or written with
//! them; `ancestors` are those of the process that is started, or of the actor.

use crate::check;
use crate::diagnostics::{Diagnostic, Problem, Sink, nearest};
use crate::source::SourceSpan;
use crate::suite::draft::EventDraft;
use crate::suite::given::{Given, Reader};
use crate::suite::process::Draft;
use crate::words;
use crate::yaml::{self, Keys, Node, Value};
use picket_model::field::{Field, ProcessAttr, ProcessList, Subject};
use picket_model::{Event, EventClass};
use std::collections::HashMap;

/// Keys of a test event besides fields.
const SPECIAL: &[&str] = &["ancestors", "unknown", "class", "time"];

/// The event of a test: of `class` if the test says so, otherwise of the class
/// the event itself names, otherwise of the rule's first.
pub(super) fn read(
    node: &Node<'_>,
    class: Option<EventClass>,
    classes: &[EventClass],
    sink: &mut Sink,
) -> Option<Event> {
    let errors = sink.errors();
    let keys = Keys::any(node, "`event`", sink)?;
    let own = match keys.get("class") {
        Some(node) => Some(self::class(node, classes, sink)?),
        None => None,
    };
    let class = own.or(class).or(classes.first().copied())?;
    let mut builder = Builder {
        class,
        draft: EventDraft::default(),
        given: HashMap::new(),
        sink,
    };
    builder.draft.time_ns = super::time(&keys, builder.sink);
    for (name, key, value) in keys
        .entries()
        .filter(|(name, ..)| !matches!(*name, "class" | "time" | "unknown"))
    {
        let name = if name == "ancestors" {
            builder.ancestors().name()
        } else {
            name
        };
        builder.entry(name, key, value);
    }
    if let Some(unknown) = keys.get("unknown") {
        builder.unknown(unknown);
    }
    let Builder { draft, .. } = builder;
    if sink.errors() > errors {
        return None;
    }
    Some(draft.finish(class))
}

/// A test's class: one of its rule's.
pub(super) fn class(
    node: &Node<'_>,
    classes: &[EventClass],
    sink: &mut Sink,
) -> Option<EventClass> {
    let text = yaml::text(node, "`class`", sink)?;
    let class = words::class(text, &node.span, sink)?;
    if classes.contains(&class) {
        return Some(class);
    }
    let names: Vec<_> = classes.iter().map(|class| class.name()).collect();
    sink.push(
        Diagnostic::new(
            &Problem::TestClass {
                class: text.to_owned(),
            },
            node.span.clone(),
        )
        .help(format!("its `event` is {}", names.join(", "))),
    );
    None
}

struct Builder<'b> {
    class: EventClass,
    draft: EventDraft,
    /// What has been given so far, and where.
    given: HashMap<String, SourceSpan>,
    sink: &'b mut Sink,
}

impl Builder<'_> {
    /// The list that `ancestors` alone stands for.
    fn ancestors(&self) -> ProcessList {
        match self.class {
            EventClass::ProcessExec => ProcessList::ProcessAncestors,
            _ => ProcessList::ActorAncestors,
        }
    }

    /// Outside `process.exec` both names mean the actor's ancestors.
    fn list(&self, name: &str) -> Option<ProcessList> {
        ProcessList::from_name(name).map(|list| match self.class {
            EventClass::ProcessExec => list,
            _ => ProcessList::ActorAncestors,
        })
    }

    fn entry(&mut self, name: &str, key: &Node<'_>, value: &Node<'_>) {
        if let Some(list) = self.list(name) {
            if self.take(list.name(), &key.span) {
                let ancestors = self.processes(value);
                self.draft.set_ancestors(list, ancestors);
            }
            return;
        }
        if let Some(field) = Field::from_name(name) {
            if self.in_class(field, name, &key.span) && self.take(name, &key.span) {
                let reader = Reader {
                    field,
                    given: Given::Value(value),
                    sink: self.sink,
                };
                self.draft.set(field, reader);
            }
            return;
        }
        let prefix = format!("{name}.");
        let is_prefix = Field::all().any(|field| field.to_string().starts_with(&prefix));
        if !is_prefix {
            self.unknown_key(name, &key.span);
            return;
        }
        let Some(keys) = Keys::any(value, "a part of the event", self.sink) else {
            return;
        };
        for (inner, key, value) in keys.entries() {
            self.entry(&format!("{prefix}{inner}"), key, value);
        }
    }

    /// Whether a name is given for the first time; reported if not.
    fn take(&mut self, name: &str, span: &SourceSpan) -> bool {
        let Some(before) = self.given.insert(name.to_owned(), span.clone()) else {
            return true;
        };
        let problem = Problem::DuplicateKey {
            key: name.to_owned(),
        };
        self.sink
            .push(Diagnostic::new(&problem, span.clone()).also(before, "the first time"));
        false
    }

    fn in_class(&mut self, field: Field, name: &str, span: &SourceSpan) -> bool {
        if check::missing_class(field, &[self.class]).is_none() {
            return true;
        }
        let problem = Problem::UnknownEventKey {
            key: name.to_owned(),
            class: self.class.name().to_owned(),
        };
        let diagnostic = Diagnostic::new(&problem, span.clone());
        self.sink.push(match field {
            Field::Process(Subject::Process, attr) => diagnostic.help(format!(
                "the process that acts in `{}` is `actor.process`: write `{}{}`",
                self.class,
                Subject::Actor.prefix(),
                attr.name(),
            )),
            Field::Process(Subject::Parent, _) => {
                diagnostic.help("its parent is the first of `ancestors`")
            }
            _ => diagnostic,
        });
        false
    }

    fn unknown_key(&mut self, name: &str, span: &SourceSpan) {
        let class = self.class;
        let mut known: Vec<String> = Field::all()
            .filter(|field| check::missing_class(*field, &[class]).is_none())
            .map(|field| field.to_string())
            .collect();
        if let Some((parent, _)) = name.rsplit_once('.') {
            known.retain(|known| known.starts_with(parent));
        } else {
            // A first part: `proces` is nearest to `process`, not to a whole name.
            known = known
                .iter()
                .filter_map(|known| known.split('.').next())
                .map(str::to_owned)
                .collect();
            known.extend(SPECIAL.iter().map(|&special| special.to_owned()));
            known.sort();
            known.dedup();
        }
        let near = nearest(name, known.iter().map(String::as_str));
        let problem = Problem::UnknownEventKey {
            key: name.to_owned(),
            class: class.name().to_owned(),
        };
        self.sink
            .push(Diagnostic::new(&problem, span.clone()).suggest(near));
    }

    fn processes(&mut self, node: &Node<'_>) -> Vec<Draft> {
        let items = yaml::list(node, "`ancestors`", self.sink).unwrap_or_default();
        items.iter().map(|item| self.process(item)).collect()
    }

    /// One ancestor: its keys are those of a process.
    fn process(&mut self, node: &Node<'_>) -> Draft {
        let mut draft = Draft::default();
        if let Some(keys) = Keys::any(node, "an ancestor", self.sink) {
            self.attributes(&mut draft, "", &keys);
        }
        draft
    }

    fn attributes(&mut self, draft: &mut Draft, prefix: &str, keys: &Keys<'_, '_>) {
        for (inner, key, value) in keys.entries() {
            let name = format!("{prefix}{inner}");
            if let Some(attr) = ProcessAttr::from_name(&name) {
                let field = Field::Process(Subject::Element, attr);
                draft.set(
                    attr,
                    Reader {
                        field,
                        given: Given::Value(value),
                        sink: self.sink,
                    },
                );
                continue;
            }
            let below = format!("{name}.");
            let is_prefix = ProcessAttr::ALL
                .iter()
                .any(|attr| attr.name().starts_with(&below));
            if let (true, Value::Map(_)) = (is_prefix, &value.value) {
                if let Some(keys) = Keys::any(value, "a part of an ancestor", self.sink) {
                    self.attributes(draft, &below, &keys);
                }
                continue;
            }
            let near = nearest(&name, ProcessAttr::ALL.iter().map(|attr| attr.name()));
            let problem = Problem::UnknownKey {
                key: name,
                what: "an ancestor",
            };
            self.sink
                .push(Diagnostic::new(&problem, key.span.clone()).suggest(near));
        }
    }

    fn unknown(&mut self, node: &Node<'_>) {
        for (name, node) in yaml::texts(node, "`unknown`", "a field", self.sink) {
            let name = if name == "ancestors" {
                self.ancestors().name()
            } else {
                name
            };
            let list = self.list(name);
            let whole = match name {
                "actor.process" => Some(Subject::Actor),
                "process.parent_process" if self.class == EventClass::ProcessExec => {
                    Some(Subject::Parent)
                }
                _ => None,
            };
            if list.is_none() && whole.is_none() && Field::from_name(name).is_none() {
                self.unknown_key(name, &node.span);
                continue;
            }
            let field = Field::from_name(name);
            if field.is_some_and(|field| !self.in_class(field, name, &node.span)) {
                continue;
            }
            // A list may be given and cut off: its rest is unknown then.
            if list.is_none() {
                if let Some(before) = self.given.get(name) {
                    let problem = Problem::KnownAndUnknown {
                        field: name.to_owned(),
                    };
                    self.sink.push(
                        Diagnostic::new(&problem, node.span.clone())
                            .also(before.clone(), "given here"),
                    );
                    continue;
                }
            }
            if let Some(list) = list {
                self.draft.cut_ancestors(list);
            } else if let Some(subject) = whole {
                self.draft.set_unknown(subject);
            } else if let Some(field) = field {
                self.draft.set(
                    field,
                    Reader {
                        field,
                        given: Given::Unknown(node),
                        sink: self.sink,
                    },
                );
            }
        }
    }
}
