//! The streams that are open here: one for each sensor.

use picket_store::{Labels, Uuid};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// What a stream has to know of its sensor from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// The sensor's labels.
    pub labels: Labels,
    /// It has to end, and why.
    pub end: Option<End>,
}

/// Why a stream is ended by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The sensor was revoked.
    Revoked,
    /// The sensor opened another.
    Replaced,
    /// The server stops.
    Stopping,
}

struct Open {
    /// The sensor's run: another one at the same certificate is another sensor.
    run: Vec<u8>,
    number: u64,
    standing: watch::Sender<Standing>,
}

/// What came of opening a stream.
pub(super) struct Opened {
    /// To close it with.
    pub number: u64,
    /// What changes.
    pub standing: watch::Receiver<Standing>,
    /// Another run of the same sensor had one open: two sensors go by one
    /// certificate, or the first is gone without a word.
    pub displaced: bool,
}

#[derive(Default)]
pub(super) struct Hub(Mutex<(u64, HashMap<Uuid, Open>)>);

impl Hub {
    fn with<T>(&self, work: impl FnOnce(&mut (u64, HashMap<Uuid, Open>)) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn len(&self) -> usize {
        self.with(|(_, open)| open.len())
    }

    /// Takes a stream in; one that the sensor had open is ended.
    pub(super) fn open(&self, sensor: Uuid, run: Vec<u8>, labels: Labels) -> Opened {
        let (sender, standing) = watch::channel(Standing { labels, end: None });
        self.with(|(next, open)| {
            *next += 1;
            let number = *next;
            let before = open.insert(
                sensor,
                Open {
                    run: run.clone(),
                    number,
                    standing: sender,
                },
            );
            if let Some(before) = &before {
                end(&before.standing, End::Replaced);
            }
            Opened {
                number,
                standing,
                displaced: before.is_some_and(|before| before.run != run),
            }
        })
    }

    /// Forgets a stream, if it is still the sensor's.
    pub(super) fn close(&self, sensor: Uuid, number: u64) {
        self.with(|(_, open)| {
            if open
                .get(&sensor)
                .is_some_and(|found| found.number == number)
            {
                open.remove(&sensor);
            }
        });
    }

    /// Tells a sensor's stream what the store says of the sensor.
    pub(super) fn tell(&self, sensor: Uuid, labels: &Labels, revoked: bool) {
        self.with(|(_, open)| {
            let Some(found) = open.get(&sensor) else {
                return;
            };
            if revoked {
                end(&found.standing, End::Revoked);
            } else {
                found.standing.send_if_modified(|standing| {
                    let changed = standing.labels != *labels;
                    if changed {
                        standing.labels.clone_from(labels);
                    }
                    changed
                });
            }
        });
    }

    /// Ends every stream.
    pub(super) fn close_all(&self) {
        self.with(|(_, open)| {
            for found in open.values() {
                end(&found.standing, End::Stopping);
            }
        });
    }
}

fn end(standing: &watch::Sender<Standing>, why: End) {
    standing.send_modify(|standing| standing.end = Some(why));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stream_of_a_sensor_stays() {
        let hub = Hub::default();
        let sensor = picket_store::new_id();
        let first = hub.open(sensor, vec![1], Labels::new());
        assert!(!first.displaced);
        let again = hub.open(sensor, vec![1], Labels::new());
        assert!(!again.displaced);
        assert_eq!(first.standing.borrow().end, Some(End::Replaced));
        // A clone: the same certificate, another run.
        let clone = hub.open(sensor, vec![2], Labels::new());
        assert!(clone.displaced);
        hub.close(sensor, first.number);
        assert_eq!(hub.len(), 1);
        hub.tell(sensor, &Labels::new(), true);
        assert_eq!(clone.standing.borrow().end, Some(End::Revoked));
        hub.close(sensor, clone.number);
        assert_eq!(hub.len(), 0);
    }
}
