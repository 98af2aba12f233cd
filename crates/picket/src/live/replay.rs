//! `picket replay`: a recording through the whole pipeline again.

use super::Format;
use super::output::{self, Patient};
use super::setup::{self, RulePaths};
use crate::console;
use crate::json_lines::JsonLines;
use anyhow::{Context, Result};
use picket_sensor::loader::RuleSet;
use picket_sensor::pipeline::Pipeline;
use picket_sensor::recording::{Header, MAGIC, Reader};
use picket_sensor::response::{Ledger, ProtectedSet, Responder};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A file made by `picket record`, raw or JSON lines; `-` is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Rule files and folders (the built-in rules if none is given)
    #[arg(long = "rules", value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// A file that names feeds of malicious addresses and domains
    #[arg(long, value_name = "FILE")]
    pub feeds: Option<PathBuf>,
    /// How findings are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// Write every event as OCSF JSON too
    #[arg(long)]
    pub events: bool,
    /// A project the replayed sensor belongs to
    #[arg(long = "project", value_name = "NAME")]
    pub projects: Vec<String>,
}

/// Runs it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let rules = RulePaths {
        bundle: None,
        builtin_in_bundle: false,
        feeds: args.feeds.clone(),
        paths: args.rules.clone(),
        optional: Vec::new(),
        builtin: args.rules.is_empty(),
        projects: args.projects.clone(),
    };
    let set = rules.load(None, &[])?;
    let mut input = open(&args.file)?;
    let is_raw = input
        .fill_buf()
        .context("cannot read the recording")?
        .starts_with(MAGIC);
    let colour = console::colour_on_stdout();
    let (queue, writer) =
        output::start(Box::new(std::io::stdout()), args.format, colour, Vec::new())?;
    let replay = Replay {
        set,
        sink: Patient(queue),
        events: args.events,
    };
    let whole = if is_raw {
        replay.raw(input)
    } else {
        replay.json(input)
    };
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("the output thread panicked"))??;
    Ok(if whole? {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

struct Replay {
    set: RuleSet,
    sink: Patient,
    events: bool,
}

impl Replay {
    fn pipeline(self, host: &Header) -> Pipeline<Patient> {
        // No pid of this host means anything in a recording.
        let protected = ProtectedSet::new(0, host.mount_namespace, Vec::new());
        let responder = Responder::new(&self.set.policies, protected, Ledger::own(), None);
        let assembler = setup::replayed_assembler(host);
        Pipeline::new(assembler, self.set, responder, self.sink, self.events)
    }

    /// The kernel's records; true if the file was whole.
    fn raw(self, input: Box<dyn BufRead>) -> Result<bool> {
        let mut reader = Reader::new(input)?;
        let host = reader.header().clone();
        let mut pipeline = self.pipeline(&host);
        let mut damage = None;
        loop {
            match reader.next_record() {
                Ok(Some(bytes)) => match picket_probe::decode(bytes) {
                    Ok(record) => {
                        pipeline.tick(record.boot_ns);
                        pipeline.record(record);
                    }
                    Err(_) => pipeline.stats.bad_records += 1,
                },
                Ok(None) => break,
                Err(error) => {
                    damage = Some(error);
                    break;
                }
            }
        }
        pipeline.finish();
        let whole = damage.is_none() && pipeline.stats.bad_records == 0;
        if let Some(error) = damage {
            console::error(&error.to_string());
        }
        console::line(&pipeline.stats.to_string());
        Ok(whole)
    }

    /// OCSF events, a line each; true if every line was one.
    fn json(self, input: Box<dyn BufRead>) -> Result<bool> {
        let host = Header {
            version: String::new(),
            hostname: String::new(),
            run: 0,
            epoch_offset_ns: 0,
            mount_namespace: None,
            users: Vec::new(),
            init: Vec::new(),
        };
        let mut pipeline = self.pipeline(&host);
        let mut lines = JsonLines::new(input);
        while let Some(line) = lines.next_line().context("cannot read the recording")? {
            match line.event {
                Ok(event) => pipeline.event(event),
                Err(error) => {
                    pipeline.stats.bad_records += 1;
                    console::error(&format!("line {}: {error}", line.number));
                }
            }
        }
        pipeline.finish();
        console::line(&pipeline.stats.to_string());
        Ok(pipeline.stats.bad_records == 0)
    }
}

fn open(path: &std::path::Path) -> Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}
