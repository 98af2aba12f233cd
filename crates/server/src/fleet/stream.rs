//! One sensor's stream, from its Hello to its end.

use super::hub::Opened;
use super::members::Membership;
use super::orders::{self, Open};
use super::service::{check_protocol, ended, refused};
use super::targets::Wanted;
use super::{Counters, Shared, findings, heartbeats, now};
use crate::intake::Origin;
use bytes::Bytes;
use picket_proto::fleet::wire::{self, from_sensor, from_server};
use picket_proto::fleet::{MAX_RULES, PROTOCOL};
use picket_store::{AppliedBundle, Labels, RuleStatus, Sensor, Uuid, limits};
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};

/// How long a sensor may take to say Hello.
const HELLO: Duration = Duration::from_secs(15);
/// A stream on which nothing was heard for so many heartbeats is dead.
const SILENT_BEATS: u32 = 6;
/// Offers go out over so long for each thousand sensors, so that a fleet does not
/// compile at one moment.
const SPREAD_PER_THOUSAND: Duration = Duration::from_millis(300);
/// How long a sensor may take to read why its stream ends.
const LAST_WORD: Duration = Duration::from_secs(5);
/// A sensor's run id.
const MAX_RUN: usize = 64;

type Out = mpsc::Sender<Result<wire::FromServer, Status>>;

/// Serves a stream to its end, and tells the sensor why it ended.
pub(super) async fn serve(
    shared: Arc<Shared>,
    sensor: Sensor,
    incoming: Streaming<wire::FromSensor>,
    out: Out,
) {
    let id = sensor.id;
    if let Err(status) = converse(&shared, sensor, incoming, &out).await {
        tracing::debug!(sensor = %id, why = status.message(), "a stream has ended");
        // One that does not read is not waited for: the end of the stream tells it too.
        let _ = tokio::time::timeout(LAST_WORD, out.send(Err(status))).await;
    }
}

/// What a sensor said, on its way into the store; and the answer, if there is one.
type Delivery = Pin<Box<dyn Future<Output = Result<Option<from_server::Said>, Status>> + Send>>;

/// Waits for a delivery, if there is one.
async fn done(delivery: &mut Option<Delivery>) -> Result<Option<from_server::Said>, Status> {
    match delivery {
        Some(delivery) => delivery.await,
        None => std::future::pending().await,
    }
}

struct Line<'s> {
    shared: &'s Arc<Shared>,
    sensor: Sensor,
    out: &'s Out,
    membership: Membership,
    /// What the sensor says that it goes by.
    applied: Option<AppliedBundle>,
    /// What it was offered last.
    offered: Option<Wanted>,
    /// It reads bundles that are packed.
    unpacks: bool,
    /// It carries out orders.
    takes_orders: bool,
    /// Orders that went out on this stream.
    ordered: HashSet<Uuid>,
}

async fn converse(
    shared: &Arc<Shared>,
    sensor: Sensor,
    mut incoming: Streaming<wire::FromSensor>,
    out: &Out,
) -> Result<(), Status> {
    let first = tokio::time::timeout(HELLO, incoming.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no Hello came"))??;
    let Some(from_sensor::Said::Hello(hello)) = first.and_then(|first| first.said) else {
        return Err(Status::invalid_argument("a stream begins with Hello"));
    };
    check_protocol(hello.protocol)?;
    if hello.run.is_empty() || hello.run.len() > MAX_RUN {
        return Err(Status::invalid_argument("Hello has no id of its run"));
    }
    let id = sensor.id;
    renew(shared, &sensor, &hello).await?;
    let Opened {
        number,
        mut standing,
        displaced,
    } = shared
        .hub
        .open(id, hello.run.clone(), sensor.labels.clone());
    if displaced {
        tracing::warn!(
            sensor = %id,
            "another run of this sensor had a stream open: either it ended without a word, or two \
             hosts go by one certificate (a cloned disk?)"
        );
    }
    let mut targets = shared.targets.subscribe();
    let book = targets.borrow_and_update().clone();
    let membership = Membership::of(&book.book, &sensor.host, &sensor.labels);
    let mut line = Line {
        shared,
        sensor,
        out,
        membership,
        applied: hello.applied.as_ref().and_then(heartbeats::applied),
        offered: None,
        unpacks: hello.unpacks,
        takes_orders: !hello.actions.is_empty(),
        ordered: HashSet::new(),
    };
    // Whatever the line waits for, such as a sensor that does not read: this ends it.
    let mut ending = standing.clone();
    let ordered = async {
        let ended = ending.wait_for(|standing| standing.end.is_some()).await;
        ended.ok().and_then(|standing| standing.end)
    };
    let result = tokio::select! {
        result = line.run(&mut incoming, &mut targets, &mut standing) => result,
        end = ordered => end.map_or(Ok(()), |end| Err(ended(end))),
    };
    shared.hub.close(id, number);
    result
}

/// A host may have another kernel since it was here last. Its name stays what it was
/// when it joined: which projects a host is in is not the sensor's to change.
async fn renew(shared: &Shared, sensor: &Sensor, hello: &wire::Hello) -> Result<(), Status> {
    if !hello.host.is_empty() && hello.host != sensor.host {
        tracing::warn!(
            sensor = %sensor.id,
            joined_as = sensor.host,
            says = %hello.host.escape_debug(),
            "the host has another name now; to take it over, let the sensor join anew"
        );
    }
    let facts = super::service::facts(&hello.facts)?;
    if hello.facts.is_empty() || facts == sensor.facts {
        return Ok(());
    }
    let renewed = shared.store.renew_facts(sensor.id, facts).await;
    renewed
        .map(drop)
        .map_err(|why| super::service::refused(&why))
}

impl Line<'_> {
    async fn run(
        &mut self,
        incoming: &mut Streaming<wire::FromSensor>,
        targets: &mut watch::Receiver<Arc<super::targets::Targets>>,
        standing: &mut watch::Receiver<super::hub::Standing>,
    ) -> Result<(), Status> {
        let heartbeat = self.shared.config.heartbeat;
        self.say(from_server::Said::Welcome(wire::Welcome {
            protocol: PROTOCOL,
            heartbeat_ms: heartbeat.as_millis().try_into().unwrap_or(u32::MAX),
            membership: Some(self.told()),
        }))
        .await?;
        let silence = tokio::time::sleep(heartbeat * SILENT_BEATS);
        tokio::pin!(silence);
        let mut offer_at = None;
        let mut delivery: Option<Delivery> = None;
        self.plan_offer(targets, &mut offer_at, true);
        let mut orders = self.shared.orders.subscribe();
        self.order(&mut orders).await?;
        loop {
            let due = async {
                match offer_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // One delivery at a time: what comes behind it waits in the sensor's window.
                message = incoming.message(), if delivery.is_none() => {
                    let Some(message) = message? else { return Ok(()) };
                    silence.as_mut().reset(tokio::time::Instant::now() + heartbeat * SILENT_BEATS);
                    delivery = self.take(message, targets).await?;
                    self.plan_offer(targets, &mut offer_at, false);
                }
                // A flood of findings does not keep rules from the sensor.
                answer = done(&mut delivery) => {
                    delivery = None;
                    silence.as_mut().reset(tokio::time::Instant::now() + heartbeat * SILENT_BEATS);
                    if let Some(answer) = answer? {
                        self.say(answer).await?;
                    }
                }
                () = &mut silence, if delivery.is_none() => return Err(Status::deadline_exceeded("nothing was heard for long")),
                () = due => {
                    offer_at = None;
                    self.offer(targets).await?;
                }
                changed = standing.changed() => {
                    // One that was replaced is told so, and then forgotten by the hub.
                    if let Some(end) = standing.borrow().end {
                        return Err(ended(end));
                    }
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.sensor.labels = standing.borrow_and_update().labels.clone();
                    self.follow(targets).await?;
                    self.plan_offer(targets, &mut offer_at, false);
                }
                changed = orders.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.order(&mut orders).await?;
                }
                changed = targets.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    targets.borrow_and_update();
                    self.follow(targets).await?;
                    self.plan_offer(targets, &mut offer_at, false);
                }
            }
        }
    }

    async fn say(&self, said: from_server::Said) -> Result<(), Status> {
        let message = wire::FromServer { said: Some(said) };
        let sent = self.out.send(Ok(message)).await;
        sent.map_err(|_| Status::cancelled("the sensor is gone"))
    }

    fn told(&self) -> wire::Membership {
        let labels: &Labels = &self.sensor.labels;
        wire::Membership {
            scope: self.membership.scope.clone(),
            projects: self.membership.projects.clone(),
            labels: labels.clone().into_iter().collect(),
        }
    }

    /// Its projects may be others now.
    async fn follow(
        &mut self,
        targets: &watch::Receiver<Arc<super::targets::Targets>>,
    ) -> Result<(), Status> {
        let book = targets.borrow().clone();
        let membership = Membership::of(&book.book, &self.sensor.host, &self.sensor.labels);
        if membership == self.membership {
            return Ok(());
        }
        self.membership = membership;
        self.offered = None;
        self.say(from_server::Said::Membership(self.told())).await
    }

    fn wanted(&self, targets: &watch::Receiver<Arc<super::targets::Targets>>) -> Option<Wanted> {
        let scope = &self.membership.scope;
        let applied = self.applied.as_ref();
        let has = applied.filter(|applied| applied.scope == *scope);
        let targets = targets.borrow();
        let wanted = targets.wanted(
            scope,
            self.sensor.id,
            &self.sensor.labels,
            has.map(|applied| applied.version),
        )?;
        // What it would not take is not offered again on this stream.
        (self.offered != Some(wanted)).then_some(wanted)
    }

    /// When the offer is due: spread over the fleet; at once for a sensor that has
    /// just come, as they come one by one.
    fn plan_offer(
        &self,
        targets: &watch::Receiver<Arc<super::targets::Targets>>,
        at: &mut Option<tokio::time::Instant>,
        at_once: bool,
    ) {
        match self.wanted(targets) {
            None => *at = None,
            Some(_) if at.is_some() => {}
            Some(wanted) => {
                let connected = u32::try_from(self.shared.hub.len()).unwrap_or(u32::MAX);
                let spread = SPREAD_PER_THOUSAND.saturating_mul(connected / 1_000);
                let number = super::rollout::number(self.sensor.id, wanted.bundle);
                let share = (number % 1_000) as u32;
                let wait = if at_once {
                    Duration::ZERO
                } else {
                    spread * share / 1_000
                };
                *at = Some(tokio::time::Instant::now() + wait);
            }
        }
    }

    async fn offer(
        &mut self,
        targets: &watch::Receiver<Arc<super::targets::Targets>>,
    ) -> Result<(), Status> {
        let Some(wanted) = self.wanted(targets) else {
            return Ok(());
        };
        let signed = self.shared.bundle(wanted.bundle).await;
        let signed = signed.map_err(|why| refused(&why))?;
        let (envelope, packed) = match self.unpacks {
            true => (Bytes::new(), signed.packed),
            false => (signed.envelope, Bytes::new()),
        };
        self.offered = Some(wanted);
        Counters::add(&self.shared.counters.offers, 1);
        self.say(from_server::Said::Offer(wire::Offer {
            scope: self.membership.scope.clone(),
            version: wanted.version.unsigned_abs(),
            envelope,
            packed,
        }))
        .await
    }

    /// Sends this sensor's orders that were not sent on this stream.
    async fn order(&mut self, open: &mut watch::Receiver<Arc<Open>>) -> Result<(), Status> {
        let open = open.borrow_and_update().clone();
        let known: HashSet<Uuid> = std::mem::take(&mut self.ordered);
        for action in open.get(&self.sensor.id).into_iter().flatten() {
            let id = action.order.id;
            self.ordered.insert(id);
            if known.contains(&id) {
                continue;
            }
            let sealed = orders::sealed(self.shared, action, self.takes_orders).await;
            if let Some(order) = sealed.map_err(|why| refused(&why))? {
                self.say(from_server::Said::Order(order)).await?;
            }
        }
        Ok(())
    }

    async fn take(
        &mut self,
        message: wire::FromSensor,
        targets: &watch::Receiver<Arc<super::targets::Targets>>,
    ) -> Result<Option<Delivery>, Status> {
        match message.said {
            Some(from_sensor::Said::Heartbeat(heartbeat)) => {
                let read = heartbeats::read(self.sensor.id, &heartbeat);
                self.applied.clone_from(&read.bundle);
                self.shared.heartbeats.put(read);
                self.say(from_server::Said::Heard(wire::Heard {})).await?;
            }
            Some(from_sensor::Said::Findings(message)) => {
                return Ok(Some(self.deliver(message, targets)));
            }
            Some(from_sensor::Said::Bundle(answer)) => self.answered(&answer),
            Some(from_sensor::Said::Rules(rules)) => return self.rules(rules).map(Some),
            Some(from_sensor::Said::Order(said)) => {
                let (shared, sensor) = (self.shared.clone(), self.sensor.id);
                return Ok(Some(Box::pin(async move {
                    let stored = orders::answered(&shared, sensor, said).await;
                    let stored = stored.map_err(|why| refused(&why))?;
                    Ok(Some(from_server::Said::AnswerStored(stored)))
                })));
            }
            Some(from_sensor::Said::Hello(_)) => {
                return Err(Status::invalid_argument("Hello comes once"));
            }
            // Of a newer sensor: passed over.
            None => {}
        }
        Ok(None)
    }

    /// Stores findings, beside what else there is to do for this sensor.
    fn deliver(
        &self,
        message: wire::Findings,
        targets: &watch::Receiver<Arc<super::targets::Targets>>,
    ) -> Delivery {
        let (shared, targets) = (self.shared.clone(), targets.borrow().clone());
        let sensor = self.sensor.id;
        let (host, labels) = (self.sensor.host.clone(), self.sensor.labels.clone());
        Box::pin(async move {
            let from = Origin {
                sensor,
                host: &host,
                labels: &labels,
            };
            let stored = findings::deliver(&shared, &from, &targets.book, message).await?;
            Ok(Some(from_server::Said::Stored(stored)))
        })
    }

    fn answered(&mut self, answer: &wire::BundleAnswer) {
        let (sensor, version) = (self.sensor.id, answer.version);
        let why = heartbeats::text(&answer.why, 2048);
        match answer.outcome() {
            wire::Outcome::Applied | wire::Outcome::InForce => {
                let applied = wire::Applied {
                    scope: answer.scope.clone(),
                    version,
                };
                self.applied = heartbeats::applied(&applied);
                tracing::debug!(%sensor, version, "bundle applied");
            }
            outcome => {
                tracing::warn!(%sensor, version, ?outcome, why, "a sensor does not take its bundle");
            }
        }
    }

    fn rules(&self, said: wire::Rules) -> Result<Delivery, Status> {
        if said.rules.len() > MAX_RULES {
            return Err(Status::invalid_argument(format!(
                "more than {MAX_RULES} rules"
            )));
        }
        let rules = said.rules.into_iter().map(|status| RuleStatus {
            rule: heartbeats::text(&status.rule, limits::MAX_NAME),
            mode: heartbeats::text(&status.mode, limits::MAX_NAME),
            detail: Some(heartbeats::text(&status.detail, limits::MAX_DETAIL))
                .filter(|detail| !detail.is_empty()),
        });
        let rules: Vec<RuleStatus> = rules.collect();
        let (shared, sensor) = (self.shared.clone(), self.sensor.id);
        Ok(Box::pin(async move {
            // Never closed. Ten thousand sensors tell of their rules at one moment: they
            // wait here, not before everybody else in the store's queue.
            let _turn = shared.reports.acquire().await;
            let stored = shared.store.store_rule_status(sensor, rules, now()).await;
            stored.map(|()| None).map_err(|why| refused(&why))
        }))
    }
}
