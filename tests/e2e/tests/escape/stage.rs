//! Where storms take place: programs that must not get to their first act, rules by
//! which they are known, and a cgroup of the test's own.

use crate::storm::Storm;
use anyhow::Result;
use picket_e2e::binary::{FIRST_CREAT, FIRST_WRITE};
use picket_e2e::guest::suite;
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::scratch::unique;
use picket_e2e::sensor::{Builder, Stopped};
use picket_e2e::{Cause, Cgroup, Scratch, Sensor, wait};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Storms, and sensors that have to tell of them, may take that long.
pub const LONG: Duration = Duration::from_secs(280);
/// Where a sensor answers.
const SOCKET: &str = "run/sensor.sock";
/// Nobody's user id.
const USER: u32 = 54_321;

/// How many executions make a storm: `PICKET_RUNS`, or what suits an emulated
/// guest, or `usual`.
pub fn runs(usual: usize) -> usize {
    const EMULATED: usize = 100;
    let asked = std::env::var("PICKET_RUNS").ok();
    match asked.and_then(|text| text.parse().ok()) {
        Some(runs) => runs,
        None if suite::inside().is_some() => usual.min(EMULATED),
        None => usual,
    }
}

/// The first act of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    Write,
    Creat,
}

impl First {
    pub const BOTH: [First; 2] = [First::Write, First::Creat];

    pub fn name(self) -> &'static str {
        match self {
            First::Write => "write",
            First::Creat => "creat",
        }
    }

    pub fn program(self) -> &'static str {
        match self {
            First::Write => FIRST_WRITE,
            First::Creat => FIRST_CREAT,
        }
    }
}

/// By what the rule knows an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Path,
    CommandLine,
    Ancestor,
    User,
    /// By none: an execution that nobody minds.
    Nothing,
}

impl By {
    pub const RULES: [By; 4] = [By::Path, By::CommandLine, By::Ancestor, By::User];

    /// The rule's id.
    pub fn rule(self) -> &'static str {
        match self {
            By::Path => "by-path",
            By::CommandLine => "by-command-line",
            By::Ancestor => "by-ancestor",
            By::User => "by-user",
            By::Nothing => "by-nothing",
        }
    }
}

/// One test's own.
pub struct Stage {
    pub scratch: Scratch,
    pub cgroup: Cgroup,
    sensor: Builder,
}

impl Stage {
    pub fn new() -> Result<Stage> {
        let scratch = Scratch::new()?;
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
        for first in First::BOTH {
            for kind in ["free", "blocked"] {
                let copy = scratch.at(&format!("{kind}-{}", first.name()));
                fs::copy(first.program(), copy)?;
            }
        }
        let cgroup = Cgroup::new()?;
        let sensor = Builder::new(scratch.path().join("rules"))
            .enforce_in(cgroup.path())
            .arg("--control")
            .arg(scratch.at(SOCKET))
            .arg("--state")
            .arg(scratch.at("state"));
        Ok(Stage {
            scratch,
            cgroup,
            sensor,
        })
    }

    /// What a storm of that rule executes.
    pub fn program(&self, by: By, first: First) -> String {
        let kind = match by {
            By::Path => "blocked",
            _ => "free",
        };
        self.scratch.at(&format!("{kind}-{}", first.name()))
    }

    /// The condition of that rule.
    pub fn condition(&self, by: By) -> String {
        match by {
            By::Path => {
                let programs = First::BOTH.map(|first| quote(&self.program(by, first)));
                format!("process.path in ({})", programs.join(", "))
            }
            By::CommandLine => {
                r#"process.cmd_line matches r"^\S+ --steal=[0-9a-f]{8}$""#.to_owned()
            }
            By::Ancestor => {
                let ancestor = quote(&self.scratch.at(Stage::launcher(by)));
                let between = quote(&self.scratch.at(Stage::launcher(By::Nothing)));
                format!(
                    "any process.ancestors (path == {ancestor}) and not process.path == {between}"
                )
            }
            By::User => format!("actor.user.uid == {USER}"),
            By::Nothing => "process.pid == 0".to_owned(),
        }
    }

    fn launcher(by: By) -> &'static str {
        match by {
            By::Ancestor => "bad-ancestor",
            _ => "launcher",
        }
    }

    /// A block on each of these rules.
    pub fn blocks(&self, rules: &[By]) -> RuleFile {
        rules.iter().fold(RuleFile::new(), |file, by| {
            file.rule(by.rule(), "process.exec", &self.condition(*by))
                .policy(&format!("stop-{}", by.rule()), by.rule(), "block")
        })
    }

    /// A sensor that acts in the cgroup alone; each takes over from the one before.
    pub fn builder(&self) -> Builder {
        self.sensor.clone()
    }

    /// Where it can be asked.
    pub fn socket(&self) -> String {
        self.scratch.at(SOCKET)
    }

    /// The same, by a process between the ancestor and those that it starts.
    pub fn storm_from_afar(&self, first: First) -> Result<Storm<'_>> {
        let between = Cause::new(&self.scratch, Stage::launcher(By::Nothing))?;
        let storm = self.storm(By::Ancestor, first)?;
        Ok(storm.through(&between.path_text()))
    }

    /// Executions that the rule is about.
    pub fn storm(&self, by: By, first: First) -> Result<Storm<'_>> {
        let program = self.program(by, first);
        // A folder of its own, where whoever a program runs as could create its file.
        let folder = self.scratch.path().join(unique());
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
        let mut cause = Cause::new(&self.scratch, Stage::launcher(by))?
            .from_folder(&folder)
            .in_cgroup(&self.cgroup);
        if by == By::User {
            cause = cause.env("CAUSE_UID", USER.to_string());
        }
        let args = match by {
            By::CommandLine => vec!["--steal=00c0ffee".to_owned()],
            _ => Vec::new(),
        };
        let what = format!("{} of {}", first.name(), by.rule());
        Ok(Storm::new(what, first, cause, program, args))
    }
}

/// A number of the lines that a sensor ends with: `counted(&stopped, "lost in the
/// kernel", "process.exec")`; 0 if it is not there.
pub fn counted(stopped: &Stopped, list: &str, name: &str) -> u64 {
    let mut lines = stopped.messages.iter();
    let line = lines.rfind(|line| line.starts_with(list));
    let words: Vec<&str> = line
        .map_or("", String::as_str)
        .split([' ', ',', '(', ')', ':'])
        .filter(|word| !word.is_empty())
        .collect();
    let at = words.iter().position(|word| *word == name);
    at.and_then(|at| words.get(at + 1)?.parse().ok())
        .unwrap_or(0)
}

/// Stops it with SIGSTOP and waits until it is.
pub fn freeze(sensor: &Sensor) -> Result<()> {
    sensor.signal(Signal::STOP)?;
    let state = format!("/proc/{}/stat", sensor.pid());
    wait::until("a stopped sensor", || {
        let text = fs::read_to_string(&state)?;
        let after_name = text.rsplit(") ").next().unwrap_or_default();
        Ok(after_name.starts_with('T').then_some(()))
    })
}
