//! One sensor with the rules of a group, and the programs that they are about.

use crate::look::{MEMFD, Place};
use crate::props::Resolvers;
use crate::ways::{Group, Way};
use anyhow::{Context, Result};
use picket_e2e::binary::CAUSE;
use picket_e2e::cause::Running;
use picket_e2e::guest::suite;
use picket_e2e::netns::Netns;
use picket_e2e::rules::{RuleFile, by, quote};
use picket_e2e::sensor::{Builder, Stopped};
use picket_e2e::{Cause, Cgroup, Scratch, Sensor};
use std::path::{Path, PathBuf};

/// A policy under which each way is tried; the rule's text is the same under each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// `action: simulate`
    Simulate,
    /// `action: block`
    Block,
    /// `action: {deny: true}`
    Deny,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 3] = [Policy::Simulate, Policy::Block, Policy::Deny];

    /// In the names of rules, policies and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Simulate => "simulated",
            Policy::Block => "blocked",
            Policy::Deny => "denied",
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Policy::Simulate => "simulate",
            Policy::Block => "block",
            Policy::Deny => "{deny: true}",
        }
    }

    /// The rule, and the policy on it, that answers a class.
    pub fn rule(self, class: &str) -> String {
        format!("{class}-{}", self.name())
    }
}

/// The rule that tells that everything before has been decided.
const FENCE: &str = "fence";
/// All resolvers are there: whoever waits longer waits for a packet that was refused.
const PATIENCE: &str = "1";

/// Where ways are tried.
pub struct Stage {
    grounds: Grounds,
    sensor: Sensor,
}

/// A stage without its sensor.
pub struct Grounds {
    scratch: Scratch,
    cgroup: Cgroup,
    // A guest has its network for itself.
    netns: Option<Netns>,
    resolvers: Option<Resolvers>,
}

impl Stage {
    /// Starts the sensor.
    pub fn new(group: Group) -> Result<Stage> {
        let scratch = Scratch::new()?;
        let cgroup = Cgroup::new()?;
        let mut rules = RuleFile::new().rule(FENCE, "process.exec", &is(&scratch.at(FENCE)));
        let mut classes: Vec<&str> = group.ways().iter().map(|way| way.class).collect();
        classes.dedup();
        for class in classes {
            for policy in Policy::ALL {
                let rule = policy.rule(class);
                rules = rules
                    .rule(&rule, class, &condition(&scratch, class, policy))
                    .policy(&rule, &rule, policy.action());
            }
        }
        rules.write(&scratch)?;
        let netns = match (group, suite::inside()) {
            (Group::Network, None) => Some(Netns::new()?),
            _ => None,
        };
        let resolvers = match group {
            Group::Network => Some(within(netns.as_ref(), || {
                // Data in the first packet, for every listener and without a cookie.
                std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "1543")?;
                Resolvers::start()
            })?),
            Group::Exec | Group::Files => None,
        };
        let sensor = Builder::new(scratch.path().join("rules"))
            .enforce_in(cgroup.path())
            .start()?;
        let grounds = Grounds {
            scratch,
            cgroup,
            netns,
            resolvers,
        };
        Ok(Stage { grounds, sensor })
    }

    /// What the act is about. `number` keeps it apart from every other.
    pub fn place(&self, way: &Way, policy: Policy, number: usize) -> Result<Place> {
        let name = format!("{}-{number}", policy.name());
        let elsewhere = self.grounds.scratch.path().join("elsewhere");
        match way.class {
            "process.exec" => {
                let guarded = guarded(&self.grounds.scratch, policy);
                Place::of_program(&name, Path::new(CAUSE), &guarded, &elsewhere)
            }
            class if class.starts_with("file.") => {
                let guarded = guarded(&self.grounds.scratch, policy);
                Place::of_file(way, &name, &guarded, &elsewhere)
            }
            _ => within(self.grounds.netns.as_ref(), || {
                Place::of_network(way.look, &name)
            }),
        }
    }

    /// Starts the act; it has its gate open.
    pub fn act(&self, way: &Way, policy: Policy, place: &Place) -> Result<Running> {
        let mut cause = Cause::new(&self.grounds.scratch, &program(way.class, policy))?
            .in_cgroup(&self.grounds.cgroup)
            .env("CAUSE_LINGER", "1")
            .env("CAUSE_PATIENCE", PATIENCE);
        if let Some(netns) = &self.grounds.netns {
            cause = cause.in_netns(netns);
        }
        if way.thread {
            cause = cause.in_thread();
        }
        if way.polled {
            cause = cause.polled();
        }
        if way.relative {
            cause = cause.from_folder(&place.folder);
        }
        let mut running = cause.start(place.fill(way.act))?;
        running.go()?;
        Ok(running)
    }

    /// Waits until the sensor has decided everything that was done so far.
    pub fn fence(&mut self) -> Result<()> {
        Cause::new(&self.grounds.scratch, FENCE)?.run(["hold"])?;
        self.sensor.finding(FENCE).context("the fence")?;
        Ok(())
    }

    /// Where acts take place.
    pub fn grounds(&self) -> &Grounds {
        &self.grounds
    }

    /// Stops the sensor; what acts are about stays as long as the grounds do.
    pub fn stop(self) -> Result<(Stopped, Grounds)> {
        Ok((self.sensor.stop()?, self.grounds))
    }
}

impl Grounds {
    /// Does something in the network of the acts.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        within(self.netns.as_ref(), work)
    }

    /// The resolvers that acts asked.
    pub fn resolvers(&self) -> Option<&Resolvers> {
        self.resolvers.as_ref()
    }
}

fn within<T: Send>(netns: Option<&Netns>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    match netns {
        Some(netns) => netns.inside(work),
        None => work(),
    }
}

/// The folder that rules on files and programs are about.
fn guarded(scratch: &Scratch, policy: Policy) -> PathBuf {
    scratch.path().join("guarded").join(policy.name())
}

/// The program that rules on everything else are about.
fn program(class: &str, policy: Policy) -> String {
    format!("bin/{class}/{}", policy.name())
}

fn is(path: &str) -> String {
    format!("process.path == {}", quote(path))
}

fn condition(scratch: &Scratch, class: &str, policy: Policy) -> String {
    let inside = quote(&format!("{}/", guarded(scratch, policy).display()));
    let own = by(&scratch.at(&program(class, policy)));
    match class {
        "process.exec" => format!(
            "process.path startswith {inside} or process.script startswith {inside} \
             or process.path startswith {}",
            quote(&format!("memfd:{MEMFD}{}", policy.name()))
        ),
        "dns.query" => format!(
            "{own} and query.hostname startswith {}",
            quote(policy.name())
        ),
        class if class.starts_with("file.") => {
            format!("{own} and file.path startswith {inside}")
        }
        _ => format!("{own} and connection_info.protocol_name in (\"tcp\", \"udp\")"),
    }
}
