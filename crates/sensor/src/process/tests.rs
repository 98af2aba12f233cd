use super::*;
use crate::enrich::{Containers, Enrichment, Names, Users};
use picket_model::datum::Datum;
use picket_model::event::{Event, Host, Status};
use picket_model::process::{FileIdentity, ProcessKey};
use picket_model::record::{Body, Connect, Exec, Protocol, Record, Task};
use std::sync::Arc;

struct Bench {
    assembler: Assembler,
    now: u64,
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey {
        pid,
        start_ns: u64::from(pid) * 10,
    }
}

fn task(pid: u32, parent: u32) -> Task {
    Task {
        key: key(pid),
        tid: pid,
        parent: if parent == 0 {
            ProcessKey::default()
        } else {
            key(parent)
        },
        uid: 33,
        comm: "comm".into(),
        mount_namespace: 1,
        ..Task::default()
    }
}

fn exec(path: &str, filename: &str, args: &[&str]) -> Exec {
    Exec {
        path: Datum::Known(path.into()),
        filename: Datum::Known(filename.into()),
        args: Datum::Known(args.iter().map(|arg| Box::from(*arg)).collect()),
        working_directory: Datum::Known("/srv".into()),
        cgroup: Datum::Known("/".into()),
        ..Exec::default()
    }
}

impl Bench {
    fn new() -> Bench {
        let enrichment = Enrichment {
            users: Users::from_pairs([(33, "www-data".into())]),
            containers: Containers::replayed(Some(1)),
            names: Names::new(16),
        };
        let mut bench = Bench {
            assembler: Assembler::new(
                Limits::default(),
                enrichment,
                Arc::new(Host::default()),
                1,
                0,
            ),
            now: 0,
        };
        let init = exec("/usr/lib/systemd/systemd", "/sbin/init", &["/sbin/init"]);
        bench.take(task(1, 0), Body::Running(Box::new(init)));
        bench
    }

    fn take(&mut self, task: Task, body: Body) -> Assembled {
        self.now += 1_000;
        self.assembler.take(Record {
            boot_ns: self.now,
            task,
            body,
            verdict: None,
        })
    }

    fn fork(&mut self, parent: u32, child: u32) {
        self.take(task(parent, 1), Body::Fork { child: key(child) });
    }

    fn exec(&mut self, task: Task, exec: Exec) -> Event {
        event(self.take(task, Body::Exec(Box::new(exec))))
    }
}

fn event(assembled: Assembled) -> Event {
    match assembled {
        Assembled::Event { event, .. } => event,
        other => panic!("no event: {other:?}"),
    }
}

fn text(event: &Event, field: &str) -> String {
    let field = picket_model::Field::from_name(field).unwrap();
    format!("{:?}", event.value(field))
}

fn ancestors(event: &Event) -> Vec<String> {
    event
        .processes(picket_model::field::ProcessList::ProcessAncestors)
        .map(|process| {
            process
                .image
                .name
                .value()
                .map(|name| name.to_string())
                .unwrap_or_default()
        })
        .collect()
}

#[test]
fn an_exec_has_its_new_image_its_old_one_and_its_parent() {
    let mut bench = Bench::new();
    bench.fork(1, 10);
    bench.exec(task(10, 1), exec("/usr/sbin/nginx", "nginx", &["nginx"]));
    bench.fork(10, 11);
    let event = bench.exec(
        task(11, 10),
        exec("/usr/bin/dash", "/bin/sh", &["sh", "-c", "id"]),
    );
    assert!(text(&event, "process.name").contains("\"sh\""));
    assert!(text(&event, "process.path").contains("/usr/bin/dash"));
    assert!(text(&event, "process.cmd_line").contains("sh -c id"));
    assert!(text(&event, "actor.process.path").contains("/usr/sbin/nginx"));
    assert!(text(&event, "process.parent_process.name").contains("nginx"));
    assert!(text(&event, "actor.user.name").contains("www-data"));
    assert_eq!(ancestors(&event), ["nginx", "init"]);
}

#[test]
fn a_daemon_that_forked_twice_keeps_who_started_it() {
    let mut bench = Bench::new();
    bench.fork(1, 10);
    bench.exec(task(10, 1), exec("/usr/sbin/nginx", "nginx", &["nginx"]));
    bench.fork(10, 11);
    bench.fork(11, 12);
    bench.take(task(11, 10), Body::Exit { code: 0 });
    // The kernel's parent is pid 1 by now.
    let event = bench.exec(task(12, 1), exec("/tmp/x", "/tmp/x", &["x"]));
    assert_eq!(ancestors(&event), ["nginx", "nginx", "init"]);
    assert!(text(&event, "process.parent_process.pid").contains("Int(1)"));
}

#[test]
fn a_process_that_exits_at_once_still_has_its_record_in_later_events() {
    let mut bench = Bench::new();
    bench.fork(1, 10);
    bench.exec(task(10, 1), exec("/usr/bin/curl", "curl", &["curl", "x"]));
    bench.take(task(10, 1), Body::Exit { code: 0 });
    let connect = Connect {
        cookie: 7,
        protocol: Protocol::Tcp,
        remote: "[::ffff:192.0.2.1]:443".parse().unwrap(),
        local: None,
        errno: Datum::Unknown,
    };
    let assembled = bench.take(task(10, 1), Body::Connect(connect));
    let Assembled::Event { event, outcome } = assembled else {
        panic!()
    };
    assert_eq!(outcome, Some(OutcomeKey(7)));
    assert!(text(&event, "actor.process.cmd_line").contains("curl x"));
    assert!(text(&event, "dst_endpoint.ip").contains("192.0.2.1"));
    let outcome = bench.take(
        task(1, 0),
        Body::ConnectOutcome {
            cookie: 7,
            errno: 111,
        },
    );
    assert!(matches!(
        outcome,
        Assembled::Outcome(OutcomeKey(7), Status(111))
    ));
}

#[test]
fn a_connection_carries_the_name_its_address_was_given_for() {
    let mut bench = Bench::new();
    let answer = Body::DnsAnswer {
        name: "pool.example".into(),
        addresses: vec!["192.0.2.9".parse().unwrap()],
    };
    bench.take(task(1, 0), answer);
    let connect = Connect {
        cookie: 1,
        protocol: Protocol::Udp,
        remote: "192.0.2.9:53".parse().unwrap(),
        local: None,
        errno: Datum::Known(0),
    };
    let event = event(bench.take(task(1, 0), Body::Connect(connect)));
    assert!(text(&event, "dst_endpoint.hostname").contains("pool.example"));
}

#[test]
fn a_script_has_a_name_of_its_own_and_an_interpreter() {
    let mut bench = Bench::new();
    bench.fork(1, 10);
    let mut script = exec("/usr/bin/dash", "./run.sh", &["/bin/sh", "./run.sh"]);
    script.interpreter = Datum::Known("/bin/sh".into());
    let event = bench.exec(task(10, 1), script);
    assert!(text(&event, "process.name").contains("run.sh"));
    assert!(text(&event, "process.script").contains("/srv/run.sh"));
    assert!(text(&event, "process.interpreter").contains("/bin/sh"));
}

#[test]
fn what_already_ran_is_a_script_only_if_its_arguments_say_so() {
    let mut bench = Bench::new();
    for (pid, filename, args, script) in [
        (10, "/bin/sh", &["sh", "-c", "x"][..], false),
        (
            11,
            "/usr/bin/tool",
            &["/bin/sh", "/usr/bin/tool", "x"][..],
            true,
        ),
        (
            12,
            "./run.py",
            &["/usr/bin/env", "python3", "./run.py"][..],
            true,
        ),
    ] {
        let mut running = exec("/usr/bin/dash", filename, args);
        running.interpreter = Datum::Unknown;
        bench.take(task(pid, 1), Body::Running(Box::new(running)));
        bench.fork(pid, pid + 100);
        let event = bench.exec(task(pid + 100, pid), exec("/bin/true", "true", &["true"]));
        let said = text(&event, "process.parent_process.script");
        assert_eq!(said.contains("Known"), script, "{filename}: {said}");
        assert!(!said.contains("Unknown"), "{filename}: {said}");
    }
}

#[test]
fn a_file_named_by_a_stand_in_has_its_own_name() {
    for name in ["/dev/fd/7", "/proc/self/exe", "/proc/12/exe"] {
        let mut bench = Bench::new();
        bench.fork(1, 10);
        let event = bench.exec(task(10, 1), exec("/usr/bin/busybox", name, &["cat"]));
        assert!(
            text(&event, "process.name").contains("\"busybox\""),
            "{name}"
        );
    }
}

#[test]
fn lost_records_leave_unknowns_and_not_wrong_answers() {
    let mut bench = Bench::new();
    // Pid 20 was never introduced; its parent is known.
    let event = bench.exec(task(20, 1), exec("/bin/x", "x", &["x"]));
    assert_eq!(ancestors(&event), ["init"]);
    let event = bench.exec(task(30, 29), exec("/bin/x", "x", &["x"]));
    let mut chain = event.processes(picket_model::field::ProcessList::ProcessAncestors);
    assert_eq!(chain.by_ref().count(), 0);
    assert!(chain.is_cut());
    assert!(text(&event, "process.parent_process.name").contains("Unknown"));
}

#[test]
fn no_order_of_records_panics() {
    use proptest::prelude::*;
    proptest!(|(steps in prop::collection::vec((0..6_u8, 1..6_u32, 0..6_u32), 0..200))| {
        let mut bench = Bench::new();
        for (what, pid, other) in steps {
            let body = match what {
                0 => Body::Fork { child: key(other) },
                1 => Body::Exit { code: 0 },
                2 => Body::Running(Box::default()),
                3 => Body::ConnectOutcome { cookie: 1, errno: 0 },
                _ => Body::Exec(Box::default()),
            };
            bench.take(task(pid, other), body);
        }
    });
}

fn file(inode: u64) -> FileIdentity {
    FileIdentity {
        inode,
        ..FileIdentity::default()
    }
}

/// After a sensor that was killed: what its programs told names processes of which
/// the last look at what runs says more, or less.
#[test]
fn what_runs_is_known_whatever_was_told_of_it_before() {
    let mut bench = Bench::new();
    let image = |name: &str, inode| Exec {
        file: file(inode),
        ..exec(&format!("/bin/{name}"), name, &[name])
    };
    let running = |name, inode| Body::Running(Box::new(image(name, inode)));
    // All that was told of 10 is that it forked.
    bench.take(task(10, 1), Body::Fork { child: key(11) });
    bench.take(task(10, 1), running("daemon", 1));
    // The exec of 12 was lost, that of 13 was not.
    bench.fork(10, 12);
    bench.take(task(12, 1), running("worker", 2));
    bench.fork(10, 13);
    bench.exec(task(13, 10), image("script", 3));
    bench.take(
        task(13, 1),
        Body::Running(Box::new(Exec {
            args: Datum::Known(["forged".into()].into()),
            ..image("script", 3)
        })),
    );
    bench.fork(12, 20);
    bench.fork(13, 21);
    let event = bench.exec(task(20, 12), image("true", 4));
    assert_eq!(ancestors(&event), ["worker", "daemon", "init"]);
    let event = bench.exec(task(21, 13), image("true", 4));
    assert_eq!(ancestors(&event), ["script", "daemon", "init"]);
    let told = text(&event, "process.parent_process.cmd_line");
    assert!(told.contains("script"), "{told}");
}
