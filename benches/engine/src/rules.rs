//! The workload's rules, brought into the checked form.

use anyhow::{Context, Result, bail};
use picket_engine::fold::fold;
use picket_lang::ir::{Expr, IpNetwork, Predicate, Rule, Span, Test, TextMatch, TextTest};
use picket_model::field::{EventAttr, Field, ProcessAttr, ProcessList, Subject};
use picket_model::rule::RuleInfo;
use picket_model::{EventClass, Severity};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

const CLASSES: [EventClass; 3] = [
    EventClass::ProcessExec,
    EventClass::NetworkConnect,
    EventClass::DnsQuery,
];

/// The rule of one line.
pub fn rule(json: &Value, number: usize) -> Result<Rule> {
    let etype = etype(json);
    let classes = match etype {
        Some(etype) => vec![CLASSES[etype as usize - 1]],
        // As in Sigma, where most are of the category process_creation.
        None => vec![EventClass::ProcessExec],
    };
    let subject = match classes[..] {
        [EventClass::ProcessExec] => Subject::Process,
        _ => Subject::Actor,
    };
    Ok(Rule {
        info: Arc::new(info(number)),
        classes,
        condition: expr(json, subject).with_context(|| format!("rule {number}"))?,
        exceptions: Vec::new(),
    })
}

/// The same rule, said of the acting process in network and DNS events; none if
/// it speaks of what such events do not have.
pub fn actor_rule(json: &Value, number: usize) -> Result<Option<Rule>> {
    let condition = expr(json, Subject::Actor)?;
    let mut elsewhere = false;
    condition.predicates(&mut |predicate| {
        elsewhere |= matches!(predicate.field, Field::Process(Subject::Parent, _));
        elsewhere |= predicate.field == Field::Event(EventAttr::QueryHostname);
    });
    let classes = vec![
        EventClass::NetworkConnect,
        EventClass::NetworkListen,
        EventClass::DnsQuery,
    ];
    Ok((!elsewhere).then(|| Rule {
        info: Arc::new(info(number)),
        classes,
        condition,
        exceptions: Vec::new(),
    }))
}

/// The class that a rule's topmost *and* asks for.
pub fn etype(json: &Value) -> Option<u64> {
    let parts = json["and"]
        .as_array()
        .map_or(std::slice::from_ref(json), |parts| parts);
    parts
        .iter()
        .find(|part| part["p"][0] == "etype")
        .and_then(|part| part["p"][2][0].as_u64())
}

fn expr(json: &Value, subject: Subject) -> Result<Expr> {
    let (key, value) = json
        .as_object()
        .and_then(|map| map.iter().next())
        .context("an object with one key")?;
    let all = |value: &Value| -> Result<Vec<Expr>> {
        let parts = value.as_array().context("a list")?;
        parts.iter().map(|part| expr(part, subject)).collect()
    };
    Ok(match key.as_str() {
        "and" => Expr::And(all(value)?),
        "or" => Expr::Or(all(value)?),
        "not" => Expr::Not(Box::new(expr(value, subject)?)),
        "p" => predicate(value, subject)?,
        other => bail!("{other} is no part of a rule"),
    })
}

fn predicate(json: &Value, subject: Subject) -> Result<Expr> {
    let field = json[0].as_str().context("a field")?;
    let operator = json[1].as_str().context("an operator")?;
    let values = json[2].as_array().context("constants")?;
    let ignore_case = json[3].as_bool().unwrap_or_default();
    let of = |attr| Field::Process(subject, attr);
    let parent = |attr| Field::Process(Subject::Parent, attr);
    let field = match field {
        // The class is no predicate of ours: it is always true by now.
        "etype" => return Ok(Expr::And(Vec::new())),
        "ancestors" => return ancestors(values),
        "exe" => of(ProcessAttr::ExePath),
        "name" => of(ProcessAttr::Name),
        "cmdline" => of(ProcessAttr::CmdLine),
        "cwd" => of(ProcessAttr::WorkingDirectory),
        "pname" => parent(ProcessAttr::Name),
        "pexe" => parent(ProcessAttr::ExePath),
        "pcmdline" => parent(ProcessAttr::CmdLine),
        "user" => Field::Event(EventAttr::UserName),
        "uid" => Field::Event(EventAttr::UserUid),
        "dns" => Field::Event(EventAttr::QueryHostname),
        "dip" => Field::Event(EventAttr::DstIp),
        "dport" => Field::Event(EventAttr::DstPort),
        other => bail!("unknown field {other}"),
    };
    let test = match operator {
        "cidr" => Test::Ip(values.iter().map(network).collect::<Result<_>>()?),
        ">=" => {
            let low = values[0].as_i64().context("a number")?;
            Test::Number(vec![low..=i64::MAX])
        }
        "==" | "in" if values.iter().all(Value::is_i64) => Test::Number(
            values
                .iter()
                .filter_map(Value::as_i64)
                .map(|number| number..=number)
                .collect(),
        ),
        _ => Test::Text(text(operator, values, ignore_case)?),
    };
    Ok(Expr::Predicate(Predicate {
        field,
        test,
        span: Span::default(),
    }))
}

fn text(operator: &str, values: &[Value], ignore_case: bool) -> Result<TextTest> {
    let how = match operator {
        "eq" | "in" | "==" => TextMatch::Equals,
        "prefix" => TextMatch::StartsWith,
        "suffix" => TextMatch::EndsWith,
        "contains" => TextMatch::Contains,
        "glob" => TextMatch::Glob,
        "regex" => TextMatch::Regex,
        other => bail!("unknown operator {other}"),
    };
    let patterns = values
        .iter()
        .map(|value| {
            let value = value.as_str().context("a text")?;
            Ok(match how {
                TextMatch::Regex => value.to_owned(),
                _ if ignore_case => fold(value),
                _ => value.to_owned(),
            })
        })
        .collect::<Result<_>>()?;
    Ok(TextTest {
        how,
        ignore_case,
        patterns,
        all: false,
    })
}

/// `|name|` in the neutral form: an ancestor of that name.
fn ancestors(values: &[Value]) -> Result<Expr> {
    let names = values
        .iter()
        .map(|value| {
            Ok(value
                .as_str()
                .context("a text")?
                .trim_matches('|')
                .to_owned())
        })
        .collect::<Result<_>>()?;
    let name = Predicate {
        field: Field::Process(Subject::Element, ProcessAttr::Name),
        test: Test::Text(TextTest {
            how: TextMatch::Equals,
            ignore_case: false,
            patterns: names,
            all: false,
        }),
        span: Span::default(),
    };
    let body = Box::new(Expr::Predicate(name));
    Ok(Expr::Any(ProcessList::ProcessAncestors, body))
}

fn network(value: &Value) -> Result<IpNetwork> {
    let text = value.as_str().context("a network")?;
    let (base, prefix) = text.split_once('/').unwrap_or((text, "32"));
    let prefix: u8 = prefix.parse()?;
    let base: IpAddr = base.parse()?;
    let base = match base {
        IpAddr::V4(base) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((base.to_bits() & mask).into())
        }
        base => base,
    };
    Ok(IpNetwork { base, prefix })
}

fn info(number: usize) -> RuleInfo {
    RuleInfo::named(&format!("workload-{number}"), Severity::Medium)
}
