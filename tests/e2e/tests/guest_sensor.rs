//! The sensor on other kernels, and armed without a scope, where nothing but a guest can be hurt.

use anyhow::{Context, Result, ensure};
use picket_e2e::binary::CAUSE;
use picket_e2e::guest::watched::{self, Seen};
use picket_e2e::guest::{Guest, kernel};
use picket_e2e::rules::{RuleFile, by};
use picket_e2e::skipped;
use std::path::Path;

fn guest(series: kernel::Series, rules: &RuleFile) -> Result<Option<Guest>> {
    match watched::guest(series)? {
        Ok(mut guest) => {
            guest.write("/rules/test.yaml", 0o644, rules.text());
            Ok(Some(guest))
        }
        Err(why) => {
            skipped(why);
            Ok(None)
        }
    }
}

const CLASSES: [&str; 9] = [
    "process.exec",
    "network.connect",
    "network.listen",
    "dns.query",
    "file.open",
    "file.create",
    "file.rename",
    "file.delete",
    "file.chmod",
];

/// An act, its class, and a field with its value.
const ACTS: [(&str, &str, &str, &str); 19] = [
    (
        "hold by-name",
        "process.exec",
        "process.cmd_line",
        "picket-cause hold by-name",
    ),
    (
        "connect tcp 127.0.0.1 1",
        "network.connect",
        "dst_endpoint.ip",
        "127.0.0.1",
    ),
    (
        "connect tcp ::1 1 nonblock",
        "network.connect",
        "dst_endpoint.ip",
        "::1",
    ),
    (
        "send sendmsg 127.0.0.2 9 x",
        "network.connect",
        "dst_endpoint.ip",
        "127.0.0.2",
    ),
    (
        "uring-connect 127.0.0.3 1",
        "network.connect",
        "dst_endpoint.ip",
        "127.0.0.3",
    ),
    (
        "listen 127.0.0.4 4444",
        "network.listen",
        "src_endpoint.ip",
        "127.0.0.4",
    ),
    (
        "bind udp 127.0.0.5 4444",
        "network.listen",
        "src_endpoint.ip",
        "127.0.0.5",
    ),
    (
        "dns write 127.0.0.6 53 guest.e2e.example 16",
        "dns.query",
        "query.hostname",
        "guest.e2e.example",
    ),
    (
        "dns send 127.0.0.6 53 other.e2e.example 1",
        "dns.query",
        "query.type",
        "A",
    ),
    ("creat /tmp/one", "file.create", "file.path", "/tmp/one"),
    (
        "openat2 /tmp/two wc",
        "file.create",
        "file.path",
        "/tmp/two",
    ),
    (
        "uring-openat /tmp/three wc",
        "file.create",
        "file.path",
        "/tmp/three",
    ),
    ("open /tmp/one r", "file.open", "file.path", "/tmp/one"),
    (
        "rename /tmp/one /tmp/four",
        "file.rename",
        "file.path",
        "/tmp/four",
    ),
    (
        "uring-renameat /tmp/two /tmp/five",
        "file.rename",
        "file.path",
        "/tmp/five",
    ),
    (
        "chmod /tmp/four 700",
        "file.chmod",
        "file.path",
        "/tmp/four",
    ),
    ("unlink /tmp/four", "file.delete", "file.path", "/tmp/four"),
    (
        "unlinkat /tmp/five",
        "file.delete",
        "file.path",
        "/tmp/five",
    ),
    (
        "uring-unlinkat /tmp/three",
        "file.delete",
        "file.path",
        "/tmp/three",
    ),
];

fn every_class_is_seen(series: kernel::Series) -> Result<()> {
    let own = by("/bin/picket-cause");
    let rules = CLASSES.iter().fold(RuleFile::new(), |rules, class| {
        let condition = if *class == "process.exec" {
            own.replace("actor.", "")
        } else {
            own.clone()
        };
        rules.rule(class, class, &condition)
    });
    let Some(guest) = guest(series, &rules)? else {
        return Ok(());
    };
    let mut script =
        String::from("picket doctor | while read -r line; do echo \"doctor: $line\"; done\n");
    for (act, ..) in ACTS {
        script += &format!("picket-cause {act}\n");
    }
    let seen = Seen::of(&guest, "--rules /rules", &script)?;
    for class in CLASSES {
        let told = format!("doctor: ok  {class} ");
        ensure!(
            seen.outcome
                .lines
                .iter()
                .any(|line| line.starts_with(&told)),
            "{}",
            seen.transcript()
        );
    }
    for (act, class, field, value) in ACTS {
        let finding = seen
            .finding(class, |event| event.text(field) == value)
            .with_context(|| act.to_owned())?;
        let event = finding.event();
        let process = if class == "process.exec" {
            "process"
        } else {
            "actor.process"
        };
        event
            .has(&format!("{process}.name"), "picket-cause")
            .and_then(|event| {
                event.has(
                    &format!("{process}.cmd_line"),
                    format!("picket-cause {act}"),
                )
            })
            .with_context(|| act.to_owned())?;
        let ancestry = event.list(&format!("{process}.ancestry"));
        ensure!(
            ancestry
                .last()
                .is_some_and(|last| last.number("pid") == Some(1)),
            "{act}: {}",
            event.short()
        );
    }
    ensure!(
        seen.outcome
            .lines
            .iter()
            .any(|line| line.starts_with("message: lost in the kernel: 0")),
        "{}",
        seen.transcript()
    );
    Ok(())
}

#[test]
fn every_class_is_seen_on_6_1() -> Result<()> {
    every_class_is_seen(kernel::V6_1)
}

#[test]
fn every_class_is_seen_on_6_12() -> Result<()> {
    every_class_is_seen(kernel::V6_12)
}

/// Where distributions have the daemons that no policy may touch.
const PROTECTED: [&str; 7] = [
    "/usr/sbin/sshd",
    "/usr/sbin/init",
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
    "/usr/bin/dockerd",
    "/usr/bin/kubelet",
    "/usr/lib/systemd/systemd-journald",
];
const FAIR_GAME: [&str; 3] = ["/tmp/sshd", "/usr/bin/sshd-like", "/bin/picket-cause"];

#[test]
fn block_everything_on_the_whole_host() -> Result<()> {
    let rules = RuleFile::new()
        .rule("exec", "process.exec", "process.pid > 0")
        .rule(
            "file",
            "file.create",
            "actor.process.pid > 0 and file.parent_folder == \"/run\"",
        )
        .policy("stop-exec", "exec", "block")
        .policy("stop-file", "file", "block");
    let Some(mut guest) = guest(kernel::V6_1, &rules)? else {
        return Ok(());
    };
    for path in PROTECTED.iter().chain(&FAIR_GAME) {
        guest.add(Path::new(CAUSE), path)?;
    }
    // Protected ones first; once a later, unprotected one is dead, they have been judged.
    let mut script = String::from(": >/run/by-process-1\n");
    for (at, path) in PROTECTED.iter().enumerate() {
        script += &format!("{path} linger <&4 >/dev/null &\np{at}=$!\n");
    }
    for path in FAIR_GAME {
        script += &format!("{path} linger <&4 >/dev/null &\nwait $!\necho \"{path}: $?\"\n");
    }
    for (at, path) in PROTECTED.iter().enumerate() {
        script += &format!("kill -0 $p{at} && echo \"{path}: alive\"\n");
    }
    script += "kill -0 $sensor && echo \"the sensor: alive\"\n";
    let seen = Seen::of(&guest, "--rules /rules", &script)?;

    for path in FAIR_GAME {
        ensure!(
            seen.says(&format!("{path}: 137")),
            "{path} was not killed\n{}",
            seen.transcript()
        );
        seen.finding("exec", |event| event.text("process.file.path") == path)?
            .response("stop-exec")?
            .has("outcome", "acted")?;
    }
    for path in PROTECTED {
        ensure!(
            seen.says(&format!("{path}: alive")),
            "{path} died\n{}",
            seen.transcript()
        );
        seen.finding("exec", |event| event.text("process.file.path") == path)?
            .response("stop-exec")?
            .has("outcome", "withheld")?
            .has("reason", "protected")?;
    }
    ensure!(seen.says("the sensor: alive"));
    seen.finding("file", |event| event.number("actor.process.pid") == Some(1))?
        .response("stop-file")?
        .has("outcome", "withheld")?
        .has("protected_by", "pid 1")?;
    Ok(())
}
