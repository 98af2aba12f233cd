use super::*;
use proptest::prelude::*;
use std::io::Write;

fn open(folder: &Path, bytes: u64) -> Spool {
    Spool::open(folder, bytes, || {}).unwrap()
}

fn all(spool: &Spool, severity: Severity) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut behind = 0;
    while let Some(batch) = spool.read(severity, behind, 7, 1000) {
        behind = batch.last;
        found.extend(batch.findings);
    }
    found
}

#[test]
fn what_was_pushed_is_read_in_order_until_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), MIN_BYTES);
    let findings: Vec<Vec<u8>> = (0..50).map(|n: u32| n.to_le_bytes().to_vec()).collect();
    for finding in &findings {
        assert!(spool.push(Severity::High, finding));
    }
    assert_eq!(all(&spool, Severity::High), findings);
    assert_eq!(spool.read(Severity::Low, 0, 10, 10), None);
    spool.acknowledge(Severity::High, 20);
    assert_eq!(spool.state().findings, 30);
    // Another process: the acknowledgement was in memory, so some come again, none is missing.
    drop(spool);
    let spool = open(folder.path(), MIN_BYTES);
    assert_eq!(all(&spool, Severity::High), findings);
    spool.acknowledge(Severity::High, 50);
    assert_eq!(spool.state(), SpoolState::default());
    assert!(spool.push(Severity::High, b"next"));
    assert_eq!(spool.read(Severity::High, 50, 1, 1).unwrap().last, 51);
}

#[test]
fn the_oldest_of_the_lowest_severity_goes_first_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), MIN_BYTES);
    let finding = vec![b'x'; 10_000];
    for _ in 0..50 {
        assert!(spool.push(Severity::Critical, &finding));
        assert!(spool.push(Severity::Low, &finding));
    }
    assert!(spool.state().dropped.is_empty());
    for _ in 0..50 {
        assert!(spool.push(Severity::Critical, &finding));
    }
    let state = spool.state();
    assert!(state.bytes <= MIN_BYTES, "{state:?}");
    let dropped = state.dropped["low"];
    let left = all(&spool, Severity::Low).len() as u64;
    assert_eq!(dropped + left, 50);
    assert_eq!(all(&spool, Severity::Critical).len(), 100);
    assert!(!state.dropped.contains_key("critical"));
    // Nothing that is worse makes room for what is less.
    for _ in 0..100 {
        assert!(spool.push(Severity::Critical, &finding));
    }
    assert!(spool.state().dropped.contains_key("critical"));
    while spool.state().bytes + 10_016 <= MIN_BYTES {
        assert!(spool.push(Severity::Critical, &finding));
    }
    let critical = spool.state().dropped["critical"];
    assert!(!spool.push(Severity::Low, &finding));
    assert_eq!(spool.state().dropped["critical"], critical);
    // The counts outlive the process.
    let before = spool.state().dropped;
    drop(spool);
    assert_eq!(open(folder.path(), MIN_BYTES).state().dropped, before);
}

#[test]
fn a_torn_end_is_cut_off_and_what_follows_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), MIN_BYTES);
    for n in 0..5_u8 {
        assert!(spool.push(Severity::Medium, &[n]));
    }
    drop(spool);
    let lane = folder.path().join("medium");
    let segment = fs::read_dir(&lane).unwrap().next().unwrap().unwrap().path();
    let mut file = fs::File::options().append(true).open(&segment).unwrap();
    file.write_all(&[9, 0, 0, 0, 1, 2, 3]).unwrap();
    let spool = open(folder.path(), MIN_BYTES);
    assert_eq!(spool.state().damaged, 1);
    assert!(spool.push(Severity::Medium, &[5]));
    let expected: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n]).collect();
    assert_eq!(all(&spool, Severity::Medium), expected);
}

#[test]
fn a_finding_that_is_too_long_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 4 << 20);
    assert!(!spool.push(Severity::High, &vec![0; MAX_PAYLOAD + 1]));
    assert!(spool.push(Severity::High, &vec![0; MAX_PAYLOAD]));
    assert_eq!(spool.state().dropped["high"], 1);
}

#[derive(Debug, Clone)]
enum Act {
    Push(usize, u16),
    Acknowledge(usize),
    Restart,
    Tear(usize, u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (0_usize..5, 1_u16..3000).prop_map(|(lane, length)| Act::Push(lane, length)),
        2 => (0_usize..5).prop_map(Act::Acknowledge),
        1 => Just(Act::Restart),
        1 => (0_usize..5, 1_u8..15).prop_map(|(lane, bytes)| Act::Tear(lane, bytes)),
    ];
    prop::collection::vec(act, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens: nothing that was kept is missing before it is acknowledged,
    /// nothing is invented, order holds, and the bound is kept.
    #[test]
    fn nothing_is_lost_or_invented(acts in acts()) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path(), MIN_BYTES);
        let mut kept: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 5];
        let mut next = 0_u32;
        for act in acts {
            match act {
                Act::Push(lane, length) => {
                    next += 1;
                    let mut finding = next.to_le_bytes().to_vec();
                    finding.resize(4 + usize::from(length), 7);
                    if spool.push(Severity::ALL[lane], &finding) {
                        kept[lane].push(finding);
                    }
                }
                Act::Acknowledge(lane) => {
                    if let Some(batch) = spool.read(Severity::ALL[lane], 0, 5, 10_000) {
                        // After a restart, some that were acknowledged may come again.
                        let again = |one: &&Vec<u8>| !kept[lane].contains(one);
                        let known = batch.findings.iter().take_while(again).count();
                        spool.acknowledge(Severity::ALL[lane], batch.last);
                        let gone: Vec<Vec<u8>> =
                            kept[lane].drain(..batch.findings.len() - known).collect();
                        prop_assert_eq!(&batch.findings[known..], gone.as_slice());
                    }
                }
                Act::Restart => {
                    drop(spool);
                    spool = open(folder.path(), MIN_BYTES);
                }
                Act::Tear(lane, bytes) => {
                    // Killed while it wrote.
                    drop(spool);
                    let folder_of = folder.path().join(Severity::ALL[lane].name());
                    let last = fs::read_dir(folder_of).unwrap().map(|e| e.unwrap().path()).max();
                    if let Some(last) = last {
                        let mut file = fs::File::options().append(true).open(last).unwrap();
                        file.write_all(&vec![1; usize::from(bytes)]).unwrap();
                    }
                    spool = open(folder.path(), MIN_BYTES);
                }
            }
            prop_assert!(spool.state().bytes <= MIN_BYTES);
        }
        for (lane, kept) in kept.iter().enumerate() {
            let found = all(&spool, Severity::ALL[lane]);
            // What was acknowledged may come again, at the front; nothing else may.
            prop_assert!(found.ends_with(kept), "lane {lane}: {} of {}", found.len(), kept.len());
        }
    }
}
