//! What was ordered and what came of it, on disk: a file for each order.

use super::carry::Undo;
use picket_proto::order::Order;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Orders remembered at once. More are refused: forgetting one would allow it again.
const MAX_ENTRIES: usize = 1_000;
/// A finished order is remembered for so long after its end, microseconds: clocks differ.
const REMEMBERED_US: i64 = 3_600_000_000;

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Begun,
    Done,
    Failed,
    Refused,
    Undone,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            State::Begun => "begun",
            State::Done => "done",
            State::Failed => "failed",
            State::Refused => "refused",
            State::Undone => "undone",
        }
    }
}

/// One order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub order: Order,
    pub state: State,
    /// When it came to that, microseconds since the epoch.
    pub at_us: i64,
    /// When it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<i64>,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    #[serde(default)]
    pub why: String,
    #[serde(default)]
    pub result: Value,
    /// The server has this state.
    #[serde(default)]
    pub told: bool,
}

impl Entry {
    pub(super) fn begun(order: Order, at_us: i64) -> Entry {
        Entry {
            order,
            state: State::Begun,
            at_us,
            until_us: None,
            undo: None,
            why: String::new(),
            result: Value::Null,
            told: false,
        }
    }

    pub(super) fn ended(self, state: State, why: String, at_us: i64) -> Entry {
        Entry {
            state,
            why,
            at_us,
            told: false,
            ..self
        }
    }

    pub(super) fn is_over(&self, now_us: i64) -> bool {
        self.until_us.is_some_and(|until| until <= now_us)
    }

    /// For how long it still holds.
    pub(super) fn left_seconds(&self, now_us: i64) -> u32 {
        let left = self.until_us.map_or(0, |until| (until - now_us).max(0));
        u32::try_from(left / 1_000_000).unwrap_or(u32::MAX)
    }

    /// Whether something of it is in force.
    fn holds(&self) -> bool {
        self.state == State::Begun || (self.state == State::Done && self.undo.is_some())
    }
}

/// What the server is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Of which order.
    pub id: String,
    /// `done`, `failed`, `refused` or `undone`.
    pub state: &'static str,
    /// When, microseconds since the epoch.
    pub at_us: i64,
    /// Why not, or why no more.
    pub why: String,
    /// What was done or found.
    pub result: Value,
}

#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Journal {
    /// Reads it. A file that cannot be read is an error: to forget an order would be to
    /// allow it again, or to leave it in force for ever.
    pub(super) fn open(folder: &Path) -> io::Result<Journal> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut entries = BTreeMap::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let entry: Entry = serde_json::from_slice(&fs::read(&path)?).map_err(|why| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{}: {why}", path.display()),
                )
            })?;
            entries.insert(entry.order.id.clone(), entry);
        }
        Ok(Journal {
            folder: folder.to_owned(),
            entries,
        })
    }

    pub(super) fn find(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// What was begun, and what holds until it is taken back.
    pub(super) fn standing(&self) -> Vec<Entry> {
        let entries = self.entries.values();
        entries.filter(|entry| entry.holds()).cloned().collect()
    }

    /// What cuts the host off, but for that order; the last one to end first.
    pub(super) fn isolations(&self, but: &str) -> Vec<Entry> {
        let mut found: Vec<Entry> = self
            .entries
            .values()
            .filter(|entry| {
                entry.state == State::Done
                    && entry.undo == Some(Undo::Isolation)
                    && entry.order.id != but
            })
            .cloned()
            .collect();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.until_us));
        found
    }

    /// When the next lease ends.
    pub(super) fn next_end(&self) -> Option<i64> {
        let standing = self.entries.values().filter(|entry| entry.holds());
        standing.filter_map(|entry| entry.until_us).min()
    }

    pub(super) fn answers(&self) -> Vec<Answer> {
        let waiting = self.entries.values();
        let waiting = waiting.filter(|entry| !entry.told && entry.state != State::Begun);
        let mut answers: Vec<Answer> = waiting
            .map(|entry| Answer {
                id: entry.order.id.clone(),
                state: entry.state.name(),
                at_us: entry.at_us,
                why: entry.why.clone(),
                result: entry.result.clone(),
            })
            .collect();
        answers.sort_by_key(|answer| answer.at_us);
        answers
    }

    pub(super) fn told(&mut self, id: &str, state: &str) -> io::Result<()> {
        match self.entries.get_mut(id) {
            Some(entry) if entry.state.name() == state && !entry.told => {
                entry.told = true;
                let entry = entry.clone();
                self.write(entry)
            }
            _ => Ok(()),
        }
    }

    /// Writes it down, so that it is there after a loss of power.
    pub(super) fn write(&mut self, entry: Entry) -> io::Result<()> {
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&entry.order.id) {
            return Err(io::Error::other(format!(
                "it holds {MAX_ENTRIES} orders of the last day"
            )));
        }
        let path = self.path(&entry.order.id);
        let pending = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&pending)?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        file.sync_all()?;
        fs::rename(&pending, &path)?;
        File::open(&self.folder)?.sync_all()?;
        self.remember(entry);
        Ok(())
    }

    /// In memory alone.
    pub(super) fn remember(&mut self, entry: Entry) {
        self.entries.insert(entry.order.id.clone(), entry);
    }

    /// Forgets what the server has, holds nothing, and would be refused as too old.
    pub(super) fn forget_old(&mut self, now_us: i64) {
        let old: Vec<String> = self
            .entries
            .values()
            .filter(|entry| {
                let end = entry.order.expires_us.max(entry.at_us);
                entry.told && !entry.holds() && end.saturating_add(REMEMBERED_US) < now_us
            })
            .map(|entry| entry.order.id.clone())
            .collect();
        for id in old {
            if fs::remove_file(self.path(&id)).is_ok() {
                self.entries.remove(&id);
            }
        }
    }

    /// An order's id has letters, digits and `-` alone.
    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_proto::order::{Action, ProcessRef};

    fn order(id: &str) -> Order {
        Order {
            id: id.to_owned(),
            sensor: "s".to_owned(),
            issued_us: 0,
            expires_us: 1_000_000,
            lease_seconds: None,
            action: Action::KillTree {
                process: ProcessRef {
                    pid: 4_242,
                    start_ns: 1,
                    boot_id: None,
                },
            },
        }
    }

    #[test]
    fn what_was_written_is_there_after_a_restart_until_it_is_old_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        let begun = Entry::begun(order("a"), 5);
        journal.write(begun.clone()).unwrap();
        assert!(journal.answers().is_empty());
        let mut again = Journal::open(folder.path()).unwrap();
        assert_eq!(again.standing(), std::slice::from_ref(&begun));

        let done = begun.ended(State::Done, String::new(), 6);
        again.write(done).unwrap();
        let answers = again.answers();
        assert_eq!((answers.len(), answers[0].state), (1, "done"));
        // Of another state than the last one.
        again.told("a", "undone").unwrap();
        assert_eq!(again.answers().len(), 1);
        let late = 1_000_000 + REMEMBERED_US + 1;
        again.forget_old(late);
        assert!(again.find("a").is_some(), "not told yet");
        again.told("a", "done").unwrap();
        assert!(again.answers().is_empty());
        again.forget_old(REMEMBERED_US);
        assert!(again.find("a").is_some(), "it could be sent again");
        again.forget_old(late);
        assert!(Journal::open(folder.path()).unwrap().find("a").is_none());
    }

    #[test]
    fn a_journal_that_is_full_or_damaged_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        for at in 0..MAX_ENTRIES {
            journal.remember(Entry::begun(order(&format!("o-{at}")), 0));
        }
        assert!(journal.write(Entry::begun(order("one-more"), 0)).is_err());
        fs::write(folder.path().join("x.json"), "{").unwrap();
        assert!(Journal::open(folder.path()).is_err());
    }
}
