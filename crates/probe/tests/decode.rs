//! Decoding of made, mutilated and random records.

#![allow(clippy::expect_used)] // A test that cannot go on ends here.

use picket_model::Datum;
use picket_model::record::{Body, FileOperation, Protocol};
use picket_probe::{DecodeError, decode, synth};
use proptest::prelude::*;

#[test]
fn one_of_each_decodes() {
    let records: Vec<_> = synth::one_of_each()
        .iter()
        .map(|raw| decode(raw).expect("a record"))
        .collect();
    for record in &records {
        assert_eq!(record.task.key, synth::key(7));
        assert_eq!(record.task.parent, synth::key(1));
        assert_eq!((record.task.auid, record.task.session), (None, None));
        assert!(record.task.in_scope);
    }
    let bodies: Vec<&Body> = records.iter().map(|record| &record.body).collect();
    assert_eq!(
        bodies[0],
        &Body::Fork {
            child: synth::key(8)
        }
    );
    assert_eq!(bodies[1], &Body::Exit { code: 0x100 });
    let Body::Exec(exec) = bodies[2] else {
        panic!("{:?}", bodies[2])
    };
    assert_eq!(
        exec.args,
        Datum::Known(Box::from(["sh".into(), "-c".into(), "id".into()]))
    );
    assert_eq!(exec.tty, Datum::Absent);
    let Body::Running(running) = bodies[3] else {
        panic!("{:?}", bodies[3])
    };
    assert_eq!(running.tty, Datum::Known("pts0".into()));
    let Body::Connect(connect) = bodies[4] else {
        panic!("{:?}", bodies[4])
    };
    assert_eq!(connect.remote, "192.0.2.1:443".parse().expect("an address"));
    assert_eq!((connect.local, &connect.errno), (None, &Datum::Unknown));
    assert_eq!(
        bodies[5],
        &Body::ConnectOutcome {
            cookie: 9,
            errno: libc::ECONNREFUSED
        }
    );
    let local = "127.0.0.1:53".parse().expect("an address");
    assert_eq!(
        bodies[6],
        &Body::Listen {
            protocol: Protocol::Tcp,
            local
        }
    );
    let query = Body::DnsQuery {
        protocol: Protocol::Tcp,
        resolver: local,
        name: Datum::Known("example".into()),
        qtype: Datum::Known(1),
    };
    assert_eq!(bodies[7], &query);
    let address = "192.0.2.1".parse().expect("an address");
    assert_eq!(
        bodies[8],
        &Body::DnsAnswer {
            name: "example".into(),
            addresses: vec![address]
        }
    );
    let Body::File(renamed) = bodies[11] else {
        panic!("{:?}", bodies[11])
    };
    assert_eq!(renamed.path, Datum::Known("/etc/x".into()));
    assert_eq!(
        renamed.operation,
        FileOperation::Rename {
            from: Datum::Known("/tmp/y".into())
        }
    );
    let Body::File(changed) = bodies[13] else {
        panic!("{:?}", bodies[13])
    };
    assert_eq!(changed.operation, FileOperation::Chmod { mode: 0o600 });
}

#[test]
fn long_texts_are_cut_and_marked() {
    let raw = synth::Exec::new(7, "/bin/echo", &["echo", &"x".repeat(9000)]).bytes();
    let Body::Exec(exec) = decode(&raw).expect("a record").body else {
        panic!("not an exec")
    };
    assert!(matches!(exec.args, Datum::Truncated(_)));
}

#[test]
fn a_memfd_is_known_by_its_path() {
    let raw = synth::Exec::new(7, "memfd:x", &["x"]).bytes();
    let Body::Exec(exec) = decode(&raw).expect("a record").body else {
        panic!("not an exec")
    };
    assert!(exec.memfd);
}

#[test]
fn every_cut_is_an_error_that_says_so() {
    for raw in synth::one_of_each() {
        for len in 0..raw.len() {
            let error = decode(&raw[..len]).expect_err("cut short");
            assert!(matches!(error, DecodeError::Short { .. }), "{error}");
            assert!(error.to_string().ends_with("bytes"));
        }
    }
}

#[test]
fn strange_versions_kinds_and_fields_are_errors() {
    let raw = synth::one_of_each();
    let change = |index: usize, at: usize, to: u8| {
        let mut raw: Vec<u8> = raw[index].clone();
        raw[at] = to;
        decode(&raw).expect_err("changed").to_string()
    };
    assert_eq!(change(0, 0, 9), "record version 9 is not 2");
    assert_eq!(change(0, 2, 0), "record kind 0 does not exist");
    assert_eq!(change(0, 2, 200), "record kind 200 does not exist");
    // The protocol and the mark of a connect's errno; the address's family.
    assert_eq!(
        change(4, 148, 1),
        "a network.connect record has an impossible protocol"
    );
    assert_eq!(
        change(4, 150, 7),
        "a network.connect record has an impossible errno"
    );
    assert_eq!(
        change(4, 96 + 8 + 18, 5),
        "a network.connect record has an impossible address family"
    );
    assert_eq!(
        change(4, 96 + 8 + 18, 0),
        "a network.connect record has an impossible remote address"
    );
    // A text's mark in an exec.
    assert_eq!(
        change(2, 96 + 40 + 88 + 2, 4),
        "a process.exec record has an impossible text"
    );
    // A verdict by tables that exist, and its reason to spare.
    let mut judged = raw[2].clone();
    judged[96 + 40] = 7;
    let verdict = decode(&judged).expect("a verdict").verdict;
    assert_eq!(verdict.map(|verdict| verdict.tables), Some(7));
    judged[96 + 40 + 80] = 9;
    assert_eq!(
        decode(&judged).expect_err("changed").to_string(),
        "a process.exec record has an impossible verdict"
    );
    // An answer that is a question.
    assert_eq!(
        change(8, 216 + 2, 1),
        "a DNS answer cannot be read: it is a question"
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn mutated_records_never_panic(
        which in 0usize..14,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut raw = synth::one_of_each().swap_remove(which);
        for (at, to) in changes {
            let at = at.index(raw.len());
            raw[at] = to;
        }
        let len = cut.map_or(raw.len(), |cut| cut.index(raw.len()));
        let _ = decode(&raw[..len]);
    }

    #[test]
    fn made_execs_come_back(
        pid in 1u32..,
        path in "/[a-z/]{0,40}",
        args in proptest::collection::vec("[^\0]{0,20}", 1..8),
    ) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let record = decode(&synth::Exec::new(pid, &path, &args).bytes()).expect("a record");
        prop_assert_eq!(record.task.key, synth::key(pid));
        let Body::Exec(exec) = record.body else { panic!("not an exec") };
        prop_assert_eq!(exec.path, Datum::Known(path.into()));
        let back = exec.args.known().expect("whole");
        prop_assert!(back.iter().map(|arg| &**arg).eq(args));
    }
}
