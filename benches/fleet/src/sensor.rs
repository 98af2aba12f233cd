//! A sensor without a kernel.

use crate::fleet::{Counters, Event, Identity, World};
use crate::line::{self, Own};
use anyhow::{Context, Result, bail};
use picket_proto::fleet::PROTOCOL;
use picket_proto::fleet::wire::{self, from_sensor, from_server};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

const WELCOME: Duration = Duration::from_secs(30);
/// Waits after a failure, as the real sensor's: doubled each time, and of it a random part.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Findings in a message.
const BATCH: usize = 20;
const OUT: usize = 16;
/// Every finding is in this lane.
const LANE: u32 = 4;

pub struct Sensor {
    world: Arc<World>,
    number: usize,
    host: String,
    tls: Arc<rustls::ClientConfig>,
    applied: Option<wire::Applied>,
    rules: Vec<String>,
    /// Findings that the server has acknowledged.
    stored: usize,
    dice: u64,
}

impl Sensor {
    pub fn new(world: &Arc<World>, number: usize, identity: &Identity) -> Result<Sensor> {
        let own = Own {
            certificate: &identity.certificate,
            key: &identity.key,
        };
        Ok(Sensor {
            tls: line::tls(world.roots.clone(), Some(own))?,
            world: world.clone(),
            number,
            host: identity.host.clone(),
            applied: None,
            rules: Vec::new(),
            stored: 0,
            dice: number as u64 + 1,
        })
    }

    /// Holds a stream, and opens another when it ends, until the task is ended.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let mut welcomed = false;
            if let Err(why) = self.hold(&mut welcomed).await {
                tracing::debug!(host = self.host, %why, "a stream has ended");
            }
            let counters = &self.world.counters;
            if welcomed {
                counters.connected.fetch_sub(1, Ordering::Relaxed);
                failures = 0;
            }
            let counter = if welcomed {
                &counters.ended
            } else {
                &counters.failed
            };
            add(counter, 1);
            let longest = FIRST_WAIT.saturating_mul(1 << failures).min(LONGEST_WAIT);
            failures = (failures + 1).min(6);
            let share = self.chance();
            tokio::time::sleep(longest.mul_f64(share)).await;
        }
    }

    /// From 0 to 1 (SplitMix64).
    fn chance(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    async fn hold(&mut self, welcomed: &mut bool) -> Result<()> {
        let mut client = line::connect(self.world.server, self.tls.clone()).await?;
        let (out, outgoing) = mpsc::channel(OUT);
        let line = Line { out };
        line.say(from_sensor::Said::Hello(self.hello())).await?;
        let opened = client.stream(ReceiverStream::new(outgoing));
        let mut incoming = tokio::time::timeout(WELCOME, opened).await??.into_inner();
        let beat = self.welcome(&mut incoming).await?;
        *welcomed = true;
        self.world
            .counters
            .connected
            .fetch_add(1, Ordering::Relaxed);
        self.tell(Event::Welcomed(Instant::now()));
        self.converse(&line, &mut incoming, beat).await
    }

    fn tell(&self, event: Event) {
        // Nobody listens once the measurement has ended.
        let _ = self.world.events.send(event);
    }

    async fn welcome(&self, incoming: &mut Streaming<wire::FromServer>) -> Result<Duration> {
        let first = tokio::time::timeout(WELCOME, incoming.message()).await??;
        let Some(from_server::Said::Welcome(welcome)) = first.and_then(|first| first.said) else {
            bail!("no Welcome");
        };
        Ok(Duration::from_millis(welcome.heartbeat_ms.into()))
    }

    async fn converse(
        &mut self,
        line: &Line,
        incoming: &mut Streaming<wire::FromServer>,
        beat: Duration,
    ) -> Result<()> {
        let mut beats = tokio::time::interval(beat);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut load: watch::Receiver<usize> = self.world.findings.subscribe();
        let mut told_rules = false;
        let mut under_way = None;
        loop {
            if under_way.is_none() {
                let wanted = *load.borrow_and_update();
                under_way = self.deliver(line, wanted).await?;
            }
            tokio::select! {
                message = incoming.message() => {
                    let message = message?.context("the server has ended the stream")?;
                    match message.said {
                        Some(from_server::Said::Offer(offer)) => self.offered(line, offer).await?,
                        Some(from_server::Said::Stored(stored)) => {
                            let count = under_way.take().unwrap_or(0);
                            add(&self.world.counters.refused, stored.refused.len() as u64);
                            self.stored += count;
                            self.tell(Event::Stored(count, Instant::now()));
                        }
                        _ => {}
                    }
                }
                _ = beats.tick() => {
                    line.say(from_sensor::Said::Heartbeat(self.heartbeat())).await?;
                    if !std::mem::replace(&mut told_rules, true) {
                        line.say(from_sensor::Said::Rules(self.states())).await?;
                    }
                }
                changed = load.changed() => changed?,
            }
        }
    }

    /// The next findings, if some are left to deliver; how many.
    async fn deliver(&self, line: &Line, wanted: usize) -> Result<Option<usize>> {
        let count = wanted.saturating_sub(self.stored).min(BATCH);
        if count == 0 {
            return Ok(None);
        }
        let numbers = self.stored..self.stored + count;
        line.say(from_sensor::Said::Findings(wire::Findings {
            lane: LANE,
            last: numbers.end as u64,
            ocsf: numbers.map(|number| self.finding(number).into()).collect(),
        }))
        .await?;
        Ok(Some(count))
    }

    /// Verifies a bundle and takes it, as a sensor whose kernel takes everything.
    async fn offered(&mut self, line: &Line, offer: wire::Offer) -> Result<()> {
        let verified = match self.world.trusted.verify(&offer.open()?) {
            Ok(verified) if verified.bundle().scope == offer.scope => verified,
            _ => {
                add(&self.world.counters.refused, 1);
                bail!("a bundle that cannot be taken");
            }
        };
        let bundle = verified.bundle();
        self.tell(Event::Applied(bundle.version, Instant::now()));
        let names = bundle.files.iter().map(|file| file.name.clone());
        let rules: Vec<String> = names.collect();
        let changed = rules != self.rules;
        self.rules = rules;
        self.applied = Some(wire::Applied {
            scope: bundle.scope.clone(),
            version: bundle.version,
        });
        line.say(from_sensor::Said::Bundle(wire::BundleAnswer {
            scope: offer.scope,
            version: offer.version,
            outcome: wire::Outcome::Applied.into(),
            why: String::new(),
        }))
        .await?;
        line.say(from_sensor::Said::Heartbeat(self.heartbeat()))
            .await?;
        if changed {
            line.say(from_sensor::Said::Rules(self.states())).await?;
        }
        Ok(())
    }

    fn hello(&self) -> wire::Hello {
        wire::Hello {
            protocol: PROTOCOL,
            version: "bench".to_owned(),
            run: self.number.to_be_bytes().to_vec(),
            host: self.host.clone(),
            facts: facts(),
            applied: self.applied.clone(),
            unpacks: true,
            actions: Vec::new(),
        }
    }

    fn heartbeat(&self) -> wire::Heartbeat {
        wire::Heartbeat {
            applied: self.applied.clone(),
            health: Some(wire::Health {
                uptime_ms: 1_000,
                resident_bytes: 40 << 20,
                ..wire::Health::default()
            }),
            coverage: Some(wire::Coverage {
                seen: 1_000_000,
                spool: Some(wire::Spool::default()),
                ..wire::Coverage::default()
            }),
        }
    }

    fn states(&self) -> wire::Rules {
        let states = self.rules.iter().map(|rule| wire::RuleStatus {
            rule: rule.clone(),
            mode: "detected".to_owned(),
            detail: String::new(),
        });
        wire::Rules {
            rules: states.collect(),
        }
    }

    /// About as long as a real one.
    fn finding(&self, number: usize) -> Vec<u8> {
        let program = format!("/usr/lib/app-{}/bin/worker", number % 30);
        let uid = format!("{:08x}-{number}", self.number);
        serde_json::json!({
            "class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200_401,
            "time": 1_795_400_000_000_u64 + (number * 1_000 + self.number) as u64,
            "severity_id": LANE, "disposition_id": 17,
            "metadata": {"uid": uid, "version": "1.6.0", "product": {"name": "Picket"}},
            "finding_info": {"uid": uid, "title": "A process did what it should not",
                "analytic": {"uid": format!("rule-{}", number % 100), "type_id": 1}},
            "evidences": [{
                "device": {"hostname": self.host},
                "container": {"uid": format!("{:064x}", self.number), "image": {"name": "shop/app"}},
                "actor": {"user": {"name": "www-data", "uid": "33"}},
                "process": {"pid": number % 30_000, "name": "worker", "file": {"path": program},
                    "cmd_line": format!("{program} --config /etc/app/config.yaml --listen 0.0.0.0:80"),
                    "ancestry": [{"name": "sh", "file": {"path": "/usr/bin/dash"}, "cmd_line": "sh -c run"},
                        {"name": "shim", "file": {"path": "/usr/bin/containerd-shim-runc-v2"}}]},
            }],
        })
        .to_string()
        .into_bytes()
    }
}

struct Line {
    out: mpsc::Sender<wire::FromSensor>,
}

impl Line {
    async fn say(&self, said: from_sensor::Said) -> Result<()> {
        let message = wire::FromSensor { said: Some(said) };
        Ok(self.out.send(message).await?)
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// What a host says of itself.
pub fn facts() -> Vec<u8> {
    serde_json::json!({
        "kernel": "6.18.0", "architecture": "x86_64", "os": "Debian GNU/Linux 12",
        "bpf_lsm": false, "ring_buffer": true, "hooks": ["exec", "file", "network", "dns"],
    })
    .to_string()
    .into_bytes()
}

impl Counters {
    pub fn text(&self) -> String {
        format!(
            "{} attempts failed, {} streams ended, {} things refused",
            Counters::of(&self.failed),
            Counters::of(&self.ended),
            Counters::of(&self.refused)
        )
    }
}
