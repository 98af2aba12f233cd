//! Findings to stdout, notices to stderr, on a thread of their own: a reader
//! that is slow must not make the kernel wait.

use super::Format;
use crate::console;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use picket_model::Severity;
use picket_model::{ocsf, text};
use picket_sensor::pipeline::{Emitted, Sink};
use picket_sensor::spool::Spool;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Findings that may wait for the writer. At 2 KiB each about 64 MiB at worst.
const QUEUE: usize = 32_768;

/// Who keeps findings until somebody else has them: the server, or an output.
pub struct Keeper {
    /// Milder ones are not for it.
    pub severity: Severity,
    /// Where it keeps them.
    pub spool: Arc<Spool>,
}

impl Keeper {
    /// Keeps every finding for the server.
    pub fn for_server(spool: Arc<Spool>) -> Keeper {
        Keeper {
            severity: Severity::Informational,
            spool,
        }
    }
}

/// The pipeline's end: hands over and never waits.
pub struct Queue {
    sender: Sender<Emitted>,
}

impl Sink for Queue {
    fn emit(&mut self, emitted: Emitted) -> bool {
        match self.sender.try_send(emitted) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// The pipeline's end in a replay, where waiting is right: nothing must be lost.
pub struct Patient(pub Queue);

impl Sink for Patient {
    fn emit(&mut self, emitted: Emitted) -> bool {
        self.0.sender.send(emitted).is_ok()
    }
}

/// Starts the writer. It ends when every [`Queue`] is gone, or with the first
/// failed write, which it returns (a closed pipe is no failure). Findings go to the
/// keepers too, and still do when nobody reads the output any more.
pub fn start(
    out: Box<dyn Write + Send>,
    format: Format,
    colour: bool,
    keepers: Vec<Keeper>,
) -> io::Result<(Queue, JoinHandle<io::Result<()>>)> {
    let (sender, receiver) = bounded(QUEUE);
    let thread = std::thread::Builder::new()
        .name("picket-output".into())
        .spawn(move || write_all(&receiver, out, format, colour, &keepers))?;
    Ok((Queue { sender }, thread))
}

fn write_all(
    receiver: &Receiver<Emitted>,
    out: Box<dyn Write + Send>,
    format: Format,
    colour: bool,
    keepers: &[Keeper],
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let mut json = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut written = write_one(&mut out, keep(first, keepers, &mut json)?, format, colour);
        // One flush for everything that is already there.
        while written.is_ok() {
            match receiver.try_recv() {
                Ok(next) => {
                    written = write_one(&mut out, keep(next, keepers, &mut json)?, format, colour);
                }
                Err(_) => break,
            }
        }
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                if !keepers.is_empty() {
                    // Nobody looks here; others still do.
                    for emitted in receiver {
                        keep(emitted, keepers, &mut json)?;
                    }
                }
                return Ok(());
            }
            other => other?,
        }
    }
    Ok(())
}

/// Gives a finding to all keepers that it is for.
fn keep(emitted: Emitted, keepers: &[Keeper], json: &mut Vec<u8>) -> io::Result<Emitted> {
    if let Emitted::Finding(finding) = &emitted {
        let severity = finding.rule.severity;
        json.clear();
        for keeper in keepers.iter().filter(|keeper| severity >= keeper.severity) {
            if json.is_empty() {
                serde_json::to_writer(&mut *json, &ocsf::finding_to_json(finding))?;
            }
            // What is lost is counted there.
            keeper.spool.push(severity, json);
        }
    }
    Ok(emitted)
}

/// Starts the writer of a sensor whose findings go to keepers alone. It ends when every
/// [`Queue`] is gone.
pub fn start_spooling(keepers: Vec<Keeper>) -> io::Result<(Queue, JoinHandle<io::Result<()>>)> {
    let (sender, receiver) = bounded::<Emitted>(QUEUE);
    let thread = std::thread::Builder::new()
        .name("picket-output".into())
        .spawn(move || {
            let mut json = Vec::new();
            for emitted in receiver {
                if let Emitted::Notice(notice) = keep(emitted, &keepers, &mut json)? {
                    console::warning(&notice);
                }
            }
            Ok(())
        })?;
    Ok((Queue { sender }, thread))
}

fn write_one(
    out: &mut impl Write,
    emitted: Emitted,
    format: Format,
    colour: bool,
) -> io::Result<()> {
    match (emitted, format) {
        (Emitted::Finding(finding), Format::Json) => {
            serde_json::to_writer(&mut *out, &ocsf::finding_to_json(&finding))?;
            out.write_all(b"\n")
        }
        (Emitted::Finding(finding), Format::Text) => {
            writeln!(out, "{}", text::finding(&finding, colour))
        }
        (Emitted::Event(event), _) => {
            serde_json::to_writer(&mut *out, &ocsf::event_to_json(&event))?;
            out.write_all(b"\n")
        }
        (Emitted::Notice(notice), _) => {
            console::warning(&notice);
            Ok(())
        }
    }
}
