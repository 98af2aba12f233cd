//! The kernel half and the engine on the same records: what both decide, they
//! decide alike.
//!
//! Rules and records are made from a seed. A record goes through the kernel's
//! judgement (BPF_PROG_TEST_RUN), and through decode, process table and the
//! reference evaluator. Needs root, and says so without.

#![allow(clippy::expect_used)] // A test that cannot go on ends here.

use picket_engine::fold::Folder;
use picket_engine::kernel::{Armed, Compiled, Host, Protection, compile};
use picket_engine::naive::Evaluator;
use picket_engine::testing::Choices;
use picket_engine::{RuleIndex, Verdicts};
use picket_lang::ir::Rule;
use picket_model::event::Host as EventHost;
use picket_model::process::ProcessKey;
use picket_model::record::{OpenFlags, Protocol};
use picket_model::{Datum, Event};
use picket_probe::synth::raw::{self, Image, Operation};
use picket_probe::synth::{self, Actor};
use picket_probe::{Half, ProbeConfig, Probes, decode};
use picket_sensor::enrich::{Containers, Enrichment, Names, Users};
use picket_sensor::process::{Assembled, Assembler, Limits};
use std::net::SocketAddr;
use std::sync::Arc;

/// Judgements of a rule on an event, in all; more by hand: `PICKET_CASES`.
const CASES: usize = 100_000;
const RECORDS: usize = 120;

/// Pids that no real process has, so that nobody is confused with one.
const FIRST_PID: u32 = 1 << 29;

fn users() -> Vec<(u32, String)> {
    let of = |uid, name: &str| (uid, name.to_owned());
    vec![
        of(0, "bash"),
        of(22, "Bash"),
        of(443, "é"),
        of(1000, "curl a"),
    ]
}

fn assembler() -> Assembler {
    let enrichment = Enrichment {
        users: Users::from_pairs(users()),
        containers: Containers::replayed(None),
        names: Names::new(16),
    };
    Assembler::new(
        Limits::default(),
        enrichment,
        Arc::new(EventHost::default()),
        1,
        0,
    )
}

#[test]
fn the_kernel_and_the_engine_decide_alike() {
    let config = ProbeConfig {
        trials: true,
        ring_bytes: 0,
        ..ProbeConfig::default()
    };
    let mut probes = match Probes::load(&config) {
        Ok(probes) => probes,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let mut counts = Counts::default();
    let cases = std::env::var("PICKET_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut seed = 1;
    while counts.judged < cases {
        let bytes = noise(seed, 32_768);
        let mut choices = Choices::new(&bytes);
        let rules = choices.rules(24);
        run(&mut probes, &mut choices, &rules, seed, &mut counts);
        seed += 1;
    }
    println!("{counts:?} in {seed} sets of rules");
    // Else it would have shown nothing.
    assert!(counts.matched > counts.judged / 100, "{counts:?}");
    assert!(counts.undecided < counts.judged / 2, "{counts:?}");
}

#[derive(Debug, Default)]
struct Counts {
    judged: usize,
    matched: usize,
    /// By the kernel, where the engine decides.
    undecided: usize,
}

/// The same bytes for the same seed (xorshift64*).
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
        .collect()
}

fn run(
    probes: &mut Probes,
    choices: &mut Choices<'_>,
    rules: &[Rule],
    seed: u64,
    counts: &mut Counts,
) {
    let users = users();
    let host = Host {
        users: &users,
        // Far from any exception's expiry.
        now_ns: 60_000_000_000,
        ..Host::default()
    };
    let armed: Vec<Armed<'_>> = rules
        .iter()
        .map(|rule| Armed { rule, policies: 1 })
        .collect();
    let mut compiled = compile(&armed, &Protection::default(), &host);
    compiled.set_version(7);
    let half = probes.prepare(&compiled.block, &[]).expect("tables");
    let reference = Evaluator::new(rules);
    let mut assembler = assembler();
    let mut processes = Processes { count: 1 };
    for number in 0..RECORDS {
        let mut actor = processes.actor(choices);
        actor.boot_ns = host.now_ns as u64 + number as u64;
        let bytes = record(choices, &mut processes, &actor);
        let tried = probes.try_record(half, &bytes).expect("a trial");
        let record = decode(&bytes).expect("a record");
        let Assembled::Event { event, .. } = assembler.take(record) else {
            continue;
        };
        let mut verdicts = Verdicts::default();
        reference.evaluate(&event, &mut Folder::default(), &mut verdicts);
        let kernel = |set: &[usize], rule: usize| {
            set.iter()
                .any(|program| compiled.programs[*program] == rule)
        };
        for (rule, own) in rules.iter().enumerate() {
            if !own.classes.contains(&event.class) {
                continue;
            }
            let index = RuleIndex(rule as u32);
            let matched = verdicts.matched.contains(&index);
            let may = matched || verdicts.undecided.contains(&index);
            let certain = kernel(&tried.certain, rule);
            let maybe = kernel(&tried.maybe, rule);
            counts.judged += 1;
            counts.matched += usize::from(matched);
            // Undecided by the kernel, though not by the engine.
            counts.undecided += usize::from(maybe && !certain && may == matched);
            assert!(
                (!certain || matched) && (!matched || maybe),
                "seed {seed}, record {number}: the kernel says certain {certain}, maybe {maybe}; the engine \
                 matched {matched}, may {may}: {} except {:?}\n{event:#?}",
                own.condition,
                own.exceptions,
            );
        }
        same_state(probes, half, &compiled, &event, seed);
    }
}

/// What the kernel keeps of a process and what the sensor would put there.
fn same_state(probes: &Probes, half: Half, compiled: &Compiled, event: &Event, seed: u64) {
    let Some(process) = event.own_process() else {
        return;
    };
    let Some(kept) = probes.kept(half, process.key.pid).expect("states") else {
        return;
    };
    let own = compiled.units.of(process);
    for word in 0..own.certain.len() {
        let impossible = (kept.own.certain[word] & !own.maybe[word])
            | (own.certain[word] & !kept.own.maybe[word]);
        // Behind the kept units stand those of new images, which nobody asks for later.
        let kept_here = compiled.units.kept().saturating_sub(word * 64).min(64);
        let impossible = impossible & !u64::MAX.checked_shl(kept_here as u32).unwrap_or(0);
        assert_eq!(
            impossible,
            0,
            "seed {seed}: bits of word {word}, kernel {:x}/{:x}, sensor {:x}/{:x}, of {process:?} under {:?}",
            kept.own.certain[word],
            kept.own.maybe[word],
            own.certain[word],
            own.maybe[word],
            compiled.units
        );
    }
}

struct Processes {
    count: u32,
}

impl Processes {
    fn key(number: u32) -> ProcessKey {
        synth::key(FIRST_PID + number)
    }

    fn actor(&self, choices: &mut Choices<'_>) -> Actor {
        let number = choices.below(self.count as usize) as u32;
        let mut actor = Actor::new(FIRST_PID + number);
        actor.uid = choices.pick(&[0, 22, 1000, 443, 7]);
        actor.parent = match choices.below(5) {
            0 => ProcessKey::default(),
            1 | 2 => Processes::key(1_000_000),
            // Nobody is his own parent.
            _ => Processes::key(match choices.below(self.count as usize) as u32 {
                own if own == number => 1_000_000,
                other => other,
            }),
        };
        actor
    }
}

fn record(choices: &mut Choices<'_>, processes: &mut Processes, actor: &Actor) -> Vec<u8> {
    let protocol = choices.pick(&[Protocol::Tcp, Protocol::Udp]);
    match choices.below(10) {
        0 | 1 => {
            let child = Processes::key(processes.count);
            processes.count += 1;
            synth::fork(actor, child)
        }
        2..=5 => raw::exec(actor, &image(choices)),
        6 => {
            let local = choices.one_in(2).then(|| address(choices));
            let errno = datum(choices, |choices| choices.below(4) as i32);
            raw::connect(actor, protocol, address(choices), local, errno)
        }
        7 => raw::listen(actor, protocol, address(choices)),
        8 => {
            let message = question(choices);
            raw::dns(actor, protocol, address(choices), &message)
        }
        _ => file(choices, actor),
    }
}

fn file(choices: &mut Choices<'_>, actor: &Actor) -> Vec<u8> {
    let flags = OpenFlags {
        read: choices.one_in(2),
        write: choices.one_in(2),
        create: choices.one_in(2),
    };
    let mode = choices.pick(&[0, 0o600, 0o4755, 443]);
    let operation = match choices.below(5) {
        0 => Operation::Open(flags),
        1 => Operation::Create(flags),
        2 => Operation::Rename,
        3 => Operation::Delete,
        _ => Operation::Chmod(mode),
    };
    let mut path = || [folder(choices), text(choices)];
    let (path, from) = (path(), path());
    let errno = match choices.below(3) {
        0 => Datum::Unknown,
        errno => Datum::Known(errno as i32 - 1),
    };
    raw::file(
        actor,
        operation,
        [&path[0], &path[1]],
        [&from[0], &from[1]],
        errno,
    )
}

/// An absolute directory as the kernel gives it.
fn folder(choices: &mut Choices<'_>) -> Datum<Vec<u8>> {
    match choices.below(5) {
        0 => Datum::Absent,
        1 => Datum::Known(b"/".to_vec()),
        2 => Datum::Known(b"/usr/bin".to_vec()),
        3 => Datum::Known(b"/a/bash".to_vec()),
        _ => Datum::Unknown,
    }
}

fn image(choices: &mut Choices<'_>) -> Image {
    let path = match choices.below(8) {
        0 => Datum::Known(b"memfd:a/bash".to_vec()),
        _ => text(choices),
    };
    let filename = match choices.below(8) {
        0 => Datum::Known(b"/dev/fd/3".to_vec()),
        1 => Datum::Known(b"/proc/self/exe".to_vec()),
        2 => Datum::Known(b"./bash".to_vec()),
        _ => text(choices),
    };
    let working_directory = match choices.below(4) {
        0 => Datum::Known(b"/".to_vec()),
        _ => folder(choices),
    };
    Image {
        path,
        filename,
        interpreter: text(choices),
        working_directory,
        tty: text(choices),
        args: arguments(choices),
        inode: choices.pick(&[1, 443, 1 << 40]),
        device: 8 << 20 | 1,
        deleted: choices.one_in(3),
        upper_layer: choices.one_in(3),
        capabilities: choices.pick(&[0, 1, 1 << 21, u64::MAX >> 23]),
    }
}

fn arguments(choices: &mut Choices<'_>) -> Datum<Vec<u8>> {
    let mut bytes = Vec::new();
    for _ in 0..choices.below(4) {
        bytes.extend(some_bytes(choices));
        bytes.push(0);
    }
    match choices.below(6) {
        0 => Datum::Unknown,
        1 => {
            // Cut at any place.
            bytes.truncate(choices.below(bytes.len() + 1));
            Datum::Truncated(bytes)
        }
        _ => Datum::Known(bytes),
    }
}

fn text(choices: &mut Choices<'_>) -> Datum<Vec<u8>> {
    datum(choices, some_bytes)
}

/// Text without NULs, now and then not UTF-8.
fn some_bytes(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = choices.text().into_bytes();
    match choices.below(12) {
        0 => bytes.push(0xff),
        1 if bytes.len() > 1 => {
            bytes.pop();
        }
        2 => bytes.extend(std::iter::repeat_n(b'x', 40)),
        _ => {}
    }
    bytes
}

fn datum<T>(choices: &mut Choices<'_>, value: impl FnOnce(&mut Choices<'_>) -> T) -> Datum<T> {
    match choices.below(8) {
        0 => Datum::Absent,
        1 => Datum::Unknown,
        2 => Datum::Truncated(value(choices)),
        _ => Datum::Known(value(choices)),
    }
}

fn address(choices: &mut Choices<'_>) -> SocketAddr {
    let ip = choices.pick(&[
        "10.0.0.1",
        "10.1.2.3",
        "127.0.0.1",
        "192.168.1.77",
        "::1",
        "fe80::1",
        "2001:db8::5",
        "::ffff:10.1.2.3",
        "0.0.0.0",
    ]);
    let port = choices.pick(&[0, 1, 22, 53, 80, 443, 4444, 65535]);
    SocketAddr::new(ip.parse().expect("an address"), port)
}

/// A DNS message, mostly a good one.
fn question(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut message = vec![
        0,
        7,
        1,
        0,
        0,
        u8::from(!choices.one_in(9)),
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    for _ in 0..choices.below(4) {
        let mut label = choices.text().into_bytes();
        label.truncate(63);
        if label.is_empty() {
            label.push(b'.');
        }
        message.push(label.len() as u8);
        message.extend(label);
    }
    if choices.one_in(9) {
        message.push(0xc0);
    }
    message.extend([0, 0, choices.pick(&[1, 16, 28, 0, 200]), 0, 1]);
    if choices.one_in(9) {
        message.truncate(message.len() - 1 - choices.below(9));
    }
    message
}
