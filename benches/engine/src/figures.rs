//! What is measured.

use crate::measure::{self, Lines, least};
use crate::peers::{self, Peer};
use crate::workload::{Neutral, World};
use crate::{SIZES, rules};
use anyhow::{Context, Result, ensure};
use picket_engine::fold::Folder;
use picket_engine::naive::Evaluator;
use picket_engine::{CompileOptions, Program, Scratch, Verdicts};
use picket_lang::ir::{Rule, Test, TextMatch};
use picket_model::event::{Detail, Network};
use picket_model::field::{Field, ProcessAttr};
use picket_model::process::{Image, Process};
use picket_model::{Datum, Event, EventClass};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

/// How many events teach the compiler.
const SAMPLE: usize = 1000;

/// The workload.
pub struct Bench {
    pub neutral: Vec<Neutral>,
    pub lines: Vec<Value>,
    pub rules: Vec<Rule>,
}

/// Everything that was measured.
pub struct Figures {
    pub sizes: Vec<SizeFigures>,
    /// Bytes of a hostile command line; by length.
    pub hostile: Vec<HostileFigures>,
    /// Nanoseconds for an exec event with 1,000 rules.
    pub exec_ns: f64,
    /// Nanoseconds for a network or DNS event with 1,000 rules on its actor.
    pub actor_ns: f64,
}

/// One size of rule set.
pub struct SizeFigures {
    pub rules: usize,
    pub naive_ns: f64,
    pub program_ns: f64,
    /// The same if all command lines were known, and if all were new.
    pub known_ns: f64,
    pub new_ns: f64,
    pub compile_ms: f64,
    pub memory: usize,
    pub candidates: f64,
    pub checked: usize,
    /// Other engines, where they are there.
    pub peers: Vec<PeerFigures>,
}

/// Another engine with the same rules.
pub struct PeerFigures {
    pub name: &'static str,
    /// How many of the rules it could not be given.
    pub left_out: usize,
    pub each_ns: f64,
}

/// One length of a hostile command line, with 1,000 rules.
pub struct HostileFigures {
    pub bytes: usize,
    pub cut: bool,
    pub naive_ns: f64,
    pub program_ns: f64,
}

/// A measured program.
pub struct Measured {
    pub each_ns: f64,
    /// The same if all command lines were known, and if all were new.
    pub known_ns: f64,
    pub new_ns: f64,
    pub compile_ms: f64,
    pub memory: usize,
    pub candidates: f64,
    pub program: Program,
}

impl Bench {
    /// Measures everything.
    pub fn all(&self) -> Result<Figures> {
        let sizes = SIZES
            .into_iter()
            .map(|size| self.size(size))
            .collect::<Result<_>>()?;
        Ok(Figures {
            sizes,
            hostile: self.hostile()?,
            exec_ns: self.exec(),
            actor_ns: self.actor()?,
        })
    }

    fn fresh(&self, count: usize) -> Vec<Event> {
        let mut world = World::default();
        let some = self.neutral.iter().take(count);
        some.map(|neutral| world.event(neutral)).collect()
    }

    fn compile(&self, rules: &[Rule]) -> (Program, f64) {
        let sample = self.fresh(SAMPLE);
        let owned = rules.to_vec();
        let start = Instant::now();
        let program = Program::compile_with(owned, &CompileOptions { sample: &sample });
        (program, start.elapsed().as_secs_f64() * 1e3)
    }

    /// The program over so many rules.
    pub fn program(&self, size: usize, rounds: usize) -> Measured {
        let (program, compile_ms) = self.compile(&self.rules[..size.min(self.rules.len())]);
        let known_ns = self.run(&program, Lines::Known, rounds).0;
        let new_ns = self.run(&program, Lines::New, rounds).0;
        let (each_ns, candidates) = self.run(&program, Lines::AsTheyCome, rounds);
        Measured {
            each_ns,
            known_ns,
            new_ns,
            compile_ms,
            memory: program.memory(),
            candidates,
            program,
        }
    }

    /// Nanoseconds and candidates for an event, the caches being empty at first.
    pub fn run(&self, program: &Program, lines: Lines, rounds: usize) -> (f64, f64) {
        let mut verdicts = Verdicts::default();
        let mut candidates = 0;
        let ns = least(rounds, || {
            let mut scratch = Scratch::new();
            let ns = measure::hot_with(&self.neutral, lines, |event| {
                program.evaluate(event, &mut scratch, &mut verdicts);
            });
            let stats = scratch.stats(program);
            candidates = stats.iter().map(|rule| rule.candidates).sum();
            ns
        });
        (ns, candidates as f64 / self.neutral.len() as f64)
    }

    /// One size and one kind of command lines, for a profiler.
    pub fn profiled(&self, size: usize, lines: Lines, rounds: usize) -> f64 {
        let (program, _) = self.compile(&self.rules[..size.min(self.rules.len())]);
        self.run(&program, lines, rounds).0
    }

    fn size(&self, size: usize) -> Result<SizeFigures> {
        let rules = &self.rules[..size.min(self.rules.len())];
        let reference = Evaluator::new(rules);
        let few = (40_000_000 / size).clamp(2000, self.neutral.len());
        let naive = |count: usize| {
            let mut folder = Folder::default();
            let mut verdicts = Verdicts::default();
            least(3, || {
                measure::hot(&self.neutral[..count], |event| {
                    reference.evaluate(event, &mut folder, &mut verdicts);
                })
            })
        };
        let naive_ns = naive((2_000_000 / size).clamp(1000, self.neutral.len()));
        let measured = self.program(size, 9);
        let checked = check(&measured.program, &reference, &self.fresh(few))?;
        let peers = peers::all(rules, &self.neutral)?
            .into_iter()
            .map(|mut peer| self.peer(peer.as_mut(), &reference, few))
            .collect::<Result<_>>()?;
        Ok(SizeFigures {
            rules: size,
            naive_ns,
            program_ns: measured.each_ns,
            known_ns: measured.known_ns,
            new_ns: measured.new_ns,
            compile_ms: measured.compile_ms,
            memory: measured.memory,
            candidates: measured.candidates,
            checked,
            peers,
        })
    }

    /// A peer's matches are compared with the reference's before it is timed.
    fn peer(&self, peer: &mut dyn Peer, reference: &Evaluator, few: usize) -> Result<PeerFigures> {
        let mut folder = Folder::default();
        let mut verdicts = Verdicts::default();
        for event in self.fresh(few.min(2000)) {
            reference.evaluate(&event, &mut folder, &mut verdicts);
            let mut expected: Vec<u32> = verdicts.matched.iter().map(|rule| rule.0).collect();
            expected.retain(|rule| !peer.left_out().contains(rule));
            let found = peer.matches(&event).to_vec();
            ensure!(
                expected == found,
                "{} differs from the reference: {expected:?}, {found:?} on {event:?}",
                peer.name()
            );
        }
        Ok(PeerFigures {
            name: peer.name(),
            left_out: peer.left_out().len(),
            each_ns: least(3, || {
                measure::hot(&self.neutral[..few.min(self.neutral.len())], |event| {
                    peer.matches(event);
                })
            }),
        })
    }

    fn exec(&self) -> f64 {
        let exec: Vec<Neutral> = self
            .neutral
            .iter()
            .filter(|neutral| neutral.class() == EventClass::ProcessExec)
            .cloned()
            .collect();
        let (program, _) = self.compile(&self.rules[..1000]);
        let mut scratch = Scratch::new();
        let mut verdicts = Verdicts::default();
        least(9, || {
            measure::hot(&exec, |event| {
                program.evaluate(event, &mut scratch, &mut verdicts)
            })
        })
    }

    /// Events of 200 processes that connect and ask again and again.
    fn actor(&self) -> Result<f64> {
        let mut own = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            own.extend(rules::actor_rule(line, number)?);
        }
        own.truncate(1000);
        let reference = Evaluator::new(&own);
        let (program, _) = self.compile(&own);
        let mut world = World::default();
        let actors: Vec<Arc<Process>> = self.neutral[..200]
            .iter()
            .filter_map(|neutral| match world.event(neutral) {
                Event {
                    detail: Detail::Exec(exec),
                    ..
                } => Some(exec.process),
                event => event.actor.process.known().cloned(),
            })
            .collect();
        let others = self
            .neutral
            .iter()
            .filter(|n| n.class() != EventClass::ProcessExec);
        let events: Vec<Event> = others
            .enumerate()
            .map(|(number, neutral)| {
                let mut event = world.event(neutral);
                event.actor.process = Datum::Known(actors[number % actors.len()].clone());
                if number % 3 == 0 {
                    event.class = EventClass::NetworkListen;
                    event.detail = Detail::Network(Network::default());
                }
                event
            })
            .collect();
        check(&program, &reference, &events)?;
        let mut scratch = Scratch::new();
        let mut verdicts = Verdicts::default();
        Ok(least(9, || {
            measure::each(&events, |event| {
                program.evaluate(event, &mut scratch, &mut verdicts)
            })
        }))
    }

    /// Command lines made of what the rules look for.
    fn hostile(&self) -> Result<Vec<HostileFigures>> {
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
            let mut world = World::default();
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
        detail: Detail::Exec(picket_model::event::Exec {
            process: Arc::new(process),
            parent_process: Datum::Known(actor),
        }),
        ..event
    }
}

/// Compares program and reference on every event; how many matches there were.
fn check(program: &Program, reference: &Evaluator, events: &[Event]) -> Result<usize> {
    let mut scratch = Scratch::new();
    let mut folder = Folder::default();
    let (mut expected, mut found) = (Verdicts::default(), Verdicts::default());
    let mut matches = 0;
    for event in events {
        reference.evaluate(event, &mut folder, &mut expected);
        program.evaluate(event, &mut scratch, &mut found);
        ensure!(
            expected == found,
            "the program differs from the reference on {event:?}"
        );
        matches += found.matched.len();
    }
    Ok(matches)
}

/// The workload's sizes as they are read elsewhere.
pub fn of_size(figures: &Figures, rules: usize) -> Result<&SizeFigures> {
    figures
        .sizes
        .iter()
        .find(|size| size.rules == rules)
        .context("a measured size")
}
