//! `picket match`: recorded events against rules, offline.

use crate::inputs::InputArgs;
use crate::json_lines::JsonLines;
use crate::live::Format;
use crate::rule_files::{RuleFiles, counted};
use crate::{console, output};
use anyhow::{Context, Result};
use picket_engine::{Program, Scratch, Verdicts};
use picket_model::finding::{Decision, Finding, Mechanism, Outcome, Withheld};
use picket_model::policy::Policy;
use picket_model::rule::RuleInfo;
use picket_model::text::Escaped;
use picket_model::{Event, ocsf, text};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    inputs: InputArgs,
    /// Apply only what is for this project or for every sensor (given several
    /// times: for one of these). Without it everything applies
    #[arg(long = "project", value_name = "NAME")]
    projects: Vec<String>,
    /// How findings are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Messages about bad lines, before only their number is told.
const MOST_MESSAGES: u64 = 100;

/// Findings to stdout, in the order of the events; 2 if a line was no event.
pub fn run(args: &Args) -> Result<ExitCode> {
    let inputs = args.inputs.resolve()?;
    let files = RuleFiles::read_valid(&inputs.rules, inputs.builtin)?;
    let opened = inputs.open()?;
    let mut matcher = Matcher::new(files, &args.projects);
    let mut lines = JsonLines::new(opened.reader);
    let mut out = output::stdout();
    let colour = console::colour_on_stdout();
    let mut bad_lines = 0;
    loop {
        let line = lines
            .next_line()
            .with_context(|| format!("cannot read {}", opened.name))?;
        let Some(line) = line else { break };
        let event = match line.event {
            Ok(event) => event,
            Err(error) => {
                bad_lines += 1;
                if bad_lines <= MOST_MESSAGES {
                    let place = format!("{}, line {}", opened.name, line.number);
                    console::error(&format!("{place}: {error}"));
                }
                continue;
            }
        };
        let findings = matcher.judge(event);
        for finding in &findings {
            match args.format {
                Format::Json => output::json_line(&mut out, &ocsf::finding_to_json(finding))?,
                Format::Text => writeln!(out, "{}", text::finding(finding, colour))?,
            }
        }
        // Somebody may be waiting for these while we wait for the next event.
        if !opened.is_file && !findings.is_empty() {
            out.flush()?;
        }
    }
    out.flush()?;
    matcher.report_undecided();
    if bad_lines == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let lines = usize::try_from(bad_lines).unwrap_or(usize::MAX);
    console::error(&format!(
        "{} could not be read as an event",
        counted(lines, "line", "lines")
    ));
    Ok(ExitCode::from(2))
}

struct Matcher {
    program: Program,
    policies: Vec<(Arc<str>, Policy)>,
    scratch: Scratch,
    verdicts: Verdicts,
    undecided: BTreeMap<String, usize>,
}

impl Matcher {
    fn new(files: RuleFiles, projects: &[String]) -> Matcher {
        let holds = |wanted: &[String]| {
            let wanted_here = || wanted.iter().any(|project| projects.contains(project));
            projects.is_empty() || wanted.is_empty() || wanted_here()
        };
        let mut rules = files.checked.rules;
        rules.retain(|rule| holds(&rule.info.projects));
        let policies = files.checked.policies.into_iter();
        let program = Program::compile(rules);
        Matcher {
            scratch: program.scratch(),
            program,
            policies: policies
                .filter(|policy| holds(&policy.projects))
                .map(|policy| (policy.id.as_str().into(), policy))
                .collect(),
            verdicts: Verdicts::default(),
            undecided: BTreeMap::new(),
        }
    }

    fn judge(&mut self, event: Event) -> Vec<Finding> {
        self.program
            .evaluate(&event, &mut self.scratch, &mut self.verdicts);
        for &index in &self.verdicts.undecided {
            let id = &self.program.rule(index).info.id;
            match self.undecided.get_mut(id) {
                Some(count) => *count += 1,
                None => {
                    self.undecided.insert(id.clone(), 1);
                }
            }
        }
        if self.verdicts.matched.is_empty() {
            return Vec::new();
        }
        let event = Arc::new(event);
        let matched = self.verdicts.matched.iter();
        let finding = |rule: &Arc<RuleInfo>| Finding {
            rule: Arc::clone(rule),
            event: Arc::clone(&event),
            decisions: self.decisions(rule, &event),
        };
        matched
            .map(|&index| &self.program.rule(index).info)
            .filter(|info| info.outputs.finding || info.outputs.issue)
            .map(finding)
            .collect()
    }

    /// What the policies would answer. Nothing here can be acted on.
    fn decisions(&self, rule: &RuleInfo, event: &Event) -> Vec<Decision> {
        let Some(target) = event.own_process() else {
            return Vec::new();
        };
        self.policies
            .iter()
            .filter(|(_, policy)| policy.trigger.selects(rule))
            .map(|(id, policy)| Decision {
                policy: Arc::clone(id),
                effects: policy.action.effects(),
                pid: target.key.pid,
                mechanisms: vec![Mechanism::PidfdKill],
                outcome: Outcome::Withheld(Withheld::Replay),
            })
            .collect()
    }

    fn report_undecided(&self) {
        for (id, &count) in &self.undecided {
            console::warning(&format!(
                "rule {} could not decide {}: a value it needs is unknown or cut off",
                Escaped(id),
                counted(count, "event", "events")
            ));
        }
    }
}
