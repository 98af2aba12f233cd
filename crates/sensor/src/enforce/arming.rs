//! Arming: tables into the kernel, beside those in force, and what is kept of the
//! processes that run already, before they decide.

use super::KernelSet;
use crate::process::ProcessTable;
use crate::response::ProtectedSet;
use hashbrown::HashMap;
use picket_engine::kernel::{UnitBits, Units};
use picket_model::process::{Image, Parent, Process};
use picket_probe::{Half, ProbeError, Probes, ProcessState};
use std::sync::Arc;

/// How often processes that appeared meanwhile are looked for. A process is
/// missed only if its parent was, so that the second look finds next to none.
const ROUNDS: u32 = 4;

/// What came of arming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arming {
    /// Processes that were known before.
    pub kept: usize,
}

/// Where records go while a set is being armed.
pub trait Records {
    /// Takes in what is in the ring.
    fn drain(&mut self, probes: &mut Probes) -> Result<(), ProbeError>;

    /// The table that they went to.
    fn table(&mut self) -> &ProcessTable;
}

/// Puts a set in force. `slots` are where its policies' budgets stand.
pub fn arm(
    probes: &mut Probes,
    set: &KernelSet,
    slots: &[Option<u32>],
    protected: &ProtectedSet,
    records: &mut dyn Records,
) -> Result<Arming, ProbeError> {
    let half = probes.prepare(&set.compiled.block, &set.entries(slots))?;
    let mut kept = 0;
    for _ in 0..ROUNDS {
        // Everything that happened before the kernel knew of the new tables.
        records.drain(probes)?;
        let units = &set.compiled.units;
        let added = keep_all(probes, half, units, protected, records.table())?;
        kept += added;
        if added == 0 {
            break;
        }
    }
    probes.switch(half)?;
    Ok(Arming { kept })
}

fn keep_all(
    probes: &Probes,
    half: Half,
    units: &Units,
    protected: &ProtectedSet,
    table: &ProcessTable,
) -> Result<usize, ProbeError> {
    let mut known = Known::new(units);
    let mut added = 0;
    for process in table.living() {
        let state = state_of(process, &mut known, protected);
        added += usize::from(probes.keep(half, process.key.pid, &state)?);
    }
    Ok(added)
}

/// Bits of images and lines met so far: most processes share theirs.
struct Known<'u> {
    units: &'u Units,
    images: HashMap<*const Image, UnitBits>,
    lines: HashMap<*const Process, UnitBits>,
}

impl<'u> Known<'u> {
    fn new(units: &'u Units) -> Known<'u> {
        Known {
            units,
            images: HashMap::new(),
            lines: HashMap::new(),
        }
    }

    fn own(&mut self, process: &Process) -> UnitBits {
        let image = Arc::as_ptr(&process.image);
        *self
            .images
            .entry(image)
            .or_insert_with(|| self.units.of(process))
    }

    /// Bits of everybody a process descends from.
    fn line(&mut self, process: &Process) -> UnitBits {
        // From the oldest on, so that a long line takes no stack.
        let mut line: Vec<&Arc<Process>> = Vec::new();
        let mut next = &process.parent;
        let mut bits = loop {
            match next {
                Parent::None => break UnitBits::NONE,
                Parent::Unknown => break UnitBits::UNKNOWN,
                Parent::Known(parent) => {
                    if let Some(known) = self.lines.get(&Arc::as_ptr(parent)) {
                        break *known;
                    }
                    line.push(parent);
                    next = &parent.parent;
                }
            }
        };
        for parent in line.into_iter().rev() {
            bits.add(&self.own(parent));
            self.lines.insert(Arc::as_ptr(parent), bits);
        }
        bits
    }
}

fn state_of(process: &Process, known: &mut Known<'_>, protected: &ProtectedSet) -> ProcessState {
    ProcessState {
        start_ns: process.key.start_ns,
        own: known.own(process),
        line: known.line(process),
        protected: Some(protected.check(process).is_some()),
        runtime: protected.is_runtime(process),
    }
}
