//! Runs `picket-cause`: one exact act, and what it says it did.

use crate::binary::CAUSE;
use crate::cgroup::Cgroup;
use crate::lines::Lines;
use crate::netns::Netns;
use crate::scratch::Scratch;
use crate::wait;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How to run it: a copy of the program under a name of the test's own.
#[derive(Debug, Clone)]
pub struct Cause<'a> {
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    folder: Option<PathBuf>,
    cgroup: Option<&'a Cgroup>,
    netns: Option<&'a Netns>,
}

/// One line that it printed.
#[derive(Debug, Clone)]
pub struct Said(Value);

impl Said {
    /// A number of the line.
    pub fn number(&self, key: &str) -> i64 {
        self.0[key].as_i64().unwrap_or(i64::MIN)
    }

    /// A text of the line; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// The process that printed it.
    pub fn pid(&self) -> u32 {
        self.id("pid")
    }

    /// A process id of the line.
    pub fn id(&self, key: &str) -> u32 {
        self.number(key).try_into().unwrap_or(0)
    }

    /// What the act's call returned.
    pub fn ret(&self) -> i64 {
        self.number("ret")
    }

    /// The call's errno; 0 when it succeeded.
    pub fn errno(&self) -> i64 {
        self.number("errno")
    }
}

impl<'a> Cause<'a> {
    /// Copies the program to `name` in the scratch folder, if it is not there yet.
    pub fn new(scratch: &Scratch, name: &str) -> Result<Cause<'a>> {
        let program = scratch.path().join(name);
        if let Some(folder) = program.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // One that runs cannot be written to.
        if !program.exists() {
            std::fs::copy(CAUSE, &program)
                .with_context(|| format!("cannot copy {CAUSE} to {}", program.display()))?;
        }
        Ok(Cause {
            program,
            environment: Vec::new(),
            folder: None,
            cgroup: None,
            netns: None,
        })
    }

    /// Where the copy is.
    pub fn path(&self) -> &Path {
        &self.program
    }

    /// The same, as text for rules.
    pub fn path_text(&self) -> String {
        self.program.display().to_string()
    }

    /// Acts in a second thread.
    #[must_use]
    pub fn in_thread(self) -> Cause<'a> {
        self.env("CAUSE_THREAD", "1")
    }

    /// io_uring acts: the kernel's thread submits.
    #[must_use]
    pub fn polled(self) -> Cause<'a> {
        self.env("CAUSE_SQPOLL", "1")
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Cause<'a> {
        self.environment.push((name, value.into()));
        self
    }

    /// Runs it with this working directory.
    #[must_use]
    pub fn from_folder(mut self, folder: &Path) -> Cause<'a> {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Runs it in this cgroup: it acts only when it is there.
    #[must_use]
    pub fn in_cgroup(mut self, cgroup: &'a Cgroup) -> Cause<'a> {
        self.cgroup = Some(cgroup);
        self
    }

    /// Runs it in this network namespace.
    #[must_use]
    pub fn in_netns(mut self, netns: &'a Netns) -> Cause<'a> {
        self.netns = Some(netns);
        self
    }

    /// Runs it to its end: every line it printed. Fails if it could not act.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Vec<Said>> {
        let mut running = self.start(args)?;
        running.go()?;
        drop(running.input.take());
        let ended = running.end()?;
        if ended.status.code().is_none_or(|code| code == 2) {
            bail!(
                "{} ended with {}: {}",
                self.program.display(),
                ended.status,
                ended.errors.join("\n")
            );
        }
        Ok(ended.said)
    }

    /// Runs an act of one line to its end.
    pub fn act<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Said> {
        let said = self.run(args)?;
        said.into_iter().next().context("it said nothing")
    }

    /// Starts it; it waits at its gate until [`Running::go`], and if
    /// `CAUSE_LINGER` is set, stays after the act until [`Running::end`].
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Running> {
        let mut command = match self.netns {
            Some(netns) => netns.command(&self.program),
            None => Command::new(&self.program),
        };
        command
            .args(args)
            .env("CAUSE_GATE", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let output = child.stdout.take().context("no stdout")?;
        let errors = child.stderr.take().context("no stderr")?;
        let mut running = Running {
            input: child.stdin.take(),
            lines: Lines::of("picket-cause", output),
            errors: Lines::of("picket-cause's stderr", errors),
            child,
        };
        running
            .said()
            .with_context(|| running.errors.transcript())?;
        if let Some(cgroup) = self.cgroup {
            cgroup.add(running.pid())?;
        }
        Ok(running)
    }
}

/// One that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines,
    errors: Lines,
}

/// One that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Every line that was not taken before.
    pub said: Vec<Said>,
    /// Its stderr.
    pub errors: Vec<String>,
}

impl Running {
    /// Its pid. Outside a network namespace of its own it has it from the start.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Opens the gate.
    pub fn go(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("its stdin is closed")?;
        input
            .write_all(b"g")
            .context("it is gone before its gate opened")
    }

    /// Waits for its next line.
    pub fn said(&mut self) -> Result<Said> {
        self.lines.take("a line", parse)
    }

    /// The same, for what takes longer.
    pub fn said_within(&mut self, patience: Duration) -> Result<Said> {
        let said = self.lines.take_within(patience, "a line", parse);
        said.with_context(|| self.errors.transcript())
    }

    /// Waits for its next line, or for its end without one.
    pub fn said_or_ended(&mut self) -> Result<Option<Said>> {
        let line = self.lines.next_or_end("a line, or the end")?;
        Ok(line.as_deref().and_then(parse))
    }

    /// True while it runs.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Closes its stdin, which is a sign to some.
    pub fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// Waits for its end, without letting it go first: it is killed, or ends by itself.
    pub fn killed(&mut self) -> Result<ExitStatus> {
        wait::for_exit(&mut self.child, "picket-cause")
    }

    /// Lets it go and waits for its end.
    pub fn end(&mut self) -> Result<Ended> {
        self.close_input();
        let status = wait::for_exit(&mut self.child, "picket-cause")?;
        Ok(Ended {
            status,
            said: self
                .lines
                .rest()?
                .iter()
                .filter_map(|line| parse(line))
                .collect(),
            errors: self.errors.rest()?,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Option<Said> {
    serde_json::from_str(line).ok().map(Said)
}
