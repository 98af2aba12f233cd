//! Orders of the control plane, carried out on this host.
//!
//! ```text
//!  stream ─ verified, for this sensor ─► Actions ─► its thread ─► Journal (on disk, before)
//!                                                       │
//!                      processes, forensics, quarantine, isolation
//!                                                       │
//!  stream ◄─ answers, until the server has them ◄───────┘
//! ```
//! The journal is written before anything is done and after it: a sensor that is killed
//! in between knows at its next start what it had begun, what it has to take back, and
//! what the server has not heard yet. An order that stands in it is not carried out
//! again.

mod carry;
mod digest;
mod forensics;
mod isolation;
mod journal;
mod processes;
mod quarantine;

pub use journal::Answer;

use crate::fleet::ServerUrl;
use carry::{Hands, Undo};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use journal::{Entry, Journal, State};
use picket_model::process::ProcessKey;
use picket_proto::order::{Kind, Order};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The folder of it, below that of the fleet's things.
const FOLDER: &str = "actions";
/// How often it is looked for leases that have ended, at least.
const LOOK: Duration = Duration::from_secs(30);
/// How long after a failure it is tried again to take something back.
const AGAIN_US: i64 = 10_000_000;

/// Who knows more of this host's processes than `/proc` tells: who started whom, also
/// of those whose parents have ended.
pub trait Lineage: Send + Sync + 'static {
    /// The living processes that descend from that one.
    fn descendants(&self, of: ProcessKey) -> Vec<ProcessKey>;
}

/// What is needed to carry out orders.
pub struct Setup {
    /// The folder of the fleet's things.
    pub folder: PathBuf,
    /// What this host allows.
    pub allowed: Vec<Kind>,
    /// What stays reachable, whatever happens.
    pub server: ServerUrl,
    /// Who started whom.
    pub lineage: Arc<dyn Lineage>,
    /// Called when there is something to tell the server.
    pub ring: Box<dyn Fn() + Send>,
}

/// Carries out orders, on a thread of its own.
pub struct Actions {
    allowed: Vec<Kind>,
    orders: Sender<Work>,
    journal: Arc<Mutex<Journal>>,
}

enum Work {
    Order(Order),
    Refused(Order, String),
}

impl Actions {
    /// Reads the journal and starts the thread, which first takes up what was begun.
    pub fn start(setup: Setup) -> io::Result<Actions> {
        let folder = setup.folder.join(FOLDER);
        let journal = Arc::new(Mutex::new(Journal::open(&folder)?));
        let (orders, work) = unbounded();
        let worker = Worker {
            journal: Arc::clone(&journal),
            hands: Hands::new(&folder, setup.server, setup.lineage),
            ring: setup.ring,
        };
        std::thread::Builder::new()
            .name("picket-actions".into())
            .spawn(move || worker.run(&work))?;
        Ok(Actions {
            allowed: setup.allowed,
            orders,
            journal,
        })
    }

    /// What this host allows.
    pub fn allowed(&self) -> &[Kind] {
        &self.allowed
    }

    /// Carries out an order that was admitted, if it was not before.
    pub fn carry_out(&self, order: Order) {
        let _ = self.orders.send(Work::Order(order));
    }

    /// Tells the server why a well-signed order is not carried out.
    pub fn refuse(&self, order: Order, why: String) {
        let _ = self.orders.send(Work::Refused(order, why));
    }

    /// What the server has not heard yet, the oldest first.
    pub fn answers(&self) -> Vec<Answer> {
        lock(&self.journal).answers()
    }

    /// The server has that answer.
    pub fn stored(&self, id: &str, state: &str) -> io::Result<()> {
        lock(&self.journal).told(id, state)
    }
}

fn lock(journal: &Mutex<Journal>) -> std::sync::MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_us() -> i64 {
    crate::live::epoch_ns() / 1_000
}

/// The thread.
struct Worker {
    journal: Arc<Mutex<Journal>>,
    hands: Hands,
    ring: Box<dyn Fn() + Send>,
}

impl Worker {
    fn run(mut self, work: &Receiver<Work>) {
        self.take_up();
        loop {
            let next = lock(&self.journal).next_end();
            let wait = next.map_or(LOOK, |end| {
                Duration::from_micros((end - now_us()).max(0).unsigned_abs()).min(LOOK)
            });
            match work.recv_timeout(wait) {
                Ok(Work::Order(order)) => self.order(order),
                Ok(Work::Refused(order, why)) => self.refused(order, why),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.end_leases();
        }
    }

    /// What a run before this one had begun, or holds.
    fn take_up(&mut self) {
        let standing = lock(&self.journal).standing();
        for entry in standing {
            if entry.state == State::Begun {
                self.carry(entry);
            }
        }
        // After a boot it is there no more.
        let isolations = lock(&self.journal).isolations("");
        let last = isolations.into_iter().next();
        if let Some(mut entry) = last.filter(|entry| !entry.is_over(now_us()))
            && let Err(why) = self.hands.hold(&entry, now_us())
        {
            entry.why = format!("after a restart of the sensor: {why}");
            entry.told = false;
            self.write(entry);
        }
        self.end_leases();
    }

    fn order(&mut self, order: Order) {
        let known = lock(&self.journal).find(&order.id).cloned();
        if let Some(mut known) = known {
            // Said again: so is the answer.
            known.told = false;
            return self.write(known);
        }
        if let picket_proto::order::Action::Undo { order: of } = &order.action {
            let of = of.clone();
            return self.undo(order, &of);
        }
        let entry = Entry::begun(order, now_us());
        // The lock is let go before it is taken again.
        let written = lock(&self.journal).write(entry.clone());
        if let Err(why) = written {
            // What cannot be written down is not begun.
            let why = format!("the journal cannot be written, so nothing was done: {why}");
            let refused = entry.ended(State::Refused, why, now_us());
            lock(&self.journal).remember(refused);
            return (self.ring)();
        }
        self.carry(entry);
    }

    fn carry(&mut self, mut entry: Entry) {
        let now = now_us();
        if entry.order.expires_us <= now {
            let why = "the sensor ended before it was done, and it is too late now";
            entry = entry.ended(State::Failed, why.to_owned(), now);
            return self.write(entry);
        }
        let order = entry.order.clone();
        // Of several that cut the host off, the last one to end decides when.
        let at_least = lock(&self.journal)
            .isolations(&order.id)
            .first()
            .map_or(0, |other| other.left_seconds(now));
        let mut note = |undo| {
            entry.undo = Some(undo);
            lock(&self.journal).write(entry.clone())
        };
        let done = self.hands.carry(&order, at_least, &mut note);
        let now = now_us();
        let entry = match done {
            Ok(result) => {
                entry.result = result;
                entry.until_us = entry
                    .order
                    .lease_seconds
                    .map(|seconds| now.saturating_add(i64::from(seconds) * 1_000_000));
                entry.ended(State::Done, String::new(), now)
            }
            Err(why) => {
                entry.undo = None;
                entry.ended(State::Failed, why, now)
            }
        };
        self.write(entry);
    }

    fn refused(&mut self, order: Order, why: String) {
        let known = lock(&self.journal).find(&order.id).is_some();
        if !known {
            let entry = Entry::begun(order, now_us()).ended(State::Refused, why, now_us());
            self.write(entry);
        }
    }

    fn undo(&mut self, order: Order, of: &str) {
        let target = lock(&self.journal).find(of).cloned();
        let done = match target {
            None => Err(format!("this sensor knows no order {of}")),
            Some(target) if target.state == State::Undone => Ok(()),
            Some(target) if target.state != State::Done || target.undo.is_none() => {
                Err("there is nothing to take back".to_owned())
            }
            Some(target) => self.take_back(target, "by order"),
        };
        let entry = Entry::begun(order, now_us());
        let entry = match done {
            Ok(()) => entry.ended(State::Done, String::new(), now_us()),
            Err(why) => entry.ended(State::Failed, why, now_us()),
        };
        self.write(entry);
    }

    fn end_leases(&mut self) {
        let now = now_us();
        let over: Vec<Entry> = lock(&self.journal)
            .standing()
            .into_iter()
            .filter(|entry| entry.state == State::Done && entry.is_over(now))
            .collect();
        for mut entry in over {
            if let Err(why) = self.take_back(entry.clone(), "its time is over") {
                entry.until_us = Some(now.saturating_add(AGAIN_US));
                entry.why = format!("it could not be taken back, and is tried again: {why}");
                self.write(entry);
            }
        }
    }

    fn take_back(&mut self, entry: Entry, why: &str) -> Result<(), String> {
        let others = lock(&self.journal).isolations(&entry.order.id);
        match (&entry.undo, others.first()) {
            (Some(Undo::Isolation), Some(other)) => self.hands.hold(other, now_us())?,
            (Some(undo), _) => self.hands.undo(undo)?,
            (None, _) => {}
        }
        self.write(entry.ended(State::Undone, why.to_owned(), now_us()));
        Ok(())
    }

    fn write(&mut self, entry: Entry) {
        let mut journal = lock(&self.journal);
        if let Err(why) = journal.write(entry.clone()) {
            // It holds in memory, and the server hears of it.
            let mut entry = entry;
            entry.why = format!("{} (the journal cannot be written: {why})", entry.why);
            journal.remember(entry);
        }
        journal.forget_old(now_us());
        drop(journal);
        (self.ring)();
    }
}

/// The folder in which files are kept that were taken away.
fn quarantine_folder(folder: &Path) -> PathBuf {
    folder.join("quarantine")
}
