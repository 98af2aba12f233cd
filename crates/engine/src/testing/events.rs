//! Events from bytes.

use super::Choices;
use picket_model::event::{
    Actor, Container, Detail, Dns, Endpoint, EventUid, Exec, File, Host, Network, Status,
};
use picket_model::process::{FileIdentity, Image, Parent, Process, ProcessKey};
use picket_model::record::{OpenFlags, Protocol};
use picket_model::{Datum, Event, EventClass};
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses that networks in rules are made of, too.
pub(super) const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.1.2.3",
    "127.0.0.1",
    "192.168.1.77",
    "::1",
    "fe80::1",
    "2001:db8::5",
    "0.0.0.0",
];

/// Numbers that ranges in rules are made of, too.
pub(super) const NUMBERS: &[u32] = &[0, 1, 22, 53, 80, 443, 1000, 4444, 65535, 0xF000_0000];

/// Events over a small pool of processes.
pub(super) fn events(choices: &mut Choices<'_>, most: usize) -> Vec<Event> {
    let mut pool: Vec<Arc<Process>> = Vec::new();
    for _ in 0..1 + choices.below(6) {
        let process = process(choices, &pool);
        pool.push(Arc::new(process));
    }
    let count = 1 + choices.below(most);
    (0..count as u64)
        .map(|number| event(choices, &pool, number))
        .collect()
}

fn event(choices: &mut Choices<'_>, pool: &[Arc<Process>], number: u64) -> Event {
    let class = choices.pick(&EventClass::ALL);
    let detail = match class {
        EventClass::ProcessExec => Detail::Exec(Exec {
            process: pool[choices.below(pool.len())].clone(),
            parent_process: datum(choices, |choices| pool[choices.below(pool.len())].clone()),
        }),
        EventClass::NetworkConnect | EventClass::NetworkListen => Detail::Network(Network {
            protocol: datum(choices, protocol),
            src: endpoint(choices),
            dst: endpoint(choices),
            status: datum(choices, |choices| Status(choices.below(4) as i32)),
        }),
        EventClass::DnsQuery => Detail::Dns(Dns {
            hostname: text(choices),
            query_type: datum(choices, |choices| choices.pick(&["A", "TXT"]).into()),
            resolver: endpoint(choices),
            protocol: datum(choices, protocol),
        }),
        _ => Detail::File(File {
            path: text(choices),
            open: datum(choices, |choices| OpenFlags {
                read: choices.one_in(2),
                write: choices.one_in(2),
                create: choices.one_in(2),
            }),
            rename_from: text(choices),
            mode: number_datum(choices),
            status: datum(choices, |choices| Status(choices.below(4) as i32)),
        }),
    };
    Event {
        uid: EventUid::Sequence { run: 1, number },
        time_ns: choices.below(4) as i64 * 100,
        class,
        host: Arc::new(Host {
            hostname: text(choices),
            labels: texts(choices),
        }),
        actor: Actor {
            process: datum(choices, |choices| pool[choices.below(pool.len())].clone()),
            user_name: datum(choices, |choices| choices.text().into()),
            uid: number_datum(choices),
            auid: number_datum(choices),
        },
        container: choices.one_in(3).then(|| {
            Arc::new(Container {
                uid: text(choices),
                image_name: text(choices),
                privileged: datum(choices, |choices| choices.one_in(2)),
                k8s_namespace: text(choices),
                k8s_pod: text(choices),
            })
        }),
        detail,
    }
}

fn process(choices: &mut Choices<'_>, pool: &[Arc<Process>]) -> Process {
    let parent = match choices.below(4) {
        0 | 1 if !pool.is_empty() => Parent::Known(pool[choices.below(pool.len())].clone()),
        2 => Parent::Unknown,
        _ => Parent::None,
    };
    let key = ProcessKey {
        pid: choices.pick(NUMBERS),
        start_ns: pool.len() as u64,
    };
    // Some processes share their image with the one before.
    let image = match pool.last() {
        Some(last) if choices.one_in(4) => last.image.clone(),
        _ => Arc::new(image(choices)),
    };
    Process::new(key, image, parent)
}

fn image(choices: &mut Choices<'_>) -> Image {
    Image {
        by_runtime: false,
        name: text(choices),
        path: text(choices),
        cmd_line: text(choices),
        args: texts(choices),
        working_directory: text(choices),
        tty: text(choices),
        interpreter: text(choices),
        script: text(choices),
        memfd: datum(choices, |choices| choices.one_in(2)),
        deleted: datum(choices, |choices| choices.one_in(2)),
        upper_layer: datum(choices, |choices| choices.one_in(2)),
        sha256: text(choices),
        file: datum(choices, |choices| FileIdentity {
            inode: choices.below(4) as u64,
            ..FileIdentity::default()
        }),
        uid: number_datum(choices),
        gid: number_datum(choices),
        euid: number_datum(choices),
        capabilities: datum(choices, |choices| choices.below(256) as u64),
        pid_namespace: number_datum(choices),
        mount_namespace: number_datum(choices),
        since_ns: 0,
    }
}

fn endpoint(choices: &mut Choices<'_>) -> Endpoint {
    Endpoint {
        ip: datum(choices, address),
        port: datum(choices, |choices| choices.pick(NUMBERS) as u16),
        hostname: datum(choices, |choices| choices.text().into()),
    }
}

fn address(choices: &mut Choices<'_>) -> IpAddr {
    choices
        .pick(ADDRESSES)
        .parse()
        .unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

fn protocol(choices: &mut Choices<'_>) -> Protocol {
    choices.pick(&[Protocol::Tcp, Protocol::Udp])
}

fn text(choices: &mut Choices<'_>) -> Datum<Box<str>> {
    datum(choices, |choices| choices.text().into())
}

fn texts(choices: &mut Choices<'_>) -> Datum<Box<[Box<str>]>> {
    datum(choices, |choices| {
        (0..choices.below(4))
            .map(|_| choices.text().into())
            .collect()
    })
}

fn number_datum(choices: &mut Choices<'_>) -> Datum<u32> {
    datum(choices, |choices| choices.pick(NUMBERS))
}

/// Mostly known values.
fn datum<T>(choices: &mut Choices<'_>, make: impl FnOnce(&mut Choices<'_>) -> T) -> Datum<T> {
    match choices.below(12) {
        9 => Datum::Absent,
        10 => Datum::Unknown,
        11 => Datum::Truncated(make(choices)),
        _ => Datum::Known(make(choices)),
    }
}
