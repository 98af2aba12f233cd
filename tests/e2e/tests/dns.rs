//! `dns.query`: every way to ask, and the names that later connections carry.

use anyhow::{Context, Result, ensure};
use picket_e2e::dns::{Answer, Responder};
use picket_e2e::netns::Netns;
use picket_e2e::rules::{RuleFile, by};
use picket_e2e::{Cause, Finding, Scratch, Sensor, needs_root};
use std::collections::HashMap;
use std::net::TcpListener;

const RESOLVER: &str = "127.77.0.53";

struct Stage {
    netns: Netns,
    scratch: Scratch,
    sensor: Sensor,
}

impl Stage {
    fn new() -> Result<Stage> {
        let scratch = Scratch::new()?;
        let path = scratch.at("cause");
        RuleFile::new()
            .rule("asks", "dns.query", &by(&path))
            .rule(
                "connects",
                "network.connect",
                &format!(
                    "{} and connection_info.protocol_name == \"tcp\" and dst_endpoint.port != 53",
                    by(&path)
                ),
            )
            .write(&scratch)?;
        let netns = Netns::new()?;
        let zone = HashMap::from([
            (
                "four.e2e.example".into(),
                Answer::Addresses(vec!["127.77.0.80".parse()?]),
            ),
            (
                "alias.e2e.example".into(),
                Answer::Alias("real.e2e.example".into(), vec!["127.77.0.81".parse()?]),
            ),
            (
                "six.e2e.example".into(),
                Answer::Addresses(vec!["::1".parse()?]),
            ),
        ]);
        netns.inside(move || Responder::start(format!("{RESOLVER}:53").parse()?, zone))?;
        Ok(Stage {
            sensor: Sensor::start(&scratch)?,
            netns,
            scratch,
        })
    }

    fn cause(&self) -> Result<Cause<'_>> {
        Ok(Cause::new(&self.scratch, "cause")?.in_netns(&self.netns))
    }
}

#[test]
fn every_way_to_ask() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let ways = [
        "sendto",
        "sendmsg",
        "sendmmsg",
        "send",
        "write",
        "uring",
        "tcp",
        "tcp-split",
    ];
    for way in ways {
        let name = format!("{way}.Query.e2e.example");
        let said = stage
            .cause()?
            .act(["dns", way, RESOLVER, "53", &name, "16"])?;
        ensure!(said.number("answered") > 0, "{way}: {said:?}");
        let asked = |finding: &Finding| finding.event().text("query.type") == "TXT";
        let finding = stage
            .sensor
            .finding_where("asks", asked)
            .with_context(|| way.to_owned())?;
        finding
            .event()
            .has("class_uid", 4003)?
            .has("activity_id", 1)?
            .has("query.hostname", name.to_lowercase())
            .or_else(|_| finding.event().has("query.hostname", name.as_str()))
            .with_context(|| way.to_owned())?
            .has("dst_endpoint.ip", RESOLVER)?
            .has("dst_endpoint.port", 53)?
            .has(
                "connection_info.protocol_name",
                if way.starts_with("tcp") { "tcp" } else { "udp" },
            )?
            .has("actor.process.pid", said.pid())
            .with_context(|| way.to_owned())?
            .has("actor.process.name", "cause")?;
    }
    // sendmmsg asked for two types; nothing else may be left.
    let stopped = stage.sensor.stop()?;
    let left: Vec<&str> = stopped
        .findings
        .iter()
        .map(|f| f.event().text("query.type"))
        .collect();
    assert_eq!(left, ["AAAA"]);
    Ok(())
}

#[test]
fn a_thread_that_asks_is_its_process() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let said = stage.cause()?.in_thread().act([
        "dns",
        "sendto",
        RESOLVER,
        "53",
        "four.e2e.example",
        "1",
    ])?;
    ensure!(said.number("tid") != said.number("pid"));
    stage
        .sensor
        .finding("asks")?
        .event()
        .has("actor.process.pid", said.pid())?
        .has("query.type", "A")?;
    Ok(())
}

#[test]
fn connections_carry_the_name_that_was_asked_for() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new()?;
    let cases = [
        ("sendto", "four.e2e.example", "1", "127.77.0.80"),
        ("tcp", "alias.e2e.example", "1", "127.77.0.81"),
        ("sendmmsg", "six.e2e.example", "28", "::1"),
    ];
    for (way, name, kind, ip) in cases {
        let listener = stage.netns.inside(|| Ok(TcpListener::bind((ip, 0))?))?;
        let port = listener.local_addr()?.port();
        stage
            .cause()?
            .act(["dns", way, RESOLVER, "53", name, kind])?;
        stage
            .cause()?
            .act(["connect", "tcp", ip, &port.to_string()])?;
        stage
            .sensor
            .finding("connects")?
            .event()
            .has("dst_endpoint.ip", ip)?
            .has("dst_endpoint.hostname", name)
            .with_context(|| format!("{way} {name}"))?;
    }
    Ok(())
}
