//! The findings of one severity: segment files, each named by its first number.

use super::record::{self, Damage, Record};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A segment is closed when it is so long. Dropping and acknowledging go by whole
/// segments.
const SEGMENT: u64 = 256 << 10;
const SUFFIX: &str = ".seg";

struct Segment {
    path: PathBuf,
    first: u64,
    last: u64,
    bytes: u64,
}

pub(super) struct Lane {
    folder: PathBuf,
    segment_bytes: u64,
    segments: VecDeque<Segment>,
    /// The last segment, open for more.
    open: Option<File>,
    next: u64,
    acknowledged: u64,
}

impl Lane {
    /// Reads what is there; the end that was being written is cut off. Also gives at
    /// how many places something could not be read.
    pub(super) fn open(folder: PathBuf, segment_bytes: u64) -> io::Result<(Lane, u64)> {
        let mut lane = Lane {
            folder,
            segment_bytes: segment_bytes.clamp(4096, SEGMENT),
            segments: VecDeque::new(),
            open: None,
            next: 1,
            acknowledged: 0,
        };
        let mut damaged = 0;
        let mut paths: Vec<PathBuf> = fs::read_dir(&lane.folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with(SUFFIX))
            .collect();
        paths.sort();
        for path in paths {
            damaged += lane.take(path)?;
        }
        if let Some(first) = lane.segments.front() {
            lane.acknowledged = first.first - 1;
        }
        Ok((lane, damaged))
    }

    fn take(&mut self, path: PathBuf) -> io::Result<u64> {
        let bytes = fs::read(&path)?;
        let (records, length, damage) = record::parse(&bytes);
        let ends = records.first().zip(records.last());
        // Numbers that an earlier file has: nothing that this program writes.
        let ends = ends.filter(|(first, _)| first.number >= self.next);
        let Some((first, last)) = ends else {
            fs::remove_file(&path)?;
            return Ok(u64::from(!bytes.is_empty()));
        };
        if damage == Damage::Torn {
            OpenOptions::new()
                .write(true)
                .open(&path)?
                .set_len(length as u64)?;
        }
        self.next = last.number + 1;
        self.segments.push_back(Segment {
            path,
            first: first.number,
            last: last.number,
            bytes: length as u64,
        });
        Ok(u64::from(damage == Damage::Torn))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Findings that are not acknowledged. Numbers have no gaps inside a segment.
    pub(super) fn waiting(&self) -> u64 {
        let waiting = |segment: &Segment| {
            let from = segment.first.max(self.acknowledged + 1);
            (segment.last + 1).saturating_sub(from)
        };
        self.segments.iter().map(waiting).sum()
    }

    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let full = self
            .segments
            .back()
            .is_some_and(|segment| segment.bytes >= self.segment_bytes);
        if full {
            self.seal();
        }
        let number = self.next;
        let mut bytes = Vec::new();
        record::write(&mut bytes, number, payload);
        if self.open.is_none() {
            let path = self.folder.join(format!("{number:020}{SUFFIX}"));
            let mut options = OpenOptions::new();
            let file = options
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            self.open = Some(file);
            self.segments.push_back(Segment {
                path,
                first: number,
                last: number - 1,
                bytes: 0,
            });
        }
        let (Some(file), Some(segment)) = (&mut self.open, self.segments.back_mut()) else {
            return Ok(());
        };
        if let Err(error) = file.write_all(&bytes) {
            // A part of it may stand there: nothing may follow it.
            let _ = file.set_len(segment.bytes);
            if segment.bytes == 0 {
                let _ = fs::remove_file(&segment.path);
                self.segments.pop_back();
            }
            self.open = None;
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        segment.last = number;
        self.next = number + 1;
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        if let Some(file) = &self.open {
            let _ = file.sync_data();
        }
    }

    fn seal(&mut self) {
        self.sync();
        self.open = None;
    }

    /// Also gives at how many places something could not be read: what is behind one
    /// in its segment is lost.
    pub(super) fn read(&mut self, behind: u64, count: usize, bytes: usize) -> (Vec<Record>, u64) {
        let behind = behind.max(self.acknowledged);
        let mut found: Vec<Record> = Vec::new();
        let (mut length, mut damaged) = (0, 0);
        for segment in &self.segments {
            if segment.last <= behind || segment.bytes == 0 {
                continue;
            }
            let content = fs::read(&segment.path).unwrap_or_default();
            let (records, good, _) = record::parse(&content);
            damaged += u64::from((good as u64) < segment.bytes);
            for record in records {
                if record.number <= behind {
                    continue;
                }
                let longer = length + record.payload.len();
                if !found.is_empty() && (found.len() >= count || longer > bytes) {
                    return (found, damaged);
                }
                length = longer;
                found.push(record);
            }
            if found.len() >= count {
                break;
            }
        }
        (found, damaged)
    }

    pub(super) fn acknowledge(&mut self, last: u64) {
        self.acknowledged = self.acknowledged.max(last.min(self.next - 1));
        while self
            .segments
            .front()
            .is_some_and(|segment| segment.last <= self.acknowledged)
        {
            self.remove_oldest();
        }
    }

    /// Removes the oldest segment; gives how many findings the server did not have.
    pub(super) fn drop_oldest(&mut self) -> u64 {
        let before = self.waiting();
        if let Some(oldest) = self.segments.front() {
            self.acknowledged = self.acknowledged.max(oldest.last);
        }
        self.remove_oldest();
        before - self.waiting()
    }

    fn remove_oldest(&mut self) {
        if self.segments.len() == 1 {
            self.open = None;
        }
        if let Some(oldest) = self.segments.pop_front() {
            let _ = fs::remove_file(oldest.path);
        }
    }
}
