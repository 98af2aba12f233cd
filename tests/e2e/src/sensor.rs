//! `picket sensor` under test.

use crate::binary;
use crate::finding::Finding;
use crate::instance::Instance;
use crate::lines::Lines;
use crate::scratch::Scratch;
use crate::wait;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

/// How to start one.
#[derive(Debug, Clone)]
pub struct Builder {
    args: Vec<OsString>,
    wrapper: Vec<OsString>,
    instance: Option<Arc<Instance>>,
}

/// One that runs. Killed at the end, if it has not been stopped.
#[derive(Debug)]
pub struct Sensor {
    child: Child,
    findings: Lines,
    messages: Lines,
    // After the child: what it pinned is removed when it is gone.
    _instance: Option<Arc<Instance>>,
}

/// One that has ended.
#[derive(Debug)]
pub struct Stopped {
    /// How.
    pub status: ExitStatus,
    /// The findings that nobody had taken.
    pub findings: Vec<Finding>,
    /// Its stderr, but for the lines that were taken.
    pub messages: Vec<String>,
}

impl Builder {
    /// Another subcommand that watches and writes findings as JSON lines.
    pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Builder {
        Builder {
            args: args.into_iter().map(|arg| arg.as_ref().into()).collect(),
            wrapper: Vec::new(),
            instance: None,
        }
    }

    /// With these rules and no others. Sensors of one builder, and of its clones,
    /// are of one instance: each takes over from the one before.
    pub fn new(rules: impl AsRef<OsStr>) -> Builder {
        let instance = Instance::new();
        let builder =
            Builder::command([OsStr::new("sensor"), OsStr::new("--rules"), rules.as_ref()])
                .arg("--instance")
                .arg(instance.name());
        Builder {
            instance: Some(instance.into()),
            ..builder
        }
    }

    /// With the rules that its server gives, and an instance of its own.
    pub fn of_fleet() -> Builder {
        let instance = Instance::new();
        let builder = Builder::command(["sensor", "--instance", instance.name()]);
        Builder {
            instance: Some(instance.into()),
            ..builder
        }
    }

    /// With another argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Builder {
        self.args.push(arg.as_ref().into());
        self
    }

    /// The instance of what [`Builder::new`] made.
    pub fn instance(&self) -> Option<&Instance> {
        self.instance.as_deref()
    }

    /// Acts inside this cgroup alone.
    #[must_use]
    pub fn enforce_in(self, cgroup: &Path) -> Builder {
        self.arg("--enforce-in").arg(cgroup)
    }

    /// Starts it through another program: `unshare --mount`.
    #[must_use]
    pub fn through(mut self, wrapper: &[&str]) -> Builder {
        self.wrapper = wrapper.iter().map(OsString::from).collect();
        self
    }

    /// Starts it; it may not be ready yet, nor ever be.
    pub fn spawn(&self) -> Result<Sensor> {
        let picket = binary::picket()?;
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, args)) => {
                let mut command = Command::new(wrapper);
                command.args(args).arg(picket);
                command
            }
            None => Command::new(picket),
        };
        let mut child = command
            .args(&self.args)
            .env_remove("CAUSE_GATE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run picket")?;
        let findings = Lines::of("findings", child.stdout.take().context("no stdout")?)
            .shown_as(Finding::brief);
        let messages = Lines::of("messages", child.stderr.take().context("no stderr")?);
        Ok(Sensor {
            child,
            findings,
            messages,
            _instance: self.instance.clone(),
        })
    }

    /// Starts it and waits until its hooks are armed.
    pub fn start(&self) -> Result<Sensor> {
        let mut sensor = self.spawn()?;
        sensor.message("ready")?;
        Ok(sensor)
    }
}

impl Sensor {
    /// With the rules of a scratch folder.
    pub fn start(scratch: &Scratch) -> Result<Sensor> {
        Builder::new(scratch.path().join("rules")).start()
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stderr that starts with `start`, and takes it.
    pub fn message(&mut self, start: &str) -> Result<String> {
        let wanted = format!("a message that starts with {start:?}");
        self.messages.take(&wanted, |line| {
            line.starts_with(start).then(|| line.to_owned())
        })
    }

    /// Waits for a line on stderr with `part` in it, and takes it.
    pub fn message_with(&mut self, part: &str) -> Result<String> {
        let wanted = format!("a message with {part:?}");
        self.messages
            .take(&wanted, |line| line.contains(part).then(|| line.to_owned()))
    }

    /// Waits for a line on stdout with `part` in it, and takes it (`--format text`).
    pub fn line_with(&mut self, part: &str) -> Result<String> {
        let wanted = format!("a line with {part:?}");
        self.findings
            .take(&wanted, |line| line.contains(part).then(|| line.to_owned()))
    }

    /// Waits for a finding of that rule, and takes it.
    pub fn finding(&mut self, rule: &str) -> Result<Finding> {
        self.finding_where(rule, |_| true)
    }

    /// Waits for a finding of that rule that is as `wanted`, and takes it.
    pub fn finding_where(
        &mut self,
        rule: &str,
        wanted: impl Fn(&Finding) -> bool,
    ) -> Result<Finding> {
        let taken = self.findings.take(&format!("a finding of {rule}"), |line| {
            Finding::parse(line)
                .ok()
                .filter(|finding| finding.rule() == rule && wanted(finding))
        });
        taken.with_context(|| self.messages.transcript())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(pid).context("pid 0")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Stops it as a service manager would; it must end well.
    pub fn stop(mut self) -> Result<Stopped> {
        self.signal(Signal::TERM)?;
        let stopped = self.ended()?;
        ensure!(
            stopped.status.code() == Some(0),
            "the sensor ended with {}: {}",
            stopped.status,
            stopped.messages.join("\n")
        );
        Ok(stopped)
    }

    /// Stops one that writes text; what nobody had taken of it.
    pub fn stop_text(mut self) -> Result<Vec<String>> {
        self.signal(Signal::TERM)?;
        let status = wait::for_exit(&mut self.child, "the sensor")?;
        ensure!(status.code() == Some(0), "the sensor ended with {status}");
        self.findings.rest()
    }

    /// Waits for it to end by itself.
    pub fn ended(&mut self) -> Result<Stopped> {
        let status = wait::for_exit(&mut self.child, "the sensor")?;
        let findings = self.findings.rest()?;
        Ok(Stopped {
            status,
            findings: findings
                .iter()
                .map(|line| Finding::parse(line))
                .collect::<Result<_>>()?,
            messages: self.messages.rest()?,
        })
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
