//! `network.connect` and `network.listen`: who, where to, and how it ended.

use anyhow::{Context, Result, ensure};
use picket_e2e::netns::Netns;
use picket_e2e::rules::{RuleFile, by};
use picket_e2e::{Cause, Finding, Scratch, Sensor, needs_root};
use std::net::{TcpListener, UdpSocket};

/// A network of its own, and a sensor with a rule on everything that one program does there.
struct Stage {
    netns: Netns,
    path: String,
    scratch: Scratch,
    sensor: Sensor,
}

impl Stage {
    fn new() -> Result<Stage> {
        let scratch = Scratch::new()?;
        let path = scratch.at("cause");
        RuleFile::new()
            .rule("connects", "network.connect", &by(&path))
            // Outcomes of every kind are looked for only while a rule needs them.
            .rule(
                "outcome",
                "network.connect",
                &format!("{} and status == \"E2BIG\"", by(&path)),
            )
            .rule("listens", "network.listen", &by(&path))
            .write(&scratch)?;
        let sensor = Sensor::start(&scratch)?;
        Ok(Stage {
            netns: Netns::new()?,
            path,
            scratch,
            sensor,
        })
    }

    fn cause(&self) -> Result<Cause<'_>> {
        Ok(Cause::new(&self.scratch, "cause")?.in_netns(&self.netns))
    }

    /// A TCP port that accepts.
    fn tcp(&self, ip: &str) -> Result<(TcpListener, u16)> {
        let listener = self.netns.inside(|| Ok(TcpListener::bind((ip, 0))?))?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    }

    fn found(&mut self, rule: &str, pid: u32) -> Result<Finding> {
        let finding = self.sensor.finding(rule)?;
        let event = finding.event();
        event
            .has("class_uid", 4001)?
            .has("actor.process.pid", pid)?
            .has("actor.process.name", "cause")?
            .has("actor.process.file.path", self.path.as_str())?
            .has("actor.user.uid", "0")?;
        let parent = event
            .list("actor.process.ancestry")
            .first()
            .and_then(|p| p.number("pid"));
        assert_eq!(parent, Some(std::process::id().into()));
        Ok(finding)
    }
}

#[test]
fn tcp_connections_that_are_accepted() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    // What is asked for, and what the event must say.
    let cases = [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1"),
    ];
    for (at, to, seen) in cases {
        for way in ["connect", "nonblock", "uring", "polled", "thread"] {
            let (_listener, port) = stage.tcp(at)?;
            let text = port.to_string();
            let cause = stage.cause()?;
            let said = match way {
                "uring" => cause.act(["uring-connect", to, &text]),
                "polled" => cause.polled().act(["uring-connect", to, &text]),
                "thread" => cause.in_thread().act(["connect", "tcp", to, &text]),
                "nonblock" => cause.act(["connect", "tcp", to, &text, "nonblock"]),
                _ => cause.act(["connect", "tcp", to, &text]),
            }?;
            let finding = stage
                .found("connects", said.pid())
                .with_context(|| format!("{way} {to}"))?;
            finding
                .event()
                .has("activity_id", 1)?
                .has("dst_endpoint.ip", seen)?
                .has("dst_endpoint.port", port)?
                .has("connection_info.protocol_name", "tcp")?
                .has("status", "Success")
                .with_context(|| format!("{way} {to}"))?;
        }
    }
    let stopped = stage.sensor.stop()?;
    ensure!(
        stopped.findings.is_empty(),
        "an attempt was found twice: {:?}",
        stopped.findings.len()
    );
    Ok(())
}

#[test]
fn tcp_connections_that_fail_say_how() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let (listener, port) = stage.tcp("127.0.0.1")?;
    drop(listener);
    let port = port.to_string();
    fail_as(
        &mut stage,
        &[
            (&["connect", "tcp", "127.0.0.1", &port], "ECONNREFUSED"),
            (
                &["connect", "tcp", "127.0.0.1", &port, "nonblock"],
                "ECONNREFUSED",
            ),
            (
                &["connect", "tcp", "::ffff:127.0.0.1", &port],
                "ECONNREFUSED",
            ),
            (&["uring-connect", "127.0.0.1", &port], "ECONNREFUSED"),
        ],
    )
}

#[test]
fn connections_that_fail_at_once_say_how() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    fail_as(
        &mut stage,
        &[(&["connect", "tcp", "192.0.2.1", "80"], "ENETUNREACH")],
    )
}

#[test]
fn a_udp_connect_that_fails_at_once_says_how() -> Result<()> {
    needs_root!();
    let cases: &[(&[&str], &str)] = &[(&["connect", "udp", "192.0.2.1", "80"], "ENETUNREACH")];
    fail_as(&mut Stage::new()?, cases)
}

fn fail_as(stage: &mut Stage, cases: &[(&[&str], &str)]) -> Result<()> {
    for (args, errno) in cases {
        let said = stage.cause()?.act(*args)?;
        let finding = stage
            .found("connects", said.pid())
            .with_context(|| format!("{args:?}"))?;
        finding
            .event()
            .has("status", "Failure")
            .with_context(|| format!("{args:?}"))?
            .has("status_detail", *errno)
            .with_context(|| format!("{args:?}"))?;
    }
    Ok(())
}

#[test]
fn udp_connected_and_not() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    for (at, to, seen) in [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1"),
    ] {
        let socket = stage.netns.inside(|| Ok(UdpSocket::bind((at, 0))?))?;
        let port = socket.local_addr()?.port();
        let text = port.to_string();
        for way in ["connect", "sendto", "sendmsg", "sendmmsg"] {
            let cause = stage.cause()?;
            let said = if way == "connect" {
                cause.act(["connect", "udp", to, &text])?
            } else {
                cause.act(["send", way, to, &text, "hello"])?
            };
            let finding = stage
                .found("connects", said.pid())
                .with_context(|| format!("{way} {to}"))?;
            finding
                .event()
                .has("dst_endpoint.ip", seen)?
                .has("dst_endpoint.port", port)?
                .has("connection_info.protocol_name", "udp")?
                .has("status", "Success")
                .with_context(|| format!("{way} {to}"))?;
        }
    }
    Ok(())
}

#[test]
fn sockets_that_listen() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    listen_as(
        &mut stage,
        &[
            (&["listen", "127.0.0.1", "0"], "127.0.0.1", "tcp"),
            (&["listen", "0.0.0.0", "0"], "0.0.0.0", "tcp"),
            (&["listen", "::1", "0"], "::1", "tcp"),
            (&["listen", "::", "0"], "::", "tcp"),
            (&["bind", "udp", "127.0.0.1", "0"], "127.0.0.1", "udp"),
            (&["bind", "udp", "::", "0"], "::", "udp"),
        ],
    )?;
    // A TCP socket that is bound and never listens is no listener.
    stage.cause()?.act(["bind", "tcp", "127.0.0.1", "0"])?;
    let stopped = stage.sensor.stop()?;
    let left: Vec<&str> = stopped.findings.iter().map(Finding::rule).collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn sockets_that_listen_without_being_bound() -> Result<()> {
    needs_root!();
    listen_as(
        &mut Stage::new()?,
        &[
            (&["listen-unbound", "4"], "0.0.0.0", "tcp"),
            (&["listen-unbound", "6"], "::", "tcp"),
        ],
    )
}

fn listen_as(stage: &mut Stage, cases: &[(&[&str], &str, &str)]) -> Result<()> {
    for (args, ip, protocol) in cases {
        let said = stage.cause()?.act(*args)?;
        ensure!(said.ret() == 0, "{args:?}: {said:?}");
        let finding = stage
            .found("listens", said.pid())
            .with_context(|| format!("{args:?}"))?;
        finding
            .event()
            .has("activity_id", 7)?
            .has("src_endpoint.ip", *ip)
            .with_context(|| format!("{args:?}"))?
            .has("connection_info.protocol_name", *protocol)?;
        // The kernel chooses the port of a socket without bind(2) when the event is over.
        if args[0] == "listen-unbound" {
            ensure!(
                finding.event().is_unknown("src_endpoint.port"),
                "{}",
                finding.event().short()
            );
        } else {
            finding
                .event()
                .has("src_endpoint.port", said.number("port"))
                .with_context(|| format!("{args:?}"))?;
        }
    }
    Ok(())
}
