//! Full speed: nothing may be lost.

use crate::watch::Watch;
use picket_model::record::Body;
use picket_model::{ClassSet, EventClass};
use picket_probe::{ProbeConfig, decode};
use std::collections::HashSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Tells a test's children from the others'.
const MARK: &str = "picket-load";

/// Children as fast as they can be made, on every processor, until told to stop;
/// returns how many.
fn churn(mark: &str, during: impl FnOnce(&AtomicU64, &AtomicBool)) -> u64 {
    let (made, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Command::new("/bin/true").arg(mark).status().expect("true");
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        during(&made, &stop);
    });
    made.into_inner()
}

#[test]
fn nothing_is_lost_at_full_speed() {
    let config = ProbeConfig {
        classes: ClassSet::EMPTY,
        ..ProbeConfig::default()
    };
    let Some(mut watch) = Watch::start(config) else {
        return;
    };
    let (mut forked, mut executed, mut ended) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut tally = |raw: &[u8]| {
        let record = decode(raw).expect("a record");
        match record.body {
            Body::Fork { child } => drop(forked.insert(child)),
            Body::Exec(exec)
                if exec
                    .args
                    .known()
                    .is_some_and(|args| args.iter().any(|arg| &**arg == MARK)) =>
            {
                executed.insert(record.task.key);
            }
            Body::Exit { .. } => drop(ended.insert(record.task.key)),
            _ => {}
        }
    };
    let began = Instant::now();
    let probes = &mut watch.probes;
    let made = churn(MARK, |_, stop| {
        while began.elapsed() < Duration::from_secs(2) {
            probes
                .poll(Duration::from_millis(50), &mut tally)
                .expect("poll");
        }
        stop.store(true, Ordering::Relaxed);
    });
    while probes
        .poll(Duration::from_millis(50), &mut tally)
        .expect("poll")
        > 0
    {}
    assert_eq!(probes.drops().expect("drops").total(), 0);
    assert_eq!(
        probes.errors().expect("errors").total(),
        0,
        "{}",
        probes.errors().expect("errors")
    );
    assert_eq!(executed.len() as u64, made);
    assert!(executed.is_subset(&forked) && executed.is_subset(&ended));
}

#[test]
fn what_is_lost_is_counted() {
    let config = ProbeConfig {
        ring_bytes: 0, // the smallest there is
        classes: [EventClass::NetworkConnect].into_iter().collect(),
        ..ProbeConfig::default()
    };
    let Some(mut watch) = Watch::start(config) else {
        return;
    };
    churn("picket-loss", |made, stop| {
        while made.load(Ordering::Relaxed) < 400 {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let drops = watch.probes.drops().expect("drops");
    assert!(drops.total() > 0);
    assert!(drops.to_string().contains("process."), "{drops}");
    // And it goes on afterwards.
    watch.gather(Duration::ZERO);
    let mut child = Command::new("/bin/true").spawn().expect("true");
    child.wait().expect("wait");
    watch.exec_of(child.id());
}
