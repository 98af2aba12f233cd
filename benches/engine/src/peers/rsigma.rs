//! `rsigma-eval`, an evaluator for Sigma rules with a candidate index.
//!
//! Each rule becomes a Sigma rule: a selection for each predicate, and a condition
//! over them. It reads our events where they are, without JSON between.

use super::Peer;
use anyhow::{Context, Result, bail, ensure};
use picket_lang::ir::{Expr, Predicate, Rule, Test, TextMatch, TextTest};
use picket_model::event::Value;
use picket_model::field::{EventAttr, Field, ProcessAttr, ProcessList, Subject};
use picket_model::{Datum, Event, EventClass};
use rsigma_eval::{Engine, EventValue};
use rsigma_parser::{LogSource, SigmaRule, parse_sigma_yaml};
use std::borrow::Cow;
use std::fmt::Write as _;

pub struct Rsigma {
    engine: Engine,
    /// By class: what an event says of its source.
    sources: Vec<LogSource>,
    left_out: Vec<u32>,
    matched: Vec<u32>,
}

impl Rsigma {
    /// Loads the rules; those that cannot be said in Sigma are left out.
    pub fn new(rules: &[Rule]) -> Result<Rsigma> {
        let mut own: Vec<SigmaRule> = Vec::new();
        let mut left_out = Vec::new();
        for (rule, number) in rules.iter().zip(0..) {
            match sigma(rule, number) {
                Ok(yaml) => {
                    let mut parsed = parse_sigma_yaml(&yaml)
                        .map_err(|error| anyhow::anyhow!("{error}: {yaml}"))?;
                    ensure!(parsed.errors.is_empty(), "{:?}: {yaml}", parsed.errors);
                    own.append(&mut parsed.rules);
                }
                Err(_) => left_out.push(number),
            }
        }
        let mut engine = Engine::new();
        let errors = engine.add_rules(&own);
        ensure!(
            errors.is_empty(),
            "rsigma does not compile: {:?}",
            errors[0]
        );
        let source = |class: EventClass| LogSource {
            category: Some(class.name().to_owned()),
            ..LogSource::default()
        };
        Ok(Rsigma {
            engine,
            sources: EventClass::ALL.into_iter().map(source).collect(),
            left_out,
            matched: Vec::new(),
        })
    }
}

impl Peer for Rsigma {
    fn name(&self) -> &'static str {
        "rsigma-eval"
    }

    fn left_out(&self) -> &[u32] {
        &self.left_out
    }

    fn matches(&mut self, event: &Event) -> &[u32] {
        let source = &self.sources[event.class as usize];
        self.matched.clear();
        for result in self.engine.evaluate_pruned(&Seen(event), source) {
            self.matched.extend(result.header.rule_title.parse::<u32>());
        }
        self.matched.sort_unstable();
        &self.matched
    }
}

/// The rule in Sigma's YAML.
fn sigma(rule: &Rule, number: u32) -> Result<String> {
    let [class] = rule.classes[..] else {
        bail!("a rule of several classes");
    };
    let mut selections = String::new();
    let mut count = 0;
    let condition = condition(&rule.condition, &mut selections, &mut count)?;
    ensure!(rule.exceptions.is_empty(), "a rule with exceptions");
    Ok(format!(
        "title: '{number}'\nlogsource:\n  category: {class}\ndetection:\n{selections}  condition: {condition}\n"
    ))
}

fn condition(expr: &Expr, selections: &mut String, count: &mut u32) -> Result<String> {
    let mut all = |parts: &[Expr], with: &str| -> Result<String> {
        let parts = parts
            .iter()
            // The class, which is always true by now.
            .filter(|part| !matches!(part, Expr::And(inner) if inner.is_empty()))
            .map(|part| condition(part, selections, count))
            .collect::<Result<Vec<_>>>()?;
        ensure!(!parts.is_empty(), "nothing to ask");
        Ok(format!("({})", parts.join(with)))
    };
    Ok(match expr {
        Expr::And(parts) => all(parts, " and ")?,
        Expr::Or(parts) => all(parts, " or ")?,
        Expr::Not(part) => format!("not {}", condition(part, selections, count)?),
        Expr::Predicate(predicate) => {
            selection(predicate, name(predicate.field)?, selections, count)?
        }
        Expr::Any(ProcessList::ProcessAncestors, body) => match &**body {
            Expr::Predicate(predicate)
                if predicate.field == Field::Process(Subject::Element, ProcessAttr::Name) =>
            {
                selection(predicate, "ancestors", selections, count)?
            }
            _ => bail!("a list of processes and their attributes"),
        },
        Expr::Any(..) => bail!("a list that Sigma's events do not have"),
    })
}

/// Adds a selection with one predicate; its name.
fn selection(
    predicate: &Predicate,
    field: &str,
    selections: &mut String,
    count: &mut u32,
) -> Result<String> {
    let (modifiers, values) = match &predicate.test {
        Test::Text(text) => text_values(text)?,
        Test::Number(ranges) => match &ranges[..] {
            [from] if *from.end() == i64::MAX => {
                ("|gte".to_owned(), vec![from.start().to_string()])
            }
            ranges => {
                ensure!(
                    ranges.iter().all(|range| range.start() == range.end()),
                    "ranges"
                );
                let numbers = ranges.iter().map(|range| range.start().to_string());
                (String::new(), numbers.collect())
            }
        },
        Test::Ip(networks) => {
            let text = |network: &picket_lang::ir::IpNetwork| {
                format!("'{}/{}'", network.base, network.prefix)
            };
            ("|cidr".to_owned(), networks.iter().map(text).collect())
        }
        _ => bail!("a test that Sigma does not have"),
    };
    let own = format!("s{count}");
    *count += 1;
    writeln!(
        selections,
        "  {own}:\n    {field}{modifiers}: [{}]",
        values.join(", ")
    )?;
    Ok(own)
}

fn text_values(text: &TextTest) -> Result<(String, Vec<String>)> {
    ensure!(!text.all, "all of several");
    let mut modifiers = match text.how {
        TextMatch::Equals | TextMatch::Glob => String::new(),
        TextMatch::Contains => "|contains".to_owned(),
        TextMatch::StartsWith => "|startswith".to_owned(),
        TextMatch::EndsWith => "|endswith".to_owned(),
        TextMatch::Regex => "|re".to_owned(),
    };
    match text.how {
        TextMatch::Regex => ensure!(!text.ignore_case, "a regex without case"),
        _ if !text.ignore_case => modifiers += "|cased",
        _ => {}
    }
    let values = text
        .patterns
        .iter()
        .map(|pattern| {
            let value = match text.how {
                TextMatch::Regex => pattern.clone(),
                TextMatch::Glob => {
                    ensure!(!pattern.contains(['[', '\\']), "a glob with a set");
                    pattern.clone()
                }
                _ => escape(pattern),
            };
            // A JSON string is a YAML one.
            serde_json::to_string(&value).context("a string")
        })
        .collect::<Result<_>>()?;
    Ok((modifiers, values))
}

/// What stands for itself in a Sigma value.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, c| {
        if matches!(c, '*' | '?' | '\\') {
            all.push('\\');
        }
        all.push(c);
        all
    })
}

const FIELDS: [(&str, Field); 17] = [
    (
        "exe",
        Field::Process(Subject::Process, ProcessAttr::ExePath),
    ),
    ("name", Field::Process(Subject::Process, ProcessAttr::Name)),
    (
        "cmdline",
        Field::Process(Subject::Process, ProcessAttr::CmdLine),
    ),
    (
        "cwd",
        Field::Process(Subject::Process, ProcessAttr::WorkingDirectory),
    ),
    ("aexe", Field::Process(Subject::Actor, ProcessAttr::ExePath)),
    ("aname", Field::Process(Subject::Actor, ProcessAttr::Name)),
    (
        "acmdline",
        Field::Process(Subject::Actor, ProcessAttr::CmdLine),
    ),
    (
        "acwd",
        Field::Process(Subject::Actor, ProcessAttr::WorkingDirectory),
    ),
    (
        "pexe",
        Field::Process(Subject::Parent, ProcessAttr::ExePath),
    ),
    ("pname", Field::Process(Subject::Parent, ProcessAttr::Name)),
    (
        "pcmdline",
        Field::Process(Subject::Parent, ProcessAttr::CmdLine),
    ),
    ("user", Field::Event(EventAttr::UserName)),
    ("uid", Field::Event(EventAttr::UserUid)),
    ("dns", Field::Event(EventAttr::QueryHostname)),
    ("dip", Field::Event(EventAttr::DstIp)),
    ("dport", Field::Event(EventAttr::DstPort)),
    ("host", Field::Event(EventAttr::DeviceHostname)),
];

fn name(field: Field) -> Result<&'static str> {
    let own = FIELDS.iter().find(|(_, own)| *own == field);
    own.map(|(name, _)| *name)
        .context("a field of the workload")
}

/// An event as rsigma sees it.
struct Seen<'e>(&'e Event);

impl rsigma_eval::Event for Seen<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        if path == "ancestors" {
            let names = self
                .0
                .processes(ProcessList::ProcessAncestors)
                .filter_map(|process| process.image.name.known())
                .map(|name| EventValue::Str(Cow::Borrowed(name)));
            return Some(EventValue::Array(names.collect()));
        }
        let (_, field) = FIELDS.iter().find(|(name, _)| *name == path)?;
        let Datum::Known(value) = self.0.value(*field) else {
            return None;
        };
        Some(match value {
            Value::Str(text) => EventValue::Str(Cow::Borrowed(text)),
            Value::Int(number) => EventValue::Int(number),
            Value::Bool(is) => EventValue::Bool(is),
            Value::Ip(address) => EventValue::Str(Cow::Owned(address.to_string())),
            Value::List(_) => return None,
        })
    }

    fn any_string_value(&self, _: &dyn Fn(&str) -> bool) -> bool {
        // For keywords, which no rule has.
        false
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        Vec::new()
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}
