//! What the metrics are made of: asked of the event thread when somebody wants it.

use crossbeam_channel::{Sender, bounded};
use picket_sensor::fleet::{LineState, LineView};
use picket_sensor::live::{Control, Measured, Status};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long the event thread may take to answer; it looks at what it is asked at
/// least five times a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who asks again before that is told the same.
const FRESH: Duration = Duration::from_secs(1);

/// What a sensor can tell of itself.
#[derive(Debug)]
pub struct Snapshot {
    /// What was counted.
    pub measured: Measured,
    /// What is in force.
    pub status: Status,
}

/// How a sensor stands.
#[derive(Debug, Clone)]
pub enum Standing {
    /// The hooks are not armed yet.
    Starting,
    /// It answers.
    Armed(Arc<Snapshot>),
    /// It does not answer.
    Stuck,
}

/// Where snapshots come from. Filled in as the sensor starts.
#[derive(Default)]
pub struct Source {
    control: OnceLock<Sender<Control>>,
    line: OnceLock<LineView>,
    last: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Source {
    /// The hooks are armed, and the event thread listens here.
    pub fn armed(&self, control: Sender<Control>) {
        // Once in a run.
        let _ = self.control.set(control);
    }

    /// There is a line to a server.
    pub fn joined(&self, line: LineView) {
        let _ = self.line.set(line);
    }

    /// How the sensor stands. Waits for the event thread; of several who ask at
    /// once, one does.
    pub fn standing(&self) -> Standing {
        let Some(control) = self.control.get() else {
            return Standing::Starting;
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, snapshot)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Standing::Armed(snapshot.clone());
        }
        match ask(control) {
            Some(snapshot) => {
                let snapshot = Arc::new(snapshot);
                *last = Some((Instant::now(), snapshot.clone()));
                Standing::Armed(snapshot)
            }
            None => Standing::Stuck,
        }
    }

    /// How the line to the server stands, if there is to be one.
    pub fn line(&self) -> Option<LineState> {
        self.line.get().map(LineView::state)
    }
}

fn ask(control: &Sender<Control>) -> Option<Snapshot> {
    let (measured, answer) = bounded(1);
    control.send(Control::Measure(measured)).ok()?;
    let (status, status_answer) = bounded(1);
    control.send(Control::Status(status)).ok()?;
    Some(Snapshot {
        measured: answer.recv_timeout(PATIENCE).ok()?.ok()?,
        status: status_answer.recv_timeout(PATIENCE).ok()?.ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;
    use picket_model::ClassSet;
    use picket_sensor::enforce::Powers;
    use picket_sensor::stats::Stats;
    use std::thread;

    #[test]
    fn many_who_ask_are_one_to_the_event_thread() {
        let source = Arc::new(Source::default());
        assert!(matches!(source.standing(), Standing::Starting));
        let (control, asked) = unbounded();
        source.armed(control);
        let events = thread::spawn(move || {
            let mut measures = 0;
            for request in asked {
                match request {
                    Control::Measure(answer) => {
                        measures += 1;
                        let measured = Measured {
                            stats: Stats::default(),
                            rules: Vec::new(),
                            budget_ns: 1,
                        };
                        answer.send(Ok(measured)).unwrap();
                    }
                    Control::Status(answer) => answer.send(Ok(nothing())).unwrap(),
                    other => panic!("{other:?}"),
                }
            }
            measures
        });
        let askers: Vec<_> = (0..20)
            .map(|_| {
                let source = source.clone();
                thread::spawn(move || matches!(source.standing(), Standing::Armed(_)))
            })
            .collect();
        assert!(askers.into_iter().all(|asker| asker.join().unwrap()));
        drop(source);
        // A slow machine may need more than a second for twenty threads.
        assert!((1..=3).contains(&events.join().unwrap()));
    }

    #[test]
    fn an_event_thread_that_is_gone_is_stuck() {
        let source = Source::default();
        let (control, asked) = unbounded();
        source.armed(control);
        drop(asked);
        assert!(matches!(source.standing(), Standing::Stuck));
    }

    fn nothing() -> Status {
        Status {
            rules: 0,
            policies: Vec::new(),
            kernel: None,
            powers: Powers {
                kills_in_cgroups: false,
                refuses: ClassSet::EMPTY,
                pidfd: false,
                unseen: ClassSet::EMPTY,
            },
            disarmed: false,
            states: Vec::new(),
        }
    }
}
