//! What feeds list, met on the real kernel: simulated and blocked by category.

use anyhow::{Result, ensure};
use picket_e2e::rules::RuleFile;
use picket_e2e::sensor::Builder;
use picket_e2e::{Cause, Cgroup, Scratch, Sensor, needs_root};
use std::os::unix::process::ExitStatusExt;

/// Of TEST-NET-1 (RFC 5737): nobody answers there.
const LISTED: &[&str] = &["connect", "udp", "192.0.2.7", "9"];
const IN_LISTED_PREFIX: &[&str] = &["connect", "udp", "198.51.100.77", "9"];
const LISTED_NAME: &[&str] = &["dns", "sendto", "127.0.0.1", "53", "c2.evil.example", "1"];
const BESIDE: &[&str] = &["connect", "udp", "192.0.2.8", "9"];

struct Stage {
    scratch: Scratch,
    cgroup: Cgroup,
    sensor: Sensor,
}

impl Stage {
    /// A sensor without a rule, with one feed, and a policy of that action on the
    /// category.
    fn new(action: &str) -> Result<Stage> {
        let (scratch, cgroup) = (Scratch::new()?, Cgroup::new()?);
        RuleFile::new()
            .policy_on("listed", "{categories: [malicious_ioc]}", action, "")
            .write(&scratch)?;
        scratch.write("list.txt", "192.0.2.7\n198.51.100.0/24\nevil.example\n")?;
        let feeds = scratch.write(
            "feeds.toml",
            "[[feeds]]\nname = \"lab\"\ncategory = \"botnet\"\nconfidence = 90\n\
             format = \"plain\"\npath = \"list.txt\"\n",
        )?;
        let sensor = Builder::new(scratch.path().join("rules"))
            .enforce_in(cgroup.path())
            .arg("--feeds")
            .arg(feeds)
            .start()?;
        Ok(Stage {
            scratch,
            cgroup,
            sensor,
        })
    }

    fn cause(&self) -> Result<Cause<'_>> {
        let cause = Cause::new(&self.scratch, "target")?;
        Ok(cause.in_cgroup(&self.cgroup).env("CAUSE_LINGER", "1"))
    }

    /// Does it, and lives on afterwards; its pid.
    fn survives(&self, args: &[&str]) -> Result<u32> {
        let mut running = self.cause()?.start(args)?;
        running.go()?;
        running.said()?;
        let pid = running.pid();
        ensure!(running.is_alive()?);
        assert_eq!(running.end()?.status.code(), Some(0));
        Ok(pid)
    }
}

#[test]
fn a_listed_address_prefix_and_name_are_blocked() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new("block")?;
    stage
        .sensor
        .message_with("policy listed answers what the feeds list from user space")?;
    for (args, rule, category) in [
        (LISTED, "feed-lab-ip", "malicious_ioc.ip"),
        (IN_LISTED_PREFIX, "feed-lab-ip", "malicious_ioc.ip"),
        (LISTED_NAME, "feed-lab-domain", "malicious_ioc.domain"),
    ] {
        let mut running = stage.cause()?.start(args)?;
        running.go()?;
        let status = running.killed()?;
        assert_eq!(status.signal(), Some(9), "{args:?}: {status}");
        let pid = running.pid();
        drop(running);
        let finding = stage.sensor.finding(rule)?;
        assert_eq!(finding.text("ext.rule.category"), category);
        assert_eq!(finding.text("severity"), "High");
        assert_eq!(finding.text("disposition"), "Blocked");
        finding
            .response("listed")?
            .has("mode", "block")?
            .has("mechanism", "pidfd_kill")?
            .has("outcome", "acted")?
            .has("pid", pid)?;
    }
    // Beside the list: it lives, and nothing is found.
    stage.survives(BESIDE)?;
    let rest = stage.sensor.stop()?.findings;
    ensure!(rest.is_empty(), "{rest:?}");
    Ok(())
}

#[test]
fn simulate_says_the_same_and_does_nothing() -> Result<()> {
    needs_root!();
    let mut stage = Stage::new("simulate")?;
    for (args, rule) in [(LISTED, "feed-lab-ip"), (LISTED_NAME, "feed-lab-domain")] {
        let pid = stage.survives(args)?;
        let finding = stage.sensor.finding(rule)?;
        finding
            .response("listed")?
            .has("mode", "simulate")?
            .has("mechanism", "pidfd_kill")?
            .has("outcome", "simulated")?
            .has("pid", pid)?;
    }
    Ok(())
}

#[test]
fn a_list_of_feeds_that_cannot_be_read_is_told_before_anything_is_armed() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    RuleFile::new()
        .rule("any", "process.exec", "process.memfd")
        .write(&scratch)?;
    let mut sensor = Builder::new(scratch.path().join("rules"))
        .arg("--feeds")
        .arg(scratch.at("missing.toml"))
        .spawn()?;
    sensor.message_with("missing.toml")?;
    let stopped = sensor.ended()?;
    assert_eq!(stopped.status.code(), Some(2));
    Ok(())
}
