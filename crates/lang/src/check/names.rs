//! Lists and macros: shared by all files, in any order.

use crate::check::lower::Lowered;
use crate::condition::ast::Expr;
use crate::condition::{Flaw, parse};
use crate::diagnostics::{Diagnostic, Problem, Sink, nearest};
use crate::limits::Limits;
use crate::source::SourceSpan;
use crate::yaml::{self, Keys, Node, ScalarKind, Value};
use picket_model::field::ProcessAttr;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Every list and macro of a set of files.
#[derive(Default)]
pub(crate) struct Names<'s> {
    lists: HashMap<String, List<'s>>,
    macros: HashMap<String, Macro<'s>>,
    /// The macros being resolved, outermost first.
    pub(super) resolving: RefCell<Vec<String>>,
}

/// A named list.
pub(crate) struct List<'s> {
    place: SourceSpan,
    pub(super) items: Vec<Rc<Node<'s>>>,
    /// Its own problems have been reported, so its users need not repeat them.
    pub(super) sound: bool,
    pub(super) used: Cell<bool>,
}

/// A named condition.
pub(crate) struct Macro<'s> {
    place: SourceSpan,
    pub(super) node: Rc<Node<'s>>,
    pub(super) syntax: Expr,
    pub(super) state: RefCell<State>,
    pub(super) used: Cell<bool>,
}

/// How far a macro's resolution has come.
#[derive(Clone)]
pub(super) enum State {
    Waiting,
    InProgress,
    Done(Rc<Lowered>),
    /// Its problems have been reported.
    Broken,
}

impl<'s> Names<'s> {
    /// Adds a file's `lists:`.
    pub(crate) fn add_lists(&mut self, node: &Node<'s>, limits: &Limits, sink: &mut Sink) {
        let Some(keys) = Keys::any(node, "`lists`", sink) else {
            return;
        };
        for (name, key, value) in keys.entries() {
            let errors = sink.errors();
            check_name("list", name, key, sink);
            let items = items(value, limits, sink);
            if let Some(before) = self.lists.get(name) {
                duplicate("list", name, key, &before.place, sink);
                continue;
            }
            self.lists.insert(
                name.to_owned(),
                List {
                    place: key.span.clone(),
                    items,
                    sound: sink.errors() == errors,
                    used: Cell::new(false),
                },
            );
        }
    }

    /// Adds a file's `macros:`.
    pub(crate) fn add_macros(&mut self, node: &Node<'s>, limits: &Limits, sink: &mut Sink) {
        let Some(keys) = Keys::any(node, "`macros`", sink) else {
            return;
        };
        for (name, key, value) in keys.entries() {
            check_name("macro", name, key, sink);
            let syntax = parse_node(value, "the macro", limits, sink);
            if let Some(before) = self.macros.get(name) {
                duplicate("macro", name, key, &before.place, sink);
                continue;
            }
            let (syntax, state) = match syntax {
                Some(syntax) => (syntax, State::Waiting),
                None => (Expr::Flawed, State::Broken),
            };
            self.macros.insert(
                name.to_owned(),
                Macro {
                    place: key.span.clone(),
                    node: Rc::clone(value),
                    syntax,
                    state: RefCell::new(state),
                    used: Cell::new(false),
                },
            );
        }
    }

    /// The list of that name, from now on used; unknown ones are reported.
    pub(crate) fn list(&self, name: &str, span: SourceSpan, sink: &mut Sink) -> Option<&List<'s>> {
        let Some(list) = self.lists.get(name) else {
            let problem = Problem::UnknownList {
                name: name.to_owned(),
            };
            let near = nearest(name, self.lists.keys().map(String::as_str));
            let mut diagnostic =
                Diagnostic::new(&problem, span).suggest(near.map(|near| format!("${near}")));
            if self.lists.is_empty() {
                diagnostic = diagnostic.help("lists are defined under the file's key `lists`");
            }
            sink.push(diagnostic);
            return None;
        };
        list.used.set(true);
        Some(list)
    }

    pub(super) fn find_macro(&self, name: &str) -> Option<&Macro<'s>> {
        self.macros.get(name)
    }

    pub(super) fn macro_names(&self) -> impl Iterator<Item = &str> {
        self.macros.keys().map(String::as_str)
    }

    /// Name and definition of each macro, in the order of the sources.
    pub(crate) fn macros_in_order(&self) -> Vec<(&str, &SourceSpan)> {
        let mut all: Vec<_> = self
            .macros
            .iter()
            .map(|(name, m)| (name.as_str(), &m.place))
            .collect();
        all.sort_by_key(|(_, place)| (place.source, place.start));
        all
    }

    /// Warns of what no rule uses. Files without rules are libraries: what
    /// stands in them may be for files that are not here.
    pub(crate) fn warn_unused(&self, has_rules: impl Fn(usize) -> bool, sink: &mut Sink) {
        let lists = self
            .lists
            .iter()
            .map(|(name, list)| ("list", name, &list.place, list.used.get()));
        let macros = self
            .macros
            .iter()
            .map(|(name, m)| ("macro", name, &m.place, m.used.get()));
        // In the order of the files: which warnings are the ones too many must
        // not depend on a hash.
        let mut all: Vec<_> = lists.chain(macros).collect();
        all.sort_by_key(|(_, _, place, _)| (place.source, place.start));
        for (what, name, place, used) in all {
            if !used && has_rules(place.source) {
                sink.report(
                    &Problem::Unused {
                        what,
                        name: name.clone(),
                    },
                    place.clone(),
                );
            }
        }
    }
}

/// Parses the condition a node holds; nothing if it is no text or has flaws
/// that left nothing of it. Flaws are reported.
pub(crate) fn parse_node(
    node: &Node<'_>,
    what: &'static str,
    limits: &Limits,
    sink: &mut Sink,
) -> Option<Expr> {
    let Some(Value::Scalar(scalar)) = Some(&node.value) else {
        yaml::text(node, what, sink);
        return None;
    };
    let text = match scalar.kind {
        ScalarKind::Text | ScalarKind::Null => &*scalar.text,
        // `condition: true` and the like.
        _ => {
            yaml::text(node, what, sink);
            return None;
        }
    };
    if text.len() > limits.condition_bytes {
        let problem = Problem::ConditionTooLong {
            bytes: text.len(),
            limit: limits.condition_bytes,
        };
        let start = SourceSpan {
            end: node.span.start,
            ..node.span.clone()
        };
        sink.push(
            Diagnostic::new(&problem, start)
                .help("long alternatives belong in a list: `FIELD in $list`"),
        );
        return None;
    }
    let (syntax, flaws) = parse(text, what, limits.condition_depth);
    for Flaw {
        problem,
        span,
        also,
        help,
    } in flaws
    {
        let mut diagnostic = Diagnostic::new(&problem, node.locate(span));
        if let Some((span, words)) = also {
            diagnostic = diagnostic.also(node.locate(span), words);
        }
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        sink.push(diagnostic);
    }
    Some(syntax)
}

fn items<'s>(node: &Node<'s>, limits: &Limits, sink: &mut Sink) -> Vec<Rc<Node<'s>>> {
    let Some(items) = yaml::list(node, "a list", sink) else {
        return Vec::new();
    };
    if items.is_empty() {
        sink.report(&Problem::Empty { what: "the list" }, node.span.clone());
    }
    if items.len() > limits.list_items {
        let problem = Problem::ListTooLong {
            limit: limits.list_items,
        };
        let first = &items[0].span;
        sink.report(&problem, first.clone());
        return Vec::new();
    }
    let mut sound = Vec::with_capacity(items.len());
    for item in items {
        match item.scalar().map(|scalar| scalar.kind) {
            Some(ScalarKind::Text | ScalarKind::Integer(_)) => sound.push(Rc::clone(item)),
            _ => {
                yaml::text(item, "a list item", sink);
            }
        }
    }
    sound
}

fn duplicate(what: &'static str, name: &str, key: &Node<'_>, before: &SourceSpan, sink: &mut Sink) {
    let problem = Problem::DuplicateDefinition {
        what,
        name: name.to_owned(),
    };
    sink.push(
        Diagnostic::new(&problem, key.span.clone())
            .here("again here")
            .also(before.clone(), "first defined here"),
    );
}

fn check_name(what: &'static str, name: &str, key: &Node<'_>, sink: &mut Sink) {
    let letters = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let why = if !letters {
        "names are letters, digits, `_` and `-`, and begin with a letter or `_`"
    } else if what == "macro" && crate::condition::is_keyword(name) {
        "the condition language has that word"
    } else if what == "macro" && ProcessAttr::from_name(name).is_some() {
        "a process has a field of that name"
    } else {
        return;
    };
    let problem = Problem::BadName {
        what,
        name: name.to_owned(),
        why,
    };
    sink.report(&problem, key.span.clone());
}
