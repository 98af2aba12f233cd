//! Rules: a mapping's keys to a checked rule and its tests.

use crate::check::{self, Context, Scope};
use crate::diagnostics::{Diagnostic, Problem, Sink, nearest};
use crate::ir;
use crate::source::{Lines, SourceSpan};
use crate::suite::{self, RuleTests};
use crate::words;
use crate::yaml::{self, Keys, Node};
use picket_model::rule::{Origin, Outputs, RuleInfo};
use picket_model::{EventClass, Severity};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

mod exception;

const KEYS: &[&str] = &[
    "id",
    "title",
    "description",
    "event",
    "severity",
    "category",
    "projects",
    "tags",
    "author",
    "false_positives",
    "references",
    "condition",
    "exceptions",
    "outputs",
    "tests",
    "enabled",
];

/// A rule that may be loaded.
pub(crate) struct Loaded {
    pub(crate) rule: ir::Rule,
    pub(crate) tests: RuleTests,
}

/// What rules are checked against besides the language.
pub(crate) struct Surroundings<'s> {
    /// The file of each source, and where its lines begin.
    pub(crate) files: Vec<(&'s str, Lines<'s>)>,
    /// Ids so far, of rules with errors too.
    pub(crate) ids: HashMap<String, SourceSpan>,
    /// Exceptions that stand apart, by their rules' ids, until their rule is checked.
    pub(crate) exceptions: HashMap<String, Vec<Rc<Node<'s>>>>,
    /// The present, if known.
    pub(crate) now_ns: Option<i64>,
}

/// Whose the exceptions are that stand apart from their rules.
pub(crate) fn exceptions_apart<'s>(
    nodes: &[Rc<Node<'s>>],
    sink: &mut Sink,
) -> HashMap<String, Vec<Rc<Node<'s>>>> {
    let mut apart: HashMap<String, Vec<Rc<Node<'s>>>> = HashMap::new();
    for node in nodes {
        if let Some(rule) = exception::rule(node, sink) {
            apart.entry(rule).or_default().push(node.clone());
        }
    }
    apart
}

/// Reports exceptions of rules that are not there.
pub(crate) fn exceptions_of_nobody(around: &Surroundings<'_>, sink: &mut Sink) {
    let mut left: Vec<_> = around.exceptions.iter().collect();
    left.sort_by_key(|(rule, _)| *rule);
    for (rule, nodes) in left {
        let near = nearest(rule, around.ids.keys().map(String::as_str));
        for node in nodes {
            let problem = Problem::UnknownRule { id: rule.clone() };
            sink.push(Diagnostic::new(&problem, node.span.clone()).suggest(near));
        }
    }
}

/// Checks one rule. Nothing if it has errors, which have been reported, or is
/// not enabled.
pub(crate) fn check(
    cx: &mut Context<'_>,
    node: &Node<'_>,
    around: &mut Surroundings<'_>,
) -> Option<Loaded> {
    let errors = cx.sink.errors();
    let keys = Keys::of(node, "a rule", KEYS, cx.sink)?;
    let info = info(&keys, node, around, cx.sink);
    let classes = keys
        .require("event", cx.sink)
        .map(|node| classes(node, cx.sink));
    // Even where the class is wrong, what does not depend on it is looked at.
    let known = classes.as_deref().filter(|classes| !classes.is_empty());
    let condition = keys
        .require("condition", cx.sink)
        .and_then(|node| condition(cx, node, known));
    let apart = info
        .as_ref()
        .and_then(|info| around.exceptions.remove(&info.id))
        .unwrap_or_default();
    let exceptions = known.map_or_else(Vec::new, |classes| {
        let own = keys.get("exceptions").map(|node| &**node);
        exception::check(cx, own, &apart, classes, around.now_ns)
    });
    let tests = match (keys.get("tests"), known) {
        (Some(node), Some(classes)) => suite::read(node, classes, &around.files, cx.sink),
        _ => Vec::new(),
    };
    let enabled = keys
        .get("enabled")
        .and_then(|node| yaml::truth(node, "`enabled`", cx.sink));
    let (info, classes, condition) = (info?, classes?, condition?);
    if cx.sink.errors() > errors || enabled == Some(false) {
        return None;
    }
    let tests = RuleTests {
        rule: info.id.clone(),
        tests,
    };
    let rule = ir::Rule {
        info: Arc::new(info),
        classes,
        condition,
        exceptions,
    };
    Some(Loaded { rule, tests })
}

fn condition(
    cx: &mut Context<'_>,
    node: &Node<'_>,
    classes: Option<&[EventClass]>,
) -> Option<ir::Expr> {
    let syntax = check::parse_node(node, "the condition", cx.limits, cx.sink)?;
    let mut cx = Context {
        limits: cx.limits,
        names: cx.names,
        sink: cx.sink,
    };
    let expr = check::condition(&mut cx, &syntax, Scope::of_rule(node, classes))?;
    check::warn_if_costly(&mut cx, &expr, node);
    Some(expr)
}

fn classes(node: &Node<'_>, sink: &mut Sink) -> Vec<EventClass> {
    if let Some(text) = node.as_text() {
        return words::class(text, &node.span, sink).into_iter().collect();
    }
    if !matches!(node.value, yaml::Value::List(_)) {
        yaml::text(node, "`event`", sink);
        return Vec::new();
    }
    let texts = yaml::texts(node, "`event`", "an event class", sink);
    if texts.is_empty() {
        sink.report(&Problem::Empty { what: "`event`" }, node.span.clone());
    }
    let found: Vec<_> = texts
        .iter()
        .map(|(text, node)| words::class(text, &node.span, sink))
        .collect();
    // One wrong class would make fields seem wrong that are right in the one meant.
    found
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .unwrap_or_default()
}

fn info(
    keys: &Keys<'_, '_>,
    node: &Node<'_>,
    around: &mut Surroundings<'_>,
    sink: &mut Sink,
) -> Option<RuleInfo> {
    let id = keys
        .require("id", sink)
        .and_then(|node| words::id(node, "a rule's id", "rules", &mut around.ids, sink));
    let title = keys
        .require("title", sink)
        .and_then(|node| yaml::text(node, "`title`", sink));
    let severity: Option<Severity> = keys
        .require("severity", sink)
        .and_then(|node| Some((node, yaml::text(node, "`severity`", sink)?)))
        .and_then(|(node, text)| words::severity(text, &node.span, sink));
    let mut text = |key, what| {
        keys.get(key)
            .and_then(|node| yaml::text(node, what, sink))
            .map(str::to_owned)
    };
    let description = text("description", "`description`");
    let author = text("author", "`author`");
    let category = text("category", "`category`");
    if let (Some(node), Some(category)) = (keys.get("category"), &category) {
        words::tag(category, &node.span, sink);
    }
    let mut tags = |key, what, item| {
        keys.get(key)
            .map(|node| words::tags(node, what, item, sink))
            .unwrap_or_default()
    };
    let projects = tags("projects", "`projects`", "a project");
    let tags = tags("tags", "`tags`", "a tag");
    let mut texts = |key, what, item| {
        let texts = keys
            .get(key)
            .map(|node| yaml::texts(node, what, item, sink));
        texts
            .unwrap_or_default()
            .into_iter()
            .map(|(text, _)| text.to_owned())
            .collect()
    };
    let false_positives = texts("false_positives", "`false_positives`", "a false positive");
    let references = texts("references", "`references`", "a reference");
    let outputs = keys.get("outputs").map_or(
        Outputs {
            finding: true,
            issue: false,
        },
        |node| outputs(node, sink),
    );
    let (file, lines) = around.files.get(node.span.source)?;
    Some(RuleInfo {
        id: id?,
        title: title?.trim_end().to_owned(),
        description: description.unwrap_or_default().trim_end().to_owned(),
        severity: severity?,
        category,
        projects,
        tags,
        author,
        false_positives,
        references,
        outputs,
        origin: Origin {
            file: (*file).to_owned(),
            line: lines.position(node.span.start).line,
        },
    })
}

fn outputs(node: &Node<'_>, sink: &mut Sink) -> Outputs {
    let mut outputs = Outputs {
        finding: false,
        issue: false,
    };
    let texts = yaml::texts(node, "`outputs`", "an output", sink);
    if texts.is_empty() && matches!(node.value, yaml::Value::List(_)) {
        let problem = Problem::Empty { what: "`outputs`" };
        sink.push(
            Diagnostic::new(&problem, node.span.clone())
                .help("to switch a rule off, write `enabled: false`"),
        );
    }
    for (text, node) in texts {
        match words::word(text, &["finding", "issue"], "an output", &node.span, sink) {
            Some(0) => outputs.finding = true,
            Some(_) => outputs.issue = true,
            None => {}
        }
    }
    outputs
}
