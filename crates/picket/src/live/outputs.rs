//! Who is told of a sensor's findings beside its stdout: each output has a spool and a
//! thread of its own, so that none waits for another, and none for the kernel's events.

use super::output::Keeper;
use crate::console;
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use picket_model::Severity;
use picket_outputs::{BATCH, BackOff, Deliverer, Output, Record, parse};
use picket_sensor::spool::{Batch, Spool, SpoolState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Below a sensor's state: the spools, by the outputs' names.
const FOLDER: &str = "outputs";
/// Bytes of findings that are read at once.
const BATCH_BYTES: usize = 4 << 20;
/// How often it is looked whether findings had to be given up.
const LOOK: Duration = Duration::from_secs(10);

/// Outputs that were read, and reach nobody yet.
#[derive(Default)]
pub struct Outputs {
    lines: Vec<Line>,
}

struct Line {
    name: String,
    severity: Severity,
    deliverer: Deliverer,
    spool: Arc<Spool>,
    wake: Sender<()>,
    woken: Receiver<()>,
}

/// Outputs that deliver.
pub struct Running {
    stop: Arc<AtomicBool>,
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Outputs {
    /// Reads a file of outputs, and what they wait with since the run before.
    pub fn open(file: &Path, state: &Path, spool_bytes: u64) -> Result<Outputs> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        let outputs = match parse(&text) {
            Ok(outputs) => outputs,
            Err(wrong) => {
                let (line, column) = wrong.place(&text);
                bail!("{shown}:{line}:{column}: {}", wrong.what);
            }
        };
        let folder = state.join(FOLDER);
        let open = |output: &Output| {
            let (wake, woken) = bounded(1);
            let filled = wake.clone();
            // Full: it is awake already.
            let filled = move || {
                let _ = filled.try_send(());
            };
            let spool = Spool::open(&folder.join(&output.name), spool_bytes, filled)?;
            Ok(Line {
                name: output.name.clone(),
                severity: output.severity,
                deliverer: Deliverer::open(output)?,
                spool: Arc::new(spool),
                wake,
                woken,
            })
        };
        let opened = outputs.iter().map(|output| {
            open(output).map_err(|why: std::io::Error| {
                anyhow::anyhow!("cannot use the output {}: {why}", output.name)
            })
        });
        Ok(Outputs {
            lines: opened.collect::<Result<_>>()?,
        })
    }

    /// Who keeps findings for them.
    pub fn keepers(&self) -> Vec<Keeper> {
        let keeper = |line: &Line| Keeper {
            severity: line.severity,
            spool: Arc::clone(&line.spool),
        };
        self.lines.iter().map(keeper).collect()
    }

    /// Starts delivering.
    pub fn start(self) -> Result<Running> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            let (stop, wake) = (Arc::clone(&stop), line.wake.clone());
            let thread = std::thread::Builder::new()
                .name("picket-deliver".into())
                .spawn(move || line.run(&stop))
                .context("cannot start a thread for an output")?;
            threads.push((wake, thread));
        }
        Ok(Running { stop, threads })
    }
}

impl Running {
    /// Delivers what is there, as long as it is taken; the rest waits for the next run.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for (wake, _) in &self.threads {
            // Full: it is awake already.
            let _ = wake.try_send(());
        }
        for (_, thread) in self.threads {
            if thread.join().is_err() {
                console::warning("an output's thread panicked: please report this");
            }
        }
    }
}

impl Line {
    fn run(mut self, stop: &AtomicBool) {
        let mut back_off = BackOff::default();
        let mut given_up = lost(&self.spool.state());
        let mut behind = [0; Severity::ALL.len()];
        loop {
            let stopping = stop.load(Ordering::Acquire);
            let wait = match self.deliver_all(&mut behind) {
                Ok(()) => {
                    if back_off.succeeded() {
                        console::note(&format!("output {}: it takes findings again", self.name));
                    }
                    LOOK
                }
                Err(why) => {
                    // Once, until it is well again: not with each attempt.
                    if !back_off.is_waiting() {
                        console::warning(&format!(
                            "output {}: {why}; findings wait for it",
                            self.name
                        ));
                    }
                    back_off.failed()
                }
            };
            let lost_now = lost(&self.spool.state());
            if lost_now > given_up {
                console::warning(&format!(
                    "output {}: {} findings were given up, since it did not take them in time",
                    self.name,
                    lost_now - given_up
                ));
                given_up = lost_now;
            }
            if stopping {
                break;
            }
            self.wait(wait, back_off.is_waiting(), stop);
        }
        self.spool.sync();
        let waiting = self.spool.state().findings;
        if waiting > 0 {
            console::warning(&format!(
                "output {}: {waiting} findings wait for the next run",
                self.name
            ));
        }
    }

    /// Waits for so long; for a finding too, unless the receiver is left in peace.
    fn wait(&self, wait: Duration, in_peace: bool, stop: &AtomicBool) {
        let until = std::time::Instant::now() + wait;
        loop {
            match self.woken.recv_deadline(until) {
                Ok(()) if in_peace && !stop.load(Ordering::Acquire) => {}
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Delivers what waits, the worst first.
    fn deliver_all(&mut self, behind: &mut [u64; Severity::ALL.len()]) -> Result<(), String> {
        loop {
            let next = Severity::ALL.iter().rev().find_map(|severity| {
                let lane = usize::from(severity.id()) - 1;
                let batch = self
                    .spool
                    .read(*severity, behind[lane], BATCH, BATCH_BYTES)?;
                Some((*severity, lane, batch))
            });
            let Some((severity, lane, batch)) = next else {
                return Ok(());
            };
            self.deliver(&batch)?;
            self.spool.acknowledge(severity, batch.last);
            behind[lane] = batch.last;
        }
    }

    fn deliver(&mut self, batch: &Batch) -> Result<(), String> {
        let json = batch
            .findings
            .iter()
            .map(|json| serde_json::from_slice(json));
        let records: Vec<Record> = json.flatten().map(Record::of).collect();
        if records.len() < batch.findings.len() {
            let bad = batch.findings.len() - records.len();
            console::warning(&format!("output {}: {bad} findings are damaged", self.name));
        }
        for refused in self
            .deliverer
            .deliver(&records)
            .map_err(|failure| failure.why)?
        {
            console::warning(&format!(
                "output {}: {} refused for good: {}",
                self.name, refused.records, refused.why
            ));
        }
        Ok(())
    }
}

/// Findings that will never be told.
fn lost(state: &SpoolState) -> u64 {
    state.dropped.values().sum::<u64>() + state.unwritten + state.damaged
}
