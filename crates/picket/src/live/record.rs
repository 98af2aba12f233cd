//! `picket record`: a host's events to a file.

use super::outputs::Outputs;
use super::sensor::Session;
use super::setup::{self, RulePaths};
use crate::console;
use crate::control::Place;
use anyhow::{Context, Result};
use picket_model::{ClassSet, EventClass};
use picket_sensor::costs::RULE_BUDGET_NS;
use picket_sensor::recording::Writer;
use picket_sensor::takeover::OnExit;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a recording holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RecordFormat {
    /// The kernel's own records, for `picket replay`.
    Raw,
    /// OCSF events, one JSON object a line, for `picket match` and `replay`.
    Json,
}

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The file to write; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = RecordFormat::Raw)]
    pub format: RecordFormat,
    /// Stop after this many seconds (otherwise on Ctrl-C)
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u64>,
    /// Record file events too: every open of every process
    #[arg(long)]
    pub files: bool,
}

/// Runs it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let out = create(&args.output)?;
    let always = if args.files {
        ClassSet::from_iter(EventClass::FILE)
    } else {
        ClassSet::EMPTY
    };
    let mut session = Session {
        rules: RulePaths::none(),
        enforce_in: None,
        protect: Vec::new(),
        ring_mib: 64,
        format: super::Format::Json,
        wants_events: args.format == RecordFormat::Json,
        always,
        tap: None,
        out: Box::new(std::io::sink()),
        duration: args.duration.map(Duration::from_secs),
        control: Place::None,
        state: None,
        rule_budget_ns: RULE_BUDGET_NS,
        instance: None,
        on_exit: OnExit::Lift,
        outputs: Outputs::default(),
        fleet: None,
        metrics: None,
        when_ready: Box::new(|_| {}),
    };
    match args.format {
        RecordFormat::Json => session.out = out,
        RecordFormat::Raw => {
            let writer = Writer::new(BufWriter::with_capacity(1 << 20, out), &setup::this_host()?)
                .with_context(|| format!("cannot write {}", args.output.display()))?;
            let recorder = Arc::new(Mutex::new(Recorder {
                writer,
                failed: None,
            }));
            let tapped = recorder.clone();
            session.tap = Some(Box::new(move |bytes| lock(&tapped).record(bytes)));
            let code = session.run()?;
            let recorder = Arc::into_inner(recorder).context("the recorder is still in use")?;
            recorder
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .finish()?;
            return Ok(code);
        }
    }
    session.run()
}

/// Writes until the first failure, which it keeps for the end.
struct Recorder<W: Write> {
    writer: Writer<W>,
    failed: Option<std::io::Error>,
}

impl<W: Write> Recorder<W> {
    fn record(&mut self, bytes: &[u8]) {
        if self.failed.is_none()
            && let Err(error) = self.writer.record(bytes)
        {
            console::error(&format!("the recording ends here: {error}"));
            self.failed = Some(error);
        }
    }

    fn finish(self) -> Result<()> {
        if let Some(error) = self.failed {
            return Err(error).context("the recording is not whole");
        }
        self.writer.finish().context("the recording is not whole")?;
        Ok(())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn create(path: &std::path::Path) -> Result<Box<dyn Write + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(Box::new(file))
}
