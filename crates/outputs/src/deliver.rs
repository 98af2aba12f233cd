//! Delivering, whatever the output is.

use crate::config::{Output, Target};
use crate::record::Record;
use crate::{file, otlp, syslog, webhook};
use std::time::Duration;

/// The wait after a first failure; twice as long after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// It was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong. Never a secret.
    pub why: String,
    /// Whether the same may be taken later. If not, it is the records that are wrong.
    pub again: bool,
}

impl Failure {
    pub(crate) fn for_now(why: impl ToString) -> Failure {
        Failure {
            why: why.to_string(),
            again: true,
        }
    }

    pub(crate) fn for_good(why: impl ToString) -> Failure {
        Failure {
            why: why.to_string(),
            again: false,
        }
    }
}

/// What a receiver will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub records: u64,
    /// Which, if the receiver said so, and why.
    pub why: String,
}

/// One way out.
pub(crate) trait Way: Send {
    /// Hands records over. What the receiver took, but threw away, comes back.
    fn send(&mut self, records: &[Record]) -> Result<Option<Refused>, Failure>;
}

/// An output in use.
pub struct Deliverer {
    way: Box<dyn Way>,
}

impl Deliverer {
    /// Gets ready: reads secrets and certificates, and reaches nobody yet.
    pub fn open(output: &Output) -> std::io::Result<Deliverer> {
        Ok(Deliverer {
            way: match &output.target {
                Target::Syslog(to) => Box::new(syslog::Syslog::open(to)?),
                Target::File(to) => Box::new(file::File::open(to)),
                Target::Webhook(to) => Box::new(webhook::Webhook::open(to)?),
                Target::Otlp(to) => Box::new(otlp::Otlp::open(to)?),
            },
        })
    }

    /// Delivers all of them, and tells what the receiver refused for good: with an error,
    /// none counts as delivered, and all may come again.
    pub fn deliver(&mut self, records: &[Record]) -> Result<Vec<Refused>, Failure> {
        let mut refused = Vec::new();
        let mut left = vec![records];
        while let Some(part) = left.pop() {
            if part.is_empty() {
                continue;
            }
            match self.way.send(part) {
                Ok(thrown_away) => refused.extend(thrown_away),
                Err(failure) if failure.again => return Err(failure),
                Err(failure) => match part {
                    [record] => refused.push(Refused {
                        records: 1,
                        why: format!("{}: {}", record.id, failure.why),
                    }),
                    // One of them is at fault: the others shall not wait for it.
                    part => {
                        let (first, second) = part.split_at(part.len() / 2);
                        left.extend([second, first]);
                    }
                },
            }
        }
        Ok(refused)
    }
}

/// How long to wait for a receiver that is down.
#[derive(Debug, Default)]
pub struct BackOff {
    failures: u32,
}

impl BackOff {
    /// After one more failure.
    pub fn failed(&mut self) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        wait.min(LONGEST_WAIT)
    }

    /// Whether it failed the last time.
    pub fn is_waiting(&self) -> bool {
        self.failures > 0
    }

    /// It went well; whether it had not before.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    /// Takes no batch that holds one of these; is down for so many sends.
    struct Picky {
        bad: &'static [&'static str],
        down: u32,
        took: std::sync::mpsc::Sender<String>,
    }

    impl Way for Picky {
        fn send(&mut self, records: &[Record]) -> Result<Option<Refused>, Failure> {
            if self.down > 0 {
                self.down -= 1;
                return Err(Failure::for_now("down"));
            }
            if records.iter().any(|record| self.bad.contains(&&*record.id)) {
                return Err(Failure::for_good("HTTP 400"));
            }
            for record in records {
                self.took.send(record.id.clone()).unwrap();
            }
            Ok(None)
        }
    }

    #[test]
    fn one_that_is_refused_keeps_the_others_from_nothing() {
        let (took, taken) = std::sync::mpsc::channel();
        let bad = &["f3", "f9"];
        let way = Box::new(Picky { bad, down: 0, took });
        let records: Vec<Record> = (0..10).map(record).collect();
        let refused = Deliverer { way }.deliver(&records).unwrap();
        let taken: Vec<String> = taken.iter().collect();
        assert_eq!(taken, ["f0", "f1", "f2", "f4", "f5", "f6", "f7", "f8"]);
        assert_eq!(refused[0].why, "f3: HTTP 400");
        assert_eq!(refused.iter().map(|one| one.records).sum::<u64>(), 2);
    }

    #[test]
    fn one_that_is_down_loses_nothing_and_waits_longer_each_time() {
        let (took, taken) = std::sync::mpsc::channel();
        let way = Box::new(Picky {
            bad: &[],
            down: 2,
            took,
        });
        let mut deliverer = Deliverer { way };
        let mut back_off = BackOff::default();
        let mut waits = Vec::new();
        while deliverer.deliver(&[record(1)]).is_err() {
            waits.push(back_off.failed().as_secs());
        }
        assert_eq!(waits, [1, 2]);
        assert_eq!(taken.try_recv().unwrap(), "f1");
        assert!(back_off.succeeded() && !back_off.succeeded());
        for _ in 0..40 {
            assert!(back_off.failed() <= LONGEST_WAIT);
        }
    }
}
