//! Past findings, judged again: by the engine that sensors have, on the event that the
//! finding holds, with an exception and without.

use crate::api::definitions::{Entry, judge, rule_among};
use crate::api::problem::Problem;
use picket_engine::{Program, RuleIndex, Scratch, Verdicts};
use picket_model::{Event, ocsf};
use serde_json::Value;

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It would not have been made.
    Hidden,
    /// It would have been made all the same.
    Kept,
    /// The rule as it is now does not match it, exception or not.
    Unmatched,
    /// Its event cannot be read, or lacks what decides.
    Unjudged,
}

/// A rule without an exception, and with it.
pub(super) struct Lens {
    bare: Judge,
    with: Judge,
}

/// Rules, in use. An event is of one class, so at most one of those that differ by class
/// alone has a say.
pub(in crate::api) struct Judge {
    program: Program,
    scratch: Scratch,
    verdicts: Verdicts,
}

impl Judge {
    pub(in crate::api) fn of(rules: Vec<picket_lang::ir::Rule>) -> Judge {
        let program = Program::compile(rules);
        Judge {
            scratch: program.scratch(),
            program,
            verdicts: Verdicts::default(),
        }
    }

    /// None: it cannot be said.
    pub(in crate::api) fn matches(&mut self, event: &Event) -> Option<bool> {
        let verdicts = self.verdicts(event);
        let decided = verdicts.undecided.is_empty();
        decided.then_some(!verdicts.matched.is_empty())
    }

    pub(in crate::api) fn verdicts(&mut self, event: &Event) -> &Verdicts {
        self.verdicts.clear();
        self.program
            .evaluate(event, &mut self.scratch, &mut self.verdicts);
        &self.verdicts
    }

    /// The id of a rule that a verdict names.
    pub(in crate::api) fn id(&self, index: RuleIndex) -> &str {
        &self.program.rule(index).info.id
    }
}

/// The event that a finding is about.
pub(in crate::api) fn event(finding: &Value) -> Option<Event> {
    let evidence = finding.pointer("/evidences/0")?;
    ocsf::event_from_json(evidence.to_string().as_bytes(), 1).ok()
}

impl Lens {
    /// For the rule and the exception of that name among the entries. An error if the
    /// exception is wrong.
    pub(super) async fn new(
        before: Vec<Entry>,
        after: Vec<Entry>,
        rule: String,
        exception: String,
    ) -> Result<Lens, Problem> {
        judge(before, after.clone()).await?;
        tokio::task::spawn_blocking(move || Lens::ground(&after, &rule, &exception))
            .await
            .map_err(Problem::internal)?
    }

    fn ground(entries: &[Entry], rule: &str, exception: &str) -> Result<Lens, Problem> {
        let found = rule_among(entries, rule);
        let with = found.ok_or_else(|| {
            Problem::invalid(format!("the rule {rule} is wrong or not enabled by itself"))
        })?;
        let mut bare = with.clone();
        bare.exceptions.retain(|one| one.name != exception);
        Ok(Lens {
            bare: Judge::of(vec![bare]),
            with: Judge::of(vec![with]),
        })
    }

    pub(super) fn judge(&mut self, event: &Event) -> Seen {
        match (self.bare.matches(event), self.with.matches(event)) {
            (Some(true), Some(false)) => Seen::Hidden,
            (Some(true), Some(true)) => Seen::Kept,
            (Some(false), _) => Seen::Unmatched,
            _ => Seen::Unjudged,
        }
    }
}
