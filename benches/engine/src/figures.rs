//! What is measured.

use crate::hostile::HostileFigures;
use crate::measure::{self, Lines, least};
use crate::peers::{self, Peer};
use crate::workload::{Neutral, World};
use crate::{SIZES, rules};
use anyhow::{Context, Result, ensure};
use picket_engine::fold::Folder;
use picket_engine::naive::Evaluator;
use picket_engine::{CompileOptions, Program, Scratch, Verdicts};
use picket_lang::ir::Rule;
use picket_model::event::{Detail, Network};
use picket_model::process::Process;
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

    pub fn compile(&self, rules: &[Rule]) -> (Program, f64) {
        let sample = self.fresh(SAMPLE);
        let owned = rules.to_vec();
        let start = Instant::now();
        let program = Program::compile_with(owned, &CompileOptions { sample: &sample });
        (program, start.elapsed().as_secs_f64() * 1e3)
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

    /// Everything is measured in turn, several times: what disturbs the machine
    /// disturbs all.
    fn size(&self, size: usize) -> Result<SizeFigures> {
        const ROUNDS: usize = 5;
        let rules = &self.rules[..size.min(self.rules.len())];
        let reference = Evaluator::new(rules);
        let (program, compile_ms) = self.compile(rules);
        let few = (10_000_000 / size).clamp(2000, self.neutral.len());
        let checked = check(&program, &reference, &self.fresh(2 * few))?;
        let mut peers = peers::all(rules, &self.neutral)?;
        let mut figures = SizeFigures {
            rules: size,
            naive_ns: f64::INFINITY,
            program_ns: f64::INFINITY,
            known_ns: f64::INFINITY,
            new_ns: f64::INFINITY,
            compile_ms,
            memory: program.memory(),
            candidates: 0.0,
            checked,
            peers: Vec::new(),
        };
        for peer in &mut peers {
            self.check_peer(peer.as_mut(), &reference)?;
            figures.peers.push(PeerFigures {
                name: peer.name(),
                left_out: peer.left_out().len(),
                each_ns: f64::INFINITY,
            });
        }
        let (mut folder, mut verdicts) = (Folder::default(), Verdicts::default());
        let some = &self.neutral[..few];
        for _ in 0..ROUNDS {
            keep_least(
                &mut figures.naive_ns,
                measure::hot(some, |event| {
                    reference.evaluate(event, &mut folder, &mut verdicts);
                }),
            );
            let (ns, candidates) = self.run(&program, Lines::AsTheyCome, 2);
            keep_least(&mut figures.program_ns, ns);
            figures.candidates = candidates;
            keep_least(&mut figures.known_ns, self.run(&program, Lines::Known, 1).0);
            keep_least(&mut figures.new_ns, self.run(&program, Lines::New, 1).0);
            for (peer, figures) in peers.iter_mut().zip(&mut figures.peers) {
                let ns = measure::hot(some, |event| {
                    peer.matches(event);
                });
                keep_least(&mut figures.each_ns, ns);
            }
        }
        Ok(figures)
    }

    /// A peer's matches are compared with the reference's before it is timed.
    fn check_peer(&self, peer: &mut dyn Peer, reference: &Evaluator) -> Result<()> {
        let mut folder = Folder::default();
        let mut verdicts = Verdicts::default();
        for event in self.fresh(2000) {
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
        Ok(())
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
}

/// Keeps the lesser of two.
fn keep_least(kept: &mut f64, ns: f64) {
    *kept = kept.min(ns);
}

/// Compares program and reference on every event; how many matches there were.
pub fn check(program: &Program, reference: &Evaluator, events: &[Event]) -> Result<usize> {
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
