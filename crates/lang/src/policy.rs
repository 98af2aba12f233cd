//! Policies: which matches lead to which action.

use crate::diagnostics::{Diagnostic, Problem, Sink, nearest};
use crate::ir;
use crate::source::SourceSpan;
use crate::words;
use crate::yaml::{self, Keys, Node, Value};
use picket_model::Policy;
use picket_model::policy::{Action, Budget, Effects, OnExceed, Trigger};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

const KEYS: &[&str] = &["id", "trigger", "projects", "action", "budget"];
const TRIGGER_KEYS: &[&str] = &["rules", "tags", "categories", "severity"];
const ACTION_KEYS: &[&str] = &["kill", "deny"];
const BUDGET_KEYS: &[&str] = &["kills", "per", "on_exceed", "resume_after"];

/// Categories that indicator feeds give, and no rule: a policy may name them
/// although no rule here has them.
const FEED_CATEGORIES: &[&str] = &[
    "malware",
    "malicious_ioc",
    "malicious_ioc.hash",
    "malicious_ioc.ip",
    "malicious_ioc.domain",
];

/// The rules that policies can name.
pub(crate) struct Rules<'r> {
    /// Every id, of rules with errors too.
    ids: &'r HashMap<String, SourceSpan>,
    tags: BTreeSet<&'r str>,
    categories: BTreeSet<&'r str>,
}

impl<'r> Rules<'r> {
    /// `ids` are those of all rules, also of rules that could not be loaded.
    pub(crate) fn new(loaded: &'r [ir::Rule], ids: &'r HashMap<String, SourceSpan>) -> Rules<'r> {
        let infos = || loaded.iter().map(|rule| &rule.info);
        Rules {
            ids,
            tags: infos()
                .flat_map(|info| &info.tags)
                .map(String::as_str)
                .collect(),
            categories: infos()
                .filter_map(|info| info.category.as_deref())
                .collect(),
        }
    }
}

/// Checks one policy. Nothing if it has errors, which have been reported.
pub(crate) fn check(
    node: &Node<'_>,
    rules: &Rules<'_>,
    ids: &mut HashMap<String, SourceSpan>,
    sink: &mut Sink,
) -> Option<Policy> {
    let errors = sink.errors();
    let keys = Keys::of(node, "a policy", KEYS, sink)?;
    let id = keys
        .require("id", sink)
        .and_then(|node| words::id(node, "a policy's id", "policies", ids, sink));
    let trigger = keys
        .require("trigger", sink)
        .and_then(|node| trigger(node, rules, sink));
    let projects = keys
        .get("projects")
        .map(|node| words::tags(node, "`projects`", "a project", sink));
    let action = keys
        .require("action", sink)
        .and_then(|node| action(node, sink));
    let budget = keys.get("budget").and_then(|node| budget(node, sink));
    if sink.errors() > errors {
        return None;
    }
    Some(Policy {
        id: id?,
        trigger: trigger?,
        projects: projects.unwrap_or_default(),
        action: action?,
        budget,
    })
}

fn trigger(node: &Node<'_>, rules: &Rules<'_>, sink: &mut Sink) -> Option<Trigger> {
    let keys = Keys::of(node, "a trigger", TRIGGER_KEYS, sink)?;
    let mut trigger = Trigger::default();
    if let Some(node) = keys.get("rules") {
        for (id, node) in yaml::texts(node, "`rules`", "a rule's id", sink) {
            if !rules.ids.contains_key(id) {
                let near = nearest(id, rules.ids.keys().map(String::as_str));
                let problem = Problem::UnknownRule { id: id.to_owned() };
                sink.push(Diagnostic::new(&problem, node.span.clone()).suggest(near));
            }
            trigger.rules.push(id.to_owned());
        }
    }
    if let Some(node) = keys.get("tags") {
        trigger.tags = words::tags(node, "`tags`", "a tag", sink);
        for (tag, node) in yaml::texts(node, "`tags`", "a tag", sink) {
            if !rules.tags.contains(tag) {
                let near = nearest(tag, rules.tags.iter().copied());
                let problem = Problem::UnmatchedTag {
                    tag: tag.to_owned(),
                };
                sink.push(Diagnostic::new(&problem, node.span.clone()).suggest(near));
            }
        }
    }
    if let Some(node) = keys.get("categories") {
        trigger.categories = words::tags(node, "`categories`", "a category", sink);
        for (category, node) in yaml::texts(node, "`categories`", "a category", sink) {
            check_category(category, node, rules, sink);
        }
    }
    trigger.severity = keys.get("severity").and_then(|node| {
        let text = yaml::text(node, "`severity`", sink)?;
        let word = text.strip_prefix(">=").unwrap_or(text).trim();
        words::severity(word, &node.span, sink)
    });
    let empty =
        trigger.rules.is_empty() && trigger.tags.is_empty() && trigger.categories.is_empty();
    if empty && keys.get("severity").is_none() {
        let place = node_start(node);
        sink.push(
            Diagnostic::new(&Problem::EmptyTrigger, place).help(
                "it would answer nothing; `severity: \">= informational\"` answers every match",
            ),
        );
    }
    Some(trigger)
}

fn check_category(category: &str, node: &Node<'_>, rules: &Rules<'_>, sink: &mut Sink) {
    let known = || rules.categories.iter().copied();
    // A category covers those below it.
    let covered = |known: &str| {
        known
            .strip_prefix(category)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if FEED_CATEGORIES.contains(&category) || known().any(covered) {
        return;
    }
    let near = nearest(category, known().chain(FEED_CATEGORIES.iter().copied()));
    let problem = Problem::UnmatchedCategory {
        category: category.to_owned(),
    };
    sink.push(Diagnostic::new(&problem, node.span.clone()).suggest(near));
}

fn action(node: &Node<'_>, sink: &mut Sink) -> Option<Action> {
    if let Some(text) = node.as_text() {
        let found = words::word(text, &["simulate", "block"], "an action", &node.span, sink)?;
        return Some(if found == 0 {
            Action::Simulate
        } else {
            Action::Block(Effects::BLOCK)
        });
    }
    let keys = Keys::of(node, "an action", ACTION_KEYS, sink)?;
    let mut effect = |key, what| {
        keys.get(key)
            .and_then(|node| yaml::truth(node, what, sink))
            .unwrap_or(false)
    };
    let effects = Effects {
        kill: effect("kill", "`kill`"),
        deny: effect("deny", "`deny`"),
    };
    if !effects.kill && !effects.deny {
        sink.push(
            Diagnostic::new(&Problem::NoEffect, node_start(node))
                .help("write `simulate`, `block`, or {kill: true} or {deny: true}"),
        );
        return None;
    }
    Some(Action::Block(effects))
}

fn budget(node: &Node<'_>, sink: &mut Sink) -> Option<Budget> {
    let keys = Keys::of(node, "a budget", BUDGET_KEYS, sink)?;
    let kills = keys.require("kills", sink).and_then(|node| {
        let kills = yaml::integer(node, "`kills`", sink)?;
        let fits = u32::try_from(kills)
            .ok()
            .filter(|kills| (1..=Budget::MOST_ACTIONS).contains(kills));
        if fits.is_none() {
            let problem = Problem::BadBudget { kills };
            sink.push(Diagnostic::new(&problem, node.span.clone()).help(
                "a policy that must not act has `action: simulate`; one without a bound has no budget",
            ));
        }
        fits
    });
    let per = keys
        .require("per", sink)
        .and_then(|node| duration(node, sink));
    if let Some(node) = keys.get("on_exceed") {
        let text = yaml::text(node, "`on_exceed`", sink)?;
        words::word(
            text,
            &["simulate"],
            "what a policy can do then",
            &node.span,
            sink,
        )?;
    }
    let resume_after = match keys.get("resume_after") {
        Some(node) => Some((duration(node, sink)?, node)),
        None => None,
    };
    if let (Some((pause, node)), Some(per)) = (resume_after, per)
        && pause < per
    {
        let problem = Problem::PauseInWindow {
            pause: pause.as_secs(),
            per: per.as_secs(),
        };
        sink.push(Diagnostic::new(&problem, node.span.clone()).help(
            "what was done in the last `per` still counts then, so that the next action may trip it again",
        ));
    }
    Some(Budget {
        kills: kills?,
        per: per?,
        on_exceed: OnExceed::Simulate,
        resume_after: resume_after.map(|(pause, _)| pause),
    })
}

/// A number with s, m, h or d.
fn duration(node: &Node<'_>, sink: &mut Sink) -> Option<Duration> {
    let text = node.scalar().map_or("", |scalar| &*scalar.text);
    let parsed = text.char_indices().next_back().and_then(|(at, unit)| {
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        let digits = text[..at].bytes().all(|byte| byte.is_ascii_digit());
        let number = text[..at]
            .parse::<u32>()
            .ok()
            .filter(|&number| digits && number > 0)?;
        Some(Duration::from_secs(u64::from(number) * seconds))
    });
    if parsed.is_none() {
        let problem = Problem::BadDuration {
            text: text.to_owned(),
        };
        sink.push(
            Diagnostic::new(&problem, node_start(node))
                .help("write a number and s, m, h or d, such as 1m"),
        );
    }
    parsed
}

/// The first key of a mapping, or the value itself.
fn node_start(node: &Node<'_>) -> SourceSpan {
    match &node.value {
        Value::Map(pairs) if !pairs.is_empty() => pairs[0].0.span.clone(),
        _ => node.span.clone(),
    }
}
