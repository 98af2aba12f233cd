//! The conversation with the server, again and again until the sensor stops.

use super::back_off::{BackOff, random_share};
use super::blind::Blind;
use super::identity::NewKey;
use super::stream::Stream;
use super::{Config, Host, Identity, Kept, Told, files, line, tls};
use crate::actions::Actions;
use crate::live::epoch_ns;
use crate::spool::Spool;
use picket_proto::fleet::wire::fleet_client::FleetClient;
use picket_proto::fleet::{PROTOCOL, RETRY_AFTER_MS, wire};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// One that is not let in asks again after this, at least: somebody has to do
/// something first.
const NOT_LET_IN: Duration = Duration::from_secs(30);
/// One call, but for the stream.
const CALL: Duration = Duration::from_secs(30);
/// A connection that held for so long has been a good one.
const GOOD: Duration = Duration::from_secs(60);

/// All that the thread works with.
pub(super) struct Session {
    pub config: Config,
    pub spool: Arc<Spool>,
    pub bell: Arc<Notify>,
    pub kept: Arc<Mutex<Kept>>,
    /// Whether a stream is open and the server has said Welcome.
    pub connected: Arc<AtomicBool>,
    pub host: Arc<dyn Host>,
    pub actions: Option<Arc<Actions>>,
    pub stopped: watch::Receiver<bool>,
}

/// What outlives a connection.
pub(super) struct Run {
    /// Random, this run's own.
    pub id: Vec<u8>,
    pub began: Instant,
    pub blind: Blind,
    /// The version that could not be applied last, and why.
    pub failed: Option<(u64, String)>,
    /// Findings of this run before the bundle in force.
    pub findings_before: u64,
    /// The bundle in force has ended, and that was told.
    pub told_expired: bool,
}

/// Why a connection is over.
pub(super) enum End {
    /// The sensor stops.
    Stopped,
    /// There is a new certificate to come back with.
    Renewed,
    /// Something went wrong.
    Failed(String, Option<Duration>),
}

impl From<Status> for End {
    fn from(status: Status) -> End {
        let advised = status.metadata().get(RETRY_AFTER_MS);
        let advised = advised
            .and_then(|text| text.to_str().ok()?.parse().ok())
            .map(Duration::from_millis);
        let not_let_in = matches!(
            status.code(),
            Code::PermissionDenied | Code::Unauthenticated
        );
        End::Failed(
            if status.message().is_empty() {
                line::whole(&status)
            } else {
                status.message().to_owned()
            },
            advised.or(not_let_in.then_some(NOT_LET_IN)),
        )
    }
}

/// Microseconds since the epoch.
pub(super) fn now_us() -> i64 {
    epoch_ns() / 1_000
}

fn failed(why: impl ToString) -> End {
    End::Failed(why.to_string(), None)
}

impl Session {
    pub(super) async fn run(mut self) {
        if let Err(why) = files::make_folder(&self.config.folder) {
            let folder = self.config.folder.display();
            self.host
                .tell(Told::Warning(format!("cannot make {folder}: {why}")));
        }
        let mut id = [0; 16];
        let _ = rustix::rand::getrandom(&mut id[..], rustix::rand::GetRandomFlags::empty());
        let mut run = Run {
            id: id.to_vec(),
            began: Instant::now(),
            blind: Blind::begin(&self.config.folder, now_us()),
            failed: None,
            findings_before: 0,
            told_expired: false,
        };
        let mut back_off = BackOff::default();
        let mut told: Option<String> = None;
        loop {
            self.look_at_age(&mut run);
            let mut stopped = self.stopped.clone();
            let began = Instant::now();
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = stop(&mut stopped) => return,
            };
            let end = match connected {
                Ok((client, identity)) => {
                    if told.take().is_some() {
                        self.say(format!(
                            "the server at {} answers again",
                            self.config.server
                        ));
                    }
                    let end = Stream::hold(&mut self, &mut run, client, identity).await;
                    self.connected.store(false, Ordering::Relaxed);
                    end
                }
                Err(end) => end,
            };
            let (why, advised) = match end {
                End::Stopped => return,
                End::Renewed => continue,
                End::Failed(why, advised) => (why, advised),
            };
            if told.as_ref() != Some(&why) {
                let server = &self.config.server;
                self.host.tell(Told::Warning(format!(
                    "no line to the server at {server}: {why} (findings are kept until it answers)"
                )));
                told = Some(why);
            }
            if began.elapsed() > GOOD {
                back_off.reset();
            }
            tokio::select! {
                () = tokio::time::sleep(back_off.next(random_share(), advised)) => {}
                () = stop(&mut stopped) => return,
            }
        }
    }

    pub(super) fn say(&self, text: String) {
        self.host.tell(Told::Line(text));
    }

    /// An expired bundle stays in force, and somebody should know.
    pub(super) fn look_at_age(&self, run: &mut Run) {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let expired = kept
            .current()
            .filter(|current| current.is_expired(now_us()));
        if let Some(current) = expired.filter(|_| !run.told_expired) {
            self.host.tell(Told::Warning(format!(
                "the bundle of {} version {} should have been replaced by now: it stays in force",
                current.scope, current.version
            )));
        }
        run.told_expired = expired.is_some();
    }

    async fn connect(&self) -> Result<(FleetClient<Channel>, Identity), End> {
        let loaded = Identity::load(&self.config.folder).map_err(failed)?;
        let identity = match loaded {
            Some(identity) => identity,
            None => self.enrol().await?,
        };
        let tls = tls::joined(&identity).map_err(failed)?;
        let client = line::connect(&self.config.server, tls).await;
        let client = client.map_err(|why| failed(line::whole(&why)))?;
        Ok((client, identity))
    }

    async fn enrol(&self) -> Result<Identity, End> {
        let tls = tls::joining(self.config.join.authority).map_err(failed)?;
        let client = line::connect(&self.config.server, tls).await;
        let mut client = client.map_err(|why| failed(line::whole(&why)))?;
        let key = NewKey::make().map_err(failed)?;
        let request = wire::EnrolRequest {
            protocol: PROTOCOL,
            secret: self.config.join.secret.to_vec(),
            csr: key.request.clone(),
            host: self.config.hostname.clone(),
            facts: self.facts(),
        };
        let reply = tokio::time::timeout(CALL, client.enrol(request)).await;
        let reply = reply.map_err(|_| failed("it does not answer"))??;
        let reply = reply.into_inner();
        let answer = reply
            .identity
            .ok_or_else(|| failed("it gave no identity"))?;
        let identity = key
            .signed(&reply.sensor, answer, now_us())
            .map_err(failed)?;
        let mut kept = self
            .kept
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.forget().map_err(failed)?;
        drop(kept);
        identity.save(&self.config.folder).map_err(failed)?;
        self.say(format!(
            "joined {} as sensor {}",
            self.config.server, identity.sensor
        ));
        Ok(identity)
    }

    pub(super) fn facts(&self) -> Vec<u8> {
        serde_json::to_vec(&self.config.facts).unwrap_or_default()
    }

    /// A new certificate, in place of the one at hand.
    pub(super) async fn renew(
        &self,
        client: &mut FleetClient<Channel>,
        identity: &Identity,
    ) -> Result<(), End> {
        let key = NewKey::make().map_err(failed)?;
        let request = wire::RotateRequest {
            csr: key.request.clone(),
        };
        let answer = tokio::time::timeout(CALL, client.rotate(request)).await;
        let answer = answer.map_err(|_| failed("it does not answer"))??;
        let next = key
            .signed(&identity.sensor, answer.into_inner(), now_us())
            .map_err(failed)?;
        next.save(&self.config.folder).map_err(failed)?;
        self.say("the sensor's certificate was renewed".to_owned());
        Ok(())
    }
}

/// Waits for the end of the sensor.
pub(super) async fn stop(stopped: &mut watch::Receiver<bool>) {
    // The sender is gone: the sensor is too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
