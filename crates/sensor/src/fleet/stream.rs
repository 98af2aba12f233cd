//! One stream to the server, from Hello to its end.

use super::heartbeat::{self, Heard};
use super::session::{End, Run, Session, now_us, stop};
use super::{Identity, Report, Told, kept};
use crate::enforce::RuleState;
use picket_model::Severity;
use picket_proto::bundle::{Admission, TrustedKeys, Verified};
use picket_proto::fleet::wire::fleet_client::FleetClient;
use picket_proto::fleet::wire::{self, from_sensor, from_server};
use picket_proto::fleet::{MAX_FINDINGS, MAX_FINDINGS_BYTES, MAX_RULES, PROTOCOL};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// How long the server may take to say Welcome.
const WELCOME: Duration = Duration::from_secs(30);
/// At the sensor's end: how long findings are still delivered.
const LAST: Duration = Duration::from_secs(3);
/// A server that says nothing for so many heartbeats is gone.
const SILENT_BEATS: u32 = 4;
const SHORTEST_BEAT: Duration = Duration::from_millis(100);
const LONGEST_BEAT: Duration = Duration::from_secs(300);
/// Messages that wait for the network.
const OUT: usize = 16;

pub(super) struct Stream<'s> {
    session: &'s mut Session,
    run: &'s mut Run,
    out: mpsc::Sender<wire::FromSensor>,
    trusted: TrustedKeys,
    /// Of each lane, the last one sent, while the server has not said that it has it.
    sent: HashMap<Severity, u64>,
    applying: Option<Applying>,
    /// What came while another was being applied.
    waiting: Option<wire::Offer>,
    reporting: Option<JoinHandle<Option<Report>>>,
    /// Something has changed since the report that is on its way was asked for.
    again: bool,
    /// The next report is the first of a bundle: findings are counted from there.
    rebase: bool,
    rules: Option<Vec<RuleState>>,
    /// Which sensor this is.
    sensor: String,
    /// Answers to orders that were sent and are not stored yet.
    answered: HashSet<(String, &'static str)>,
}

/// The states of an order that the server hears of.
const OUTCOMES: [(&str, wire::OrderOutcome); 4] = [
    ("done", wire::OrderOutcome::Done),
    ("failed", wire::OrderOutcome::Failed),
    ("refused", wire::OrderOutcome::Refused),
    ("undone", wire::OrderOutcome::Undone),
];

fn outcome(state: &str) -> Option<wire::OrderOutcome> {
    let found = OUTCOMES.iter().find(|(name, _)| *name == state);
    found.map(|(_, outcome)| *outcome)
}

fn state(outcome: wire::OrderOutcome) -> Option<&'static str> {
    let found = OUTCOMES.iter().find(|(_, known)| *known == outcome);
    found.map(|(name, _)| *name)
}

struct Applying {
    verified: Verified,
    envelope: bytes::Bytes,
    work: JoinHandle<Result<(), String>>,
}

/// Waits for a piece of work, if there is one.
async fn done<T>(work: Option<&mut JoinHandle<T>>) -> Option<T> {
    match work {
        Some(work) => work.await.ok(),
        None => std::future::pending().await,
    }
}

impl Stream<'_> {
    /// Opens the stream and holds it as long as it holds.
    pub(super) async fn hold(
        session: &mut Session,
        run: &mut Run,
        mut client: FleetClient<Channel>,
        identity: Identity,
    ) -> End {
        let (out, outgoing) = mpsc::channel(OUT);
        let mut stream = Stream {
            trusted: identity.trusted(),
            session,
            run,
            out,
            sent: HashMap::new(),
            applying: None,
            waiting: None,
            reporting: None,
            again: false,
            rebase: false,
            rules: None,
            sensor: identity.sensor.clone(),
            answered: HashSet::new(),
        };
        let held = stream.converse(&mut client, outgoing, &identity).await;
        // What is being applied is applied: it is kept before the next stream says
        // what this sensor goes by.
        if let Some(applying) = stream.applying.take() {
            let _ = stream.applied(applying).await;
        }
        match held {
            Ok(end) | Err(end) => end,
        }
    }

    async fn converse(
        &mut self,
        client: &mut FleetClient<Channel>,
        outgoing: mpsc::Receiver<wire::FromSensor>,
        identity: &Identity,
    ) -> Result<End, End> {
        self.send(from_sensor::Said::Hello(self.hello())).await?;
        let opened = client.stream(ReceiverStream::new(outgoing));
        let opened = within(WELCOME, opened).await??;
        let mut incoming = opened.into_inner();
        let welcome = within(WELCOME, incoming.message()).await??;
        let Some(from_server::Said::Welcome(welcome)) = welcome.and_then(|first| first.said) else {
            return Err(End::Failed("it does not say Welcome".to_owned(), None));
        };
        if welcome.protocol != PROTOCOL {
            let why = format!(
                "it speaks protocol {}, this sensor {PROTOCOL}",
                welcome.protocol
            );
            return Err(End::Failed(why, None));
        }
        if let Some(membership) = &welcome.membership {
            self.join(membership);
        }
        self.session.connected.store(true, Ordering::Relaxed);
        let beat = Duration::from_millis(welcome.heartbeat_ms.into());
        let beat = beat.clamp(SHORTEST_BEAT, LONGEST_BEAT);
        let mut beats = tokio::time::interval(beat);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let silence = tokio::time::sleep(beat * SILENT_BEATS);
        tokio::pin!(silence);
        let mut stopped = self.session.stopped.clone();
        let mut last: Option<Instant> = None;
        let bell = self.session.bell.clone();
        loop {
            self.pump().await?;
            if last.is_some() && self.sent.is_empty() {
                return Ok(End::Stopped);
            }
            let out_of_time = async {
                match last {
                    Some(last) => tokio::time::sleep_until(last).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = incoming.message() => {
                    let Some(message) = message? else {
                        return Err(End::Failed("it has ended the stream".to_owned(), None));
                    };
                    silence.as_mut().reset(Instant::now() + beat * SILENT_BEATS);
                    self.take(message).await?;
                }
                () = &mut silence => {
                    return Err(End::Failed("it says nothing any more".to_owned(), None));
                }
                _ = beats.tick() => {
                    if self.reporting.is_none() {
                        self.ask_for_report();
                    }
                    if identity.is_due(now_us()) {
                        self.session.renew(client, identity).await?;
                        return Ok(End::Renewed);
                    }
                }
                report = done(self.reporting.as_mut()) => {
                    self.reporting = None;
                    self.report(report.flatten()).await?;
                    if std::mem::take(&mut self.again) {
                        self.ask_for_report();
                    }
                }
                result = done(self.applying.as_mut().map(|applying| &mut applying.work)) => {
                    if let Some(applying) = self.applying.take() {
                        self.conclude(applying, result).await?;
                    }
                }
                () = bell.notified() => {}
                () = stop(&mut stopped), if last.is_none() => {
                    last = Some(Instant::now() + LAST);
                }
                () = out_of_time => return Ok(End::Stopped),
            }
        }
    }

    async fn send(&self, said: from_sensor::Said) -> Result<(), End> {
        let sent = self.out.send(wire::FromSensor { said: Some(said) }).await;
        sent.map_err(|_| End::Failed("the stream is broken".to_owned(), None))
    }

    fn hello(&self) -> wire::Hello {
        let config = &self.session.config;
        wire::Hello {
            protocol: PROTOCOL,
            version: config.version.to_owned(),
            run: self.run.id.clone(),
            host: config.hostname.clone(),
            facts: self.session.facts(),
            applied: self.with_kept(|kept| kept.current().map(heartbeat::applied)),
            unpacks: true,
            actions: self
                .session
                .actions
                .as_ref()
                .map_or_else(Vec::new, |actions| {
                    let kinds = actions.allowed().iter();
                    kinds.map(|kind| kind.name().to_owned()).collect()
                }),
        }
    }

    fn with_kept<T>(&self, work: impl FnOnce(&mut kept::Kept) -> T) -> T {
        let kept = self.session.kept.lock();
        work(&mut kept.unwrap_or_else(PoisonError::into_inner))
    }

    fn warn(&self, text: String) {
        self.session.host.tell(Told::Warning(text));
    }

    fn join(&self, membership: &wire::Membership) {
        let joined = self.with_kept(|kept| kept.join(&membership.scope, &membership.projects));
        if let Err(why) = joined {
            self.warn(why.to_string());
        }
    }

    async fn take(&mut self, message: wire::FromServer) -> Result<(), End> {
        match message.said {
            Some(from_server::Said::Stored(stored)) => self.stored(&stored),
            Some(from_server::Said::Offer(offer)) => self.offered(offer).await?,
            Some(from_server::Said::Membership(membership)) => self.join(&membership),
            Some(from_server::Said::Order(order)) => self.ordered(&order.envelope),
            Some(from_server::Said::AnswerStored(stored)) => self.answer_stored(&stored),
            // Of a newer server: passed over.
            Some(from_server::Said::Welcome(_) | from_server::Said::Heard(_)) | None => {}
        }
        Ok(())
    }

    /// What was ordered is for the thread that does it; a forged order is for nobody.
    fn ordered(&mut self, envelope: &[u8]) {
        let Some(actions) = &self.session.actions else {
            return;
        };
        let signed = match picket_proto::order::verify(envelope, &self.trusted) {
            Ok(signed) => signed,
            Err(why) => return self.warn(format!("an order was refused: {why}")),
        };
        let order = signed.order().clone();
        match signed.admit(&self.sensor, actions.allowed(), now_us()) {
            Ok(order) => actions.carry_out(order),
            Err(why) => {
                self.warn(format!("an order was refused: {why}"));
                // Another's is another's to answer.
                if order.sensor == self.sensor {
                    actions.refuse(order, why.to_string());
                }
            }
        }
    }

    fn answer_stored(&mut self, stored: &wire::AnswerStored) {
        let Some(actions) = &self.session.actions else {
            return;
        };
        if let Some(state) = state(stored.outcome()) {
            self.answered.remove(&(stored.id.clone(), state));
            if let Err(why) = actions.stored(&stored.id, state) {
                self.warn(format!("the journal of orders cannot be written: {why}"));
            }
        }
    }

    /// Tells what came of orders, once on each stream until it is stored.
    async fn answer(&mut self) -> Result<(), End> {
        let Some(actions) = &self.session.actions else {
            return Ok(());
        };
        for answer in actions.answers() {
            let Some(outcome) = outcome(answer.state) else {
                continue;
            };
            if !self.answered.insert((answer.id.clone(), answer.state)) {
                continue;
            }
            self.send(from_sensor::Said::Order(wire::OrderAnswer {
                id: answer.id,
                outcome: outcome.into(),
                at_us: answer.at_us,
                why: answer.why,
                result: serde_json::to_vec(&answer.result).unwrap_or_default(),
            }))
            .await?;
        }
        Ok(())
    }

    /// Sends answers, and a batch of every lane of which none is under way, the worst
    /// first.
    async fn pump(&mut self) -> Result<(), End> {
        self.answer().await?;
        for severity in Severity::ALL.into_iter().rev() {
            if self.sent.contains_key(&severity) {
                continue;
            }
            let spool = &self.session.spool;
            let Some(batch) = spool.read(severity, 0, MAX_FINDINGS, MAX_FINDINGS_BYTES) else {
                continue;
            };
            self.sent.insert(severity, batch.last);
            self.send(from_sensor::Said::Findings(wire::Findings {
                lane: batch.lane,
                last: batch.last,
                ocsf: batch.findings.into_iter().map(Into::into).collect(),
            }))
            .await?;
        }
        Ok(())
    }

    fn stored(&mut self, stored: &wire::Stored) {
        let lane = Severity::ALL
            .into_iter()
            .find(|severity| u32::from(severity.id()) == stored.lane);
        // Only what was sent can be acknowledged.
        let Some(lane) = lane.filter(|lane| self.sent.get(lane) == Some(&stored.last)) else {
            return;
        };
        self.sent.remove(&lane);
        self.session.spool.acknowledge(lane, stored.last);
        if let Some(first) = stored.refused.first() {
            self.warn(format!(
                "the server cannot store {} findings, such as {}: {}",
                stored.refused.len(),
                first.uid,
                first.why
            ));
        }
    }

    async fn offered(&mut self, offer: wire::Offer) -> Result<(), End> {
        if self.applying.is_some() {
            self.waiting = Some(offer);
            return Ok(());
        }
        let opened = offer.open().map_err(|why| why.to_string());
        let admitted = opened.and_then(|envelope| {
            let verified = self.trusted.verify(&envelope);
            let verified = verified.map_err(|why| why.to_string())?;
            let admission = self.with_kept(|kept| kept.admit(&verified, now_us()))?;
            Ok((verified, envelope, admission))
        });
        let answer = |outcome: wire::Outcome, why: &str| wire::BundleAnswer {
            scope: offer.scope.clone(),
            version: offer.version,
            outcome: outcome.into(),
            why: why.to_owned(),
        };
        match admitted {
            Err(why) => {
                self.warn(format!("a bundle was refused: {why}"));
                self.failed(offer.version, why.clone());
                let answer = answer(wire::Outcome::Refused, &why);
                self.send(from_sensor::Said::Bundle(answer)).await
            }
            Ok((.., Admission::InForce)) => {
                let answer = answer(wire::Outcome::InForce, "");
                self.send(from_sensor::Said::Bundle(answer)).await
            }
            Ok((verified, envelope, Admission::Apply)) => {
                let projects = self.with_kept(|kept| kept.projects().to_vec());
                let rules = kept::rules(&verified, &projects);
                let host = self.session.host.clone();
                self.applying = Some(Applying {
                    verified,
                    envelope,
                    work: tokio::task::spawn_blocking(move || host.apply(rules)),
                });
                Ok(())
            }
        }
    }

    fn failed(&mut self, version: u64, why: String) {
        self.run.failed = Some((version, why));
        self.ask_for_report();
    }

    async fn applied(&mut self, mut applying: Applying) -> Result<(), End> {
        let result = (&mut applying.work).await.ok();
        self.conclude(applying, result).await
    }

    /// A bundle is in force, or not.
    async fn conclude(
        &mut self,
        applying: Applying,
        result: Option<Result<(), String>>,
    ) -> Result<(), End> {
        let bundle = applying.verified.bundle();
        let (scope, version) = (bundle.scope.clone(), bundle.version);
        let result = result.unwrap_or_else(|| Err("applying it has ended in a fault".to_owned()));
        let (outcome, why) = match result {
            Ok(()) => {
                self.run.failed = None;
                self.rebase = true;
                let Applying {
                    verified, envelope, ..
                } = applying;
                if let Err(why) = self.with_kept(|kept| kept.keep(verified, &envelope)) {
                    self.warn(format!(
                        "the bundle is in force until a restart only: {why}"
                    ));
                }
                self.session.look_at_age(self.run);
                self.session
                    .say(format!("bundle of {scope} version {version} is in force"));
                (wire::Outcome::Applied, String::new())
            }
            Err(why) => {
                self.warn(format!(
                    "the bundle of {scope} version {version} is not applied, what was in force stays: {why}"
                ));
                self.run.failed = Some((version, why.clone()));
                (wire::Outcome::Failed, why)
            }
        };
        self.ask_for_report();
        self.send(from_sensor::Said::Bundle(wire::BundleAnswer {
            scope,
            version,
            outcome: outcome.into(),
            why,
        }))
        .await?;
        match self.waiting.take() {
            Some(offer) => Box::pin(self.offered(offer)).await,
            None => Ok(()),
        }
    }

    fn ask_for_report(&mut self) {
        if self.reporting.is_some() {
            self.again = true;
        } else {
            let host = self.session.host.clone();
            self.reporting = Some(tokio::task::spawn_blocking(move || host.report()));
        }
    }

    /// The heartbeat, and how the rules stand if they stand otherwise than before.
    async fn report(&mut self, report: Option<Report>) -> Result<(), End> {
        // The event thread is busy: the next beat comes.
        let Some(report) = report else {
            return Ok(());
        };
        self.session.look_at_age(self.run);
        let findings = crate::stats::Stats::total(&report.stats.matches);
        if std::mem::take(&mut self.rebase) {
            self.run.findings_before = findings;
        }
        let lost = crate::stats::Stats::total(&report.stats.lost);
        self.run.blind.look(lost, now_us());
        let spool = self.session.spool.state();
        let heard = Heard {
            report: &report,
            spool: &spool,
            run: self.run,
            now_us: now_us(),
        };
        let beat = self.with_kept(|kept| heartbeat::make(&heard, kept.current()));
        self.send(from_sensor::Said::Heartbeat(beat)).await?;
        if self.rules.as_ref() != Some(&report.rules) {
            let rules = report.rules.iter().take(MAX_RULES);
            let told = rules.map(|state| wire::RuleStatus {
                rule: state.rule.clone(),
                mode: state.mode.to_owned(),
                detail: state.detail.clone(),
            });
            let told = wire::Rules {
                rules: told.collect(),
            };
            self.send(from_sensor::Said::Rules(told)).await?;
            self.rules = Some(report.rules);
        }
        Ok(())
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, End> {
    let done = tokio::time::timeout(time, work).await;
    done.map_err(|_| End::Failed("it does not answer".to_owned(), None))
}
