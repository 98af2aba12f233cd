//! `picket explain`: which predicate made a rule match or not.

use super::Format;
use crate::inputs::InputArgs;
use crate::json_lines::JsonLines;
use crate::output;
use crate::rule_files::RuleFiles;
use anyhow::{Context, Result, bail};
use picket_engine::{Explanation, Truth, explain};
use picket_lang::ir::Rule;
use picket_model::text::Escaped;
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The rule's id
    #[arg(long, value_name = "ID")]
    rule: String,
    #[command(flatten)]
    inputs: InputArgs,
    /// Explain only the event with this metadata.uid
    #[arg(long, value_name = "UID")]
    event: Option<String>,
    /// How explanations are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// One explanation of `--format json`: one object a line.
#[derive(Serialize)]
struct Explained<'a> {
    event: String,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// An explanation for each event; 0 if the rule matches one of them, 1 if none.
pub fn run(args: &Args) -> Result<ExitCode> {
    let inputs = args.inputs.resolve()?;
    let files = RuleFiles::read_valid(&inputs.rules, inputs.builtin)?;
    let rule = rule(&files, &args.rule)?;
    let opened = inputs.open()?;
    let mut lines = JsonLines::new(opened.reader);
    let mut out = output::stdout();
    let (mut explained, mut matched) = (0, false);
    loop {
        let line = lines
            .next_line()
            .with_context(|| format!("cannot read {}", opened.name))?;
        let Some(line) = line else { break };
        let event = line
            .event
            .with_context(|| format!("{}, line {}", opened.name, line.number))?;
        let uid = event.uid.to_string();
        if args.event.as_ref().is_some_and(|wanted| *wanted != uid) {
            continue;
        }
        explained += 1;
        let explanation = explain(rule, &event);
        matched |= explanation.verdict == Truth::True;
        match args.format {
            Format::Text => writeln!(out, "event {}\n{explanation}", Escaped(&uid))?,
            Format::Json => {
                let explained = Explained {
                    event: uid,
                    explanation: &explanation,
                };
                output::json_line(&mut out, &explained)?;
            }
        }
    }
    out.flush()?;
    match (explained, &args.event) {
        (0, Some(uid)) => bail!("there is no event {} in {}", Escaped(uid), opened.name),
        (0, None) => bail!("there is no event in {}", opened.name),
        _ => Ok(ExitCode::from(u8::from(!matched))),
    }
}

fn rule<'f>(files: &'f RuleFiles, id: &str) -> Result<&'f Rule> {
    let rules = &files.checked.rules;
    if let Some(rule) = rules.iter().find(|rule| rule.info.id == id) {
        return Ok(rule);
    }
    let mut ids: Vec<&str> = rules.iter().map(|rule| &*rule.info.id).collect();
    ids.sort_unstable();
    const SHOWN: usize = 20;
    let more = ids.len().saturating_sub(SHOWN);
    ids.truncate(SHOWN);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    bail!("there is no rule `{id}`; there is {}{more}", ids.join(", "))
}
