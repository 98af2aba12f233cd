//! What the fleet goes by.

use super::rollout::Canary;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetConfig {
    /// Where the authority and the signing key lie. Servers on one store share it.
    pub folder: PathBuf,
    /// Where sensors come in.
    pub listen: SocketAddr,
    /// How often sensors report.
    pub heartbeat: Duration,
    /// How long a sensor's certificate is good. Sensors renew it after two thirds.
    pub certificate_life: Duration,
    /// How long a bundle is good. It is signed anew after half of that.
    pub bundle_life: Duration,
    /// How roll-outs go.
    pub plan: Plan,
    /// TLS handshakes at once; others wait in the kernel's queue.
    pub handshakes_at_once: usize,
    /// Connections at once.
    pub connections: usize,
    /// Enrolments at once; others are put off.
    pub enrolments_at_once: usize,
    /// Deliveries of findings being stored at once; others wait, and with them
    /// their sensors' windows.
    pub deliveries_at_once: usize,
}

impl FleetConfig {
    /// The usual ones.
    pub fn new(folder: PathBuf, listen: SocketAddr) -> FleetConfig {
        const DAY: Duration = Duration::from_secs(86_400);
        FleetConfig {
            folder,
            listen,
            heartbeat: Duration::from_secs(10),
            certificate_life: DAY * 30,
            bundle_life: DAY * 7,
            plan: Plan::default(),
            handshakes_at_once: 64,
            connections: 20_000,
            enrolments_at_once: 64,
            deliveries_at_once: 32,
        }
    }
}

/// How a bundle is rolled out: who is first, for how long, and what halts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Who is first. None: everybody at once.
    pub canary: Option<Canary>,
    /// How long the first ones are watched after all of them have applied it.
    pub watch_seconds: u32,
    /// How long is waited for all of the first ones to apply it, before it goes on
    /// with those that have. None of them: it halts.
    pub patience_seconds: u32,
    /// What halts it.
    pub limits: Limits,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            canary: Some(Canary::Share { percent: 10 }),
            watch_seconds: 60,
            patience_seconds: 300,
            limits: Limits::default(),
        }
    }
}

/// What halts a roll-out by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Sensors that could not apply it: this many are too many. 0: any number.
    pub failed_sensors: u32,
    /// Sensors on which a rule costs more than a rule may: this many are too many.
    /// 0: any number.
    pub over_budget_sensors: u32,
    /// In a large fleet some sensor always has something: of these two, so many of a
    /// hundred are borne, if that is more.
    pub borne_percent: u8,
    /// Findings of one sensor since it applied the bundle: this many are a flood.
    /// 0: none is.
    pub findings_per_sensor: u64,
}

impl Limits {
    /// For what brings back what was good, or signs it anew.
    pub const NONE: Limits = Limits {
        failed_sensors: 0,
        over_budget_sensors: 0,
        borne_percent: 0,
        findings_per_sensor: 0,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            failed_sensors: 1,
            over_budget_sensors: 1,
            borne_percent: 1,
            findings_per_sensor: 1_000,
        }
    }
}
