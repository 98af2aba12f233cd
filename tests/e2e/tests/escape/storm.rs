//! A storm: one program executed again and again, and what came of it.

use crate::stage::{First, LONG};
use anyhow::{Context, Result, ensure};
use picket_e2e::cause::Running;
use picket_e2e::guest::suite;
use picket_e2e::{Cause, Said, report};
use std::time::{Duration, Instant};

/// Runs that show that a program would act if nothing stopped it.
const UNSTOPPED: usize = 20;

/// Many executions of one program.
#[derive(Debug, Clone)]
pub struct Storm<'s> {
    what: String,
    first: First,
    cause: Cause<'s>,
    between: Vec<String>,
    act: &'static str,
    way: Option<String>,
    program: String,
    args: Vec<String>,
}

impl<'s> Storm<'s> {
    /// Of vforks, two at once.
    pub fn new(
        what: String,
        first: First,
        cause: Cause<'s>,
        program: String,
        args: Vec<String>,
    ) -> Storm<'s> {
        Storm {
            what,
            first,
            cause,
            between: Vec::new(),
            act: "storm",
            way: Some("vfork".to_owned()),
            program,
            args,
        }
    }

    /// In this way (programs/ways.c), not by vfork.
    #[must_use]
    pub fn by_way(mut self, way: &str) -> Storm<'s> {
        self.what = format!("{}, by {way}", self.what);
        self.way = Some(way.to_owned());
        self
    }

    /// Of another program.
    #[must_use]
    pub fn of(mut self, program: String) -> Storm<'s> {
        self.what = format!("{}, {program}", self.what);
        self.program = program;
        self
    }

    /// Started by another program, which is started by the usual one.
    #[must_use]
    pub fn through(mut self, between: &str) -> Storm<'s> {
        self.what = format!("{}, from afar", self.what);
        self.between = vec!["spawn".to_owned(), between.to_owned()];
        self
    }

    /// One after another, with a moment between, so that a sensor keeps up with it.
    #[must_use]
    pub fn paced(mut self) -> Storm<'s> {
        self.cause = self.cause.env("CAUSE_WORKERS", "1");
        let microseconds = if suite::inside().is_some() {
            50_000
        } else {
            1_000
        };
        self.cause = self.cause.env("CAUSE_PAUSE", microseconds.to_string());
        self
    }

    /// With another argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Storm<'s> {
        self.args.push(arg.into());
        self
    }

    /// Not an execution after the other: as many processes that fork and fork.
    #[must_use]
    pub fn in_a_bomb(mut self) -> Storm<'s> {
        self.what = format!("{}, in a bomb", self.what);
        self.act = "bomb";
        self.way = None;
        self
    }

    /// Runs it to its end.
    pub fn run(&self, runs: usize) -> Result<Tally> {
        let mut raging = self.start(runs)?;
        raging.tally()
    }

    /// Starts one that lasts until [`Raging::stop`].
    pub fn rage(&self) -> Result<Raging> {
        self.start(0)
    }

    fn start(&self, runs: usize) -> Result<Raging> {
        let mut args = self.between.clone();
        args.extend([self.act.to_owned(), runs.to_string()]);
        args.extend(self.way.clone());
        args.push(self.program.clone());
        args.extend(self.args.iter().cloned());
        let mut running = self.cause.start(&args)?;
        running.go()?;
        Ok(Raging {
            what: self.what.clone(),
            running,
            since: Instant::now(),
        })
    }

    /// Shows that its programs do act where nothing stops them.
    pub fn acts_unstopped(&self) -> Result<()> {
        let tally = self.run(UNSTOPPED)?;
        let acted = match self.first {
            First::Write => tally.bytes == tally.runs,
            // Each may be counted and removed with the other's.
            First::Creat => tally.files > 0,
        };
        ensure!(
            acted && tally.otherwise == tally.runs && tally.killed == 0,
            "nothing stops it, and yet: {tally:?}"
        );
        Ok(())
    }
}

/// A storm that goes on.
#[derive(Debug)]
pub struct Raging {
    what: String,
    running: Running,
    since: Instant,
}

impl Raging {
    /// Ends one that lasts.
    pub fn stop(mut self) -> Result<Tally> {
        self.running.close_input();
        self.tally()
    }

    fn tally(&mut self) -> Result<Tally> {
        let said = self
            .running
            .said_within(LONG)
            .with_context(|| self.what.clone())?;
        let tally = Tally::of(self.what.clone(), &said, self.since.elapsed())?;
        let ended = self.running.end()?;
        ensure!(
            ended.status.success(),
            "{}: {}: {}",
            self.what,
            ended.status,
            ended.errors.join("\n")
        );
        // Of one execution there is nothing to measure.
        if tally.runs > 1 {
            report(&tally.line());
        }
        Ok(tally)
    }
}

/// What came of a storm.
#[derive(Debug, Clone)]
pub struct Tally {
    what: String,
    pub runs: u64,
    /// Ended by SIGKILL.
    pub killed: u64,
    /// Ended in any other way.
    pub otherwise: u64,
    /// Written by programs that got so far.
    pub bytes: u64,
    /// Created by such.
    pub files: u64,
    took: Duration,
}

impl Tally {
    fn of(what: String, said: &Said, took: Duration) -> Result<Tally> {
        let number = |key: &str| {
            u64::try_from(said.number(key)).with_context(|| format!("no {key} in {said:?}"))
        };
        Ok(Tally {
            what,
            runs: number("ret")?,
            killed: number("killed")?,
            otherwise: number("otherwise")?,
            bytes: number("bytes")?,
            files: number("files")?,
            took,
        })
    }

    /// Fails unless every one of them was killed before its first act.
    pub fn is_contained(&self) -> Result<()> {
        ensure!(
            self.runs > 0
                && self.killed == self.runs
                && (self.otherwise, self.bytes, self.files) == (0, 0, 0),
            "escaped: {self:?}"
        );
        Ok(())
    }

    fn line(&self) -> String {
        format!(
            "storm: {}: {} runs, {} killed, {} otherwise, {} bytes, {} files, {:.1} s",
            self.what,
            self.runs,
            self.killed,
            self.otherwise,
            self.bytes,
            self.files,
            self.took.as_secs_f64()
        )
    }
}
