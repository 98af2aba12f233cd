//! Findings on disk until the server has them.
//!
//! ```text
//! pipeline ─► push ─► lane of its severity: segment files ─► read ─► server
//!                         │ no room: oldest segment of the     │
//!                         ▼ lowest severity                    ▼
//!                      dropped, counted                 acknowledged: gone
//! ```
//! What was pushed survives the end of the process, by whatever end; a power cut
//! costs what the kernel had not written yet. A finding may be delivered twice: its
//! id (`finding_info.uid`) tells.

mod lane;
mod record;

pub use record::{Damage, MAX_PAYLOAD, Record, parse};

use lane::Lane;
use picket_model::Severity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is kept at most where nobody says otherwise.
pub const DEFAULT_BYTES: u64 = 64 << 20;
/// Less is no spool.
pub const MIN_BYTES: u64 = 1 << 20;

/// Lost counts outlive the process.
const COUNTS: &str = "counts.json";

/// What a spool holds and what it had to give up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolState {
    /// Bytes on disk.
    pub bytes: u64,
    /// Findings that the server does not have yet.
    pub findings: u64,
    /// Findings dropped for want of room, by severity, since the spool was made.
    pub dropped: BTreeMap<String, u64>,
    /// Places at which findings could not be read back.
    pub damaged: u64,
    /// Findings that the disk would not take.
    pub unwritten: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Counts {
    dropped: BTreeMap<String, u64>,
    damaged: u64,
    unwritten: u64,
}

struct Inner {
    folder: PathBuf,
    max_bytes: u64,
    /// By severity, the mildest first.
    lanes: Vec<Lane>,
    counts: Counts,
}

/// A spool. Shared by the thread that fills it and the one that empties it.
pub struct Spool {
    inner: Mutex<Inner>,
    filled: Box<dyn Fn() + Send + Sync>,
}

/// Some findings of a lane, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Which lane: the severity's number.
    pub lane: u32,
    /// The number of the last one.
    pub last: u64,
    /// The findings.
    pub findings: Vec<Vec<u8>>,
}

impl Spool {
    /// Opens the spool of a folder; makes it if there is none. `filled` is called after
    /// each finding.
    pub fn open(
        folder: &Path,
        max_bytes: u64,
        filled: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Spool> {
        let max_bytes = max_bytes.max(MIN_BYTES);
        let mut counts = read_counts(&folder.join(COUNTS));
        let mut lanes = Vec::new();
        for severity in Severity::ALL {
            let folder = folder.join(severity.name());
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)?;
            let (lane, damaged) = Lane::open(folder, max_bytes / 16)?;
            counts.damaged += damaged;
            lanes.push(lane);
        }
        let spool = Spool {
            inner: Mutex::new(Inner {
                folder: folder.to_owned(),
                max_bytes,
                lanes,
                counts,
            }),
            filled: Box::new(filled),
        };
        spool.with(|inner| inner.write_counts());
        Ok(spool)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a finding. False if it is lost: there is no room for one of its severity,
    /// or the disk does not take it. Both are counted.
    pub fn push(&self, severity: Severity, finding: &[u8]) -> bool {
        let kept = self.with(|inner| inner.push(severity, finding));
        if kept {
            (self.filled)();
        }
        kept
    }

    /// Findings of a lane behind that number, the oldest first; none if there are none.
    /// At most `count` of them and `bytes` long, but for a single one that is longer.
    pub fn read(
        &self,
        severity: Severity,
        behind: u64,
        count: usize,
        bytes: usize,
    ) -> Option<Batch> {
        let records = self.with(|inner| {
            let (records, damaged) = inner.lane(severity).read(behind, count, bytes);
            if damaged > 0 {
                inner.counts.damaged += damaged;
                inner.write_counts();
            }
            records
        });
        Some(Batch {
            lane: u32::from(severity.id()),
            last: records.last()?.number,
            findings: records.into_iter().map(|record| record.payload).collect(),
        })
    }

    /// Everything of the lane up to that number is with the server.
    pub fn acknowledge(&self, severity: Severity, last: u64) {
        self.with(|inner| inner.lane(severity).acknowledge(last));
    }

    /// What it holds.
    pub fn state(&self) -> SpoolState {
        self.with(|inner| SpoolState {
            bytes: inner.bytes(),
            findings: inner.lanes.iter().map(Lane::waiting).sum(),
            dropped: inner.counts.dropped.clone(),
            damaged: inner.counts.damaged,
            unwritten: inner.counts.unwritten,
        })
    }

    /// Writes to the disk itself what the kernel keeps of it.
    pub fn sync(&self) {
        self.with(|inner| {
            for lane in &mut inner.lanes {
                lane.sync();
            }
        });
    }
}

impl Inner {
    fn lane(&mut self, severity: Severity) -> &mut Lane {
        &mut self.lanes[usize::from(severity.id()) - 1]
    }

    fn bytes(&self) -> u64 {
        self.lanes.iter().map(Lane::bytes).sum()
    }

    fn push(&mut self, severity: Severity, finding: &[u8]) -> bool {
        let fits =
            finding.len() <= MAX_PAYLOAD && self.make_room(severity, record::length(finding));
        if !fits {
            self.count_dropped(severity, 1);
            return false;
        }
        match self.lane(severity).append(finding) {
            Ok(()) => true,
            Err(_) => {
                self.counts.unwritten += 1;
                self.write_counts();
                false
            }
        }
    }

    /// Drops the oldest of the lowest severity until there is room. False if only
    /// what is worse than this one is left.
    fn make_room(&mut self, severity: Severity, bytes: u64) -> bool {
        while self.bytes() + bytes > self.max_bytes {
            let lowest = Severity::ALL
                .into_iter()
                .find(|lowest| self.lane(*lowest).bytes() > 0);
            match lowest {
                Some(lowest) if lowest <= severity => {
                    let dropped = self.lane(lowest).drop_oldest();
                    self.count_dropped(lowest, dropped);
                }
                _ => return false,
            }
        }
        true
    }

    fn count_dropped(&mut self, severity: Severity, count: u64) {
        if count > 0 {
            let name = severity.name().to_owned();
            *self.counts.dropped.entry(name).or_default() += count;
            self.write_counts();
        }
    }

    /// Where it cannot be written, it is still told as long as the sensor runs.
    fn write_counts(&self) {
        let text = serde_json::to_vec(&self.counts).unwrap_or_default();
        let pending = self.folder.join(".counts");
        let _ =
            fs::write(&pending, text).and_then(|()| fs::rename(&pending, self.folder.join(COUNTS)));
    }
}

fn read_counts(path: &Path) -> Counts {
    let text = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
