//! Recordings: what is replayed gives the same findings every time.

use anyhow::{Context, Result, ensure};
use picket_e2e::rules::{RuleFile, quote};
use picket_e2e::{Cause, Finding, Scratch, binary, lines::Lines, needs_root, wait};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::{Command, Output, Stdio};

const EVENTS: usize = 200_000;

fn replay(file: &str, rules: &str) -> Result<Output> {
    let output = binary::run_picket(["replay", file, "--rules", rules])?;
    ensure!(
        output.status.code() == Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

fn findings_by_rule(output: &Output) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        *counts
            .entry(Finding::parse(line)?.rule().to_owned())
            .or_insert(0) += 1;
    }
    Ok(counts)
}

/// Numbers that look random and are the same every time (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

const PROGRAMS: [&str; 8] = [
    "sh", "bash", "nginx", "curl", "python3", "xmrig", "ls", "sshd",
];

/// Exec events with ancestors; how many have which program.
fn write_events(scratch: &Scratch) -> Result<(String, BTreeMap<&'static str, usize>)> {
    let mut numbers = Numbers(0x5049_434b_4554);
    let mut counts = BTreeMap::new();
    let mut text = String::new();
    for number in 0..EVENTS {
        let (program, parent) = (PROGRAMS[numbers.below(8)], PROGRAMS[numbers.below(8)]);
        *counts.entry(program).or_insert(0) += 1;
        let user = numbers.below(5) * 1_000;
        let time = 1_795_400_000_000_u64 + number as u64;
        let pid = 1_000 + number % 30_000;
        writeln!(
            text,
            "{{\"class_uid\":1007,\"activity_id\":1,\"time\":{time},\"metadata\":{{\"uid\":\"e{number}\"}},\
             \"process\":{{\"pid\":{pid},\"name\":\"{program}\",\"file\":{{\"path\":\"/usr/bin/{program}\"}},\
             \"cmd_line\":\"{program} --number {number}\",\
             \"ancestry\":[{{\"pid\":99,\"name\":\"{parent}\",\"file\":{{\"path\":\"/usr/sbin/{parent}\"}}}},\
             {{\"pid\":1,\"name\":\"systemd\"}}]}},\
             \"actor\":{{\"process\":{{\"pid\":{pid},\"name\":\"{parent}\"}},\"user\":{{\"uid\":\"{user}\"}}}}}}"
        )?;
    }
    let path = scratch.write("events.jsonl", text)?;
    Ok((path.display().to_string(), counts))
}

#[test]
fn two_hundred_thousand_events_give_the_same_findings_twice() -> Result<()> {
    let scratch = Scratch::new()?;
    let rules = RuleFile::new()
        .rule("miner", "process.exec", "process.name == \"xmrig\"")
        .rule(
            "web-shell",
            "process.exec",
            "process.name in (\"sh\", \"bash\") and any process.ancestors (name == \"nginx\")",
        )
        .rule(
            "number",
            "process.exec",
            "process.cmd_line matches r\"--number \\d*777$\"",
        )
        .rule(
            "user",
            "process.exec",
            "actor.user.uid == 4000 and process.cmd_line contains \"99\"",
        )
        .policy("stop", "miner", "block")
        .write(&scratch)?
        .display()
        .to_string();
    let (events, counts) = write_events(&scratch)?;
    let first = replay(&events, &rules)?;
    let second = replay(&events, &rules)?;
    ensure!(first.stdout == second.stdout, "two replays differ");

    let found = findings_by_rule(&first)?;
    assert_eq!(found.get("miner"), counts.get("xmrig"));
    assert_eq!(found.get("number"), Some(&(EVENTS / 1_000)));
    ensure!(found["web-shell"] > 0 && found["user"] > 0, "{found:?}");

    // The other way in: the same rules offline.
    let matched = binary::run_picket(["match", "--rules", &rules, &events])?;
    assert_eq!(findings_by_rule(&matched)?, found);
    Ok(())
}

/// Records while `work` runs.
fn record(scratch: &Scratch, format: &str, work: impl FnOnce() -> Result<()>) -> Result<String> {
    let file = scratch.at(&format!("recording.{format}"));
    let mut recorder = Command::new(binary::picket()?)
        .args(["record", "--format", format, "-o", &file])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut messages = Lines::of(
        "picket record",
        recorder.stderr.take().context("no stderr")?,
    );
    messages.take("ready", |line| (line == "ready").then_some(()))?;
    work()?;
    let pid = Pid::from_raw(i32::try_from(recorder.id())?).context("pid 0")?;
    kill_process(pid, Signal::TERM)?;
    let status = wait::for_exit(&mut recorder, "picket record")?;
    ensure!(
        status.code() == Some(0),
        "{status}: {}",
        messages.transcript()
    );
    Ok(file)
}

#[test]
fn a_recording_of_a_real_load_is_replayed_alike() -> Result<()> {
    needs_root!();
    const PROCESSES: usize = 1_000;
    let scratch = Scratch::new()?;
    let target = Cause::new(&scratch, "target")?.path_text();
    let cause = Cause::new(&scratch, "cause")?;
    let chain = format!(
        "process.path == {} and any process.ancestors (path == {})",
        quote(&target),
        quote(&cause.path_text())
    );
    let rules = RuleFile::new()
        .rule("target", "process.exec", &chain)
        .rule(
            "sent",
            "network.connect",
            "actor.process.name == \"target\" and dst_endpoint.port == 9 and status == \"ok\"",
        )
        .policy("stop", "target", "block")
        .write(&scratch)?
        .display()
        .to_string();
    for format in ["raw", "json"] {
        let file = record(&scratch, format, || {
            cause.run(["burst", &PROCESSES.to_string(), &target])?;
            Cause::new(&scratch, "target")?.run(["connect", "udp", "127.0.0.1", "9"])?;
            Ok(())
        })?;
        let (first, second) = (replay(&file, &rules)?, replay(&file, &rules)?);
        ensure!(
            first.stdout == second.stdout,
            "two replays of {format} differ"
        );
        let found = findings_by_rule(&first)?;
        assert_eq!(found.get("target"), Some(&PROCESSES), "{format}");
        assert_eq!(found.get("sent"), Some(&1), "{format}");
        if format == "json" {
            let matched = binary::run_picket(["match", "--rules", &rules, &file])?;
            assert_eq!(findings_by_rule(&matched)?, found);
        } else {
            // Nothing to act on: the policy is withheld, not carried out.
            let line = String::from_utf8_lossy(&first.stdout);
            let finding = Finding::parse(line.lines().next().context("no finding")?)?;
            finding
                .response("stop")?
                .has("outcome", "withheld")?
                .has("reason", "replay")?;
        }
    }
    Ok(())
}

#[test]
fn a_damaged_recording_is_told_and_does_not_end_in_a_panic() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let rules = RuleFile::new()
        .rule("any", "process.exec", "process.pid > 0")
        .write(&scratch)?;
    let rules = rules.display().to_string();
    let file = record(&scratch, "raw", || {
        Cause::new(&scratch, "cause")?.run(["hold"])?;
        Ok(())
    })?;
    let whole = std::fs::read(&file)?;
    let header = whole
        .iter()
        .skip(11)
        .position(|&byte| byte == b'\n')
        .unwrap_or(0)
        + 12;
    let mut flipped = whole.clone();
    for at in (header..flipped.len()).step_by(97) {
        flipped[at] ^= 0xff;
    }
    let cut = &whole[..header + (whole.len() - header) / 2 + 1];
    let cases: [(&str, &[u8]); 5] = [
        ("empty", b""),
        ("header", &whole[..20]),
        ("cut", cut),
        ("flipped", &flipped),
        ("noise", &[0x5a; 10_000]),
    ];
    for (name, bytes) in cases {
        let path = scratch.write(name, bytes)?.display().to_string();
        let output = binary::run_picket(["replay", &path, "--rules", &rules])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!said.contains("panicked"), "{name}: {said}");
        let code = output.status.code();
        ensure!(matches!(code, Some(0 | 2)), "{name}: {code:?} {said}");
        ensure!(!said.is_empty(), "{name}: silent");
    }
    Ok(())
}
