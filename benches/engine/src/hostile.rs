//! Command lines made by somebody who knows the rules.

use crate::figures::{Bench, check};
use crate::measure::{self, least};
use anyhow::Result;
use picket_engine::fold::Folder;
use picket_engine::naive::Evaluator;
use picket_engine::{Scratch, Verdicts};
use picket_lang::ir::{Rule, Test, TextMatch};
use picket_model::event::{Detail, Exec};
use picket_model::field::{Field, ProcessAttr};
use picket_model::process::{Image, Process};
use picket_model::{Datum, Event, EventClass};
use std::sync::Arc;

/// One length of a hostile command line, with 1,000 rules.
pub struct HostileFigures {
    pub bytes: usize,
    pub cut: bool,
    pub naive_ns: f64,
    pub program_ns: f64,
}

impl Bench {
    /// Command lines made of what the rules look for.
    pub fn hostile(&self) -> Result<Vec<HostileFigures>> {
        let rules = &self.rules[..1000];
        let needles = needles(rules);
        let reference = Evaluator::new(rules);
        let (program, _) = self.compile(rules);
        let mut folder = Folder::default();
        let mut verdicts = Verdicts::default();
        let mut figures = Vec::new();
        for (bytes, cut) in [
            (1024, false),
            (2048, false),
            (4096, false),
            (8192, false),
            (16384, false),
            (4096, true),
        ] {
            let mut world = crate::workload::World::default();
            let events: Vec<Event> = (0..64)
                .map(|number| {
                    hostile_event(
                        world.event(&self.neutral[number]),
                        &needles,
                        bytes,
                        cut,
                        number,
                    )
                })
                .collect();
            check(&program, &reference, &events)?;
            figures.push(HostileFigures {
                bytes,
                cut,
                naive_ns: least(5, || {
                    measure::each(&events, |event| {
                        reference.evaluate(event, &mut folder, &mut verdicts)
                    })
                }),
                // No line is known: who sends them sends others each time.
                program_ns: least(9, || {
                    let mut scratch = Scratch::new();
                    measure::each(&events, |event| {
                        program.evaluate(event, &mut scratch, &mut verdicts)
                    })
                }),
            });
        }
        Ok(figures)
    }
}

/// The constants that rules look for in command lines.
fn needles(rules: &[Rule]) -> Vec<String> {
    let mut needles = Vec::new();
    for rule in rules {
        rule.condition.predicates(&mut |predicate| {
            let of_line = matches!(predicate.field, Field::Process(_, ProcessAttr::CmdLine));
            if let (true, Test::Text(text)) = (of_line, &predicate.test) {
                if text.how == TextMatch::Contains {
                    needles.extend(text.patterns.iter().cloned());
                }
            }
        });
    }
    needles
}

/// An exec event with a command line stuffed with needles, another part of them
/// for each number.
fn hostile_event(
    event: Event,
    needles: &[String],
    bytes: usize,
    cut: bool,
    number: usize,
) -> Event {
    let mut line = String::new();
    for needle in needles.iter().cycle().skip(number * 131) {
        if line.len() + needle.len() > bytes {
            break;
        }
        line += needle;
    }
    let Some(actor) = event.actor.process.known().cloned() else {
        return event;
    };
    let line = line.into_boxed_str();
    let image = Image {
        cmd_line: if cut {
            Datum::Truncated(line)
        } else {
            Datum::Known(line)
        },
        ..(*actor.image).clone()
    };
    let process = Process::new(actor.key, Arc::new(image), actor.parent.clone());
    Event {
        class: EventClass::ProcessExec,
        detail: Detail::Exec(Exec {
            process: Arc::new(process),
            parent_process: Datum::Known(actor),
        }),
        ..event
    }
}
