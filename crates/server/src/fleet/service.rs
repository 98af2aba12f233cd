//! The calls that sensors make.

use super::hub::End;
use super::listener::Peer;
use super::{Counters, Shared, now, stream};
use picket_proto::bundle::PublicKey;
use picket_proto::fleet::wire::{self, fleet_server};
use picket_proto::fleet::{PROTOCOL, hash_of_secret};
use picket_store::{NewSensor, Sensor, StoreError, new_id};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// How long an enrolment waits for its turn.
const TURN: Duration = Duration::from_secs(2);
/// When one that did not get it may try again.
const COME_BACK_MS: u64 = 5_000;
/// Messages to a sensor that wait for the network.
const OUT: usize = 8;
const MAX_FACTS: usize = 32 << 10;
const MAX_HOST: usize = 255;

pub(super) struct Service(pub Arc<Shared>);

#[tonic::async_trait]
impl fleet_server::Fleet for Service {
    type StreamStream = ReceiverStream<Result<wire::FromServer, Status>>;

    async fn enrol(
        &self,
        request: Request<wire::EnrolRequest>,
    ) -> Result<Response<wire::EnrolReply>, Status> {
        let shared = &self.0;
        let turn = tokio::time::timeout(TURN, shared.enrolments.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            Counters::add(&shared.counters.put_off, 1);
            return Err(put_off("many sensors join at this moment"));
        };
        let peer = request.extensions().get::<Peer>().cloned();
        let enrolled = enrol(shared, request.into_inner()).await;
        let address = peer
            .map(|peer| peer.address.to_string())
            .unwrap_or_default();
        match &enrolled {
            Ok(reply) => {
                Counters::add(&shared.counters.enrolled, 1);
                tracing::info!(sensor = reply.sensor, address, "a sensor has joined");
            }
            Err(status) => {
                Counters::add(&shared.counters.enrolments_refused, 1);
                tracing::warn!(address, why = status.message(), "a sensor was not let in");
            }
        }
        enrolled.map(Response::new)
    }

    async fn rotate(
        &self,
        request: Request<wire::RotateRequest>,
    ) -> Result<Response<wire::Identity>, Status> {
        let shared = &self.0;
        let sensor = known(shared, request.extensions().get::<Peer>()).await?;
        let life = shared.config.certificate_life;
        let csr = request.into_inner().csr;
        let signed = shared
            .authority
            .sign_sensor(&csr, sensor.id, life, now())
            .map_err(|why| Status::invalid_argument(why.to_string()))?;
        shared
            .store
            .add_certificate(sensor.id, signed.record.clone())
            .await
            .map_err(|why| refused(&why))?;
        Ok(Response::new(identity(shared, signed)))
    }

    async fn stream(
        &self,
        request: Request<Streaming<wire::FromSensor>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let sensor = known(&self.0, request.extensions().get::<Peer>()).await?;
        let (out, stream) = mpsc::channel(OUT);
        let shared = self.0.clone();
        tokio::spawn(stream::serve(shared, sensor, request.into_inner(), out));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn enrol(shared: &Shared, request: wire::EnrolRequest) -> Result<wire::EnrolReply, Status> {
    check_protocol(request.protocol)?;
    let facts = facts(&request.facts)?;
    let host = host(&request.host)?;
    let id = new_id();
    let life = shared.config.certificate_life;
    let signed = shared
        .authority
        .sign_sensor(&request.csr, id, life, now())
        .map_err(|why| Status::invalid_argument(why.to_string()))?;
    let sensor = NewSensor {
        id,
        host,
        facts,
        certificate: signed.record.clone(),
    };
    let token = hash_of_secret(&request.secret);
    let sensor = shared
        .store
        .enrol(&token, sensor, now())
        .await
        .map_err(|why| refused(&why))?;
    Ok(wire::EnrolReply {
        identity: Some(identity(shared, signed)),
        sensor: sensor.id.to_string(),
    })
}

fn identity(shared: &Shared, signed: super::authority::Signed) -> wire::Identity {
    let key: PublicKey = shared.signing.public();
    wire::Identity {
        certificate: signed.certificate,
        authorities: vec![shared.authority.certificate().to_vec()],
        bundle_keys: vec![key.to_string()],
        expires_us: signed.record.expires_at,
    }
}

/// The sensor whose certificate it is.
async fn known(shared: &Shared, peer: Option<&Peer>) -> Result<Sensor, Status> {
    let serial = peer.and_then(|peer| peer.serial.as_deref());
    let serial = serial.ok_or_else(|| {
        Status::unauthenticated("this call needs a sensor's certificate: enrol first")
    })?;
    match shared.store.sensor_of_certificate(serial, now()).await {
        Ok(sensor) => Ok(sensor),
        Err(StoreError::NotFound { .. }) => Err(Status::permission_denied(
            "the certificate is unknown, over or revoked: enrol anew with a new join token",
        )),
        Err(why) => Err(refused(&why)),
    }
}

pub(super) fn check_protocol(protocol: u32) -> Result<(), Status> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    Err(Status::failed_precondition(format!(
        "the sensor speaks protocol {protocol}, this server {PROTOCOL}: update whichever is older"
    )))
}

pub(super) fn facts(bytes: &[u8]) -> Result<Value, Status> {
    if bytes.len() > MAX_FACTS {
        return Err(Status::invalid_argument(format!(
            "more than {MAX_FACTS} bytes about the host"
        )));
    }
    if bytes.is_empty() {
        return Ok(Value::Object(Default::default()));
    }
    match serde_json::from_slice(bytes) {
        Ok(facts @ Value::Object(_)) => Ok(facts),
        _ => Err(Status::invalid_argument(
            "what is said about the host is no JSON object",
        )),
    }
}

fn host(host: &str) -> Result<String, Status> {
    if host.is_empty() || host.len() > MAX_HOST || host.chars().any(char::is_control) {
        return Err(Status::invalid_argument(format!(
            "a host's name has from 1 to {MAX_HOST} bytes and no control characters"
        )));
    }
    Ok(host.to_owned())
}

/// What a sensor hears of a failure of the store.
pub(super) fn refused(why: &StoreError) -> Status {
    match why {
        StoreError::JoinRefused(_) => Status::permission_denied(why.to_string()),
        StoreError::Invalid { .. } => Status::invalid_argument(why.to_string()),
        StoreError::NotFound { .. } => Status::not_found(why.to_string()),
        // What ails the database is no sensor's business.
        _ => {
            tracing::warn!(%why, "the store did not serve a sensor");
            Status::unavailable("the server's store does not answer: try again")
        }
    }
}

/// Not now: with the time after which to ask again.
fn put_off(why: &str) -> Status {
    let mut status = Status::resource_exhausted(format!("{why}: try again"));
    let after = COME_BACK_MS.to_string();
    if let Ok(after) = after.parse() {
        status
            .metadata_mut()
            .insert(picket_proto::fleet::RETRY_AFTER_MS, after);
    }
    status
}

/// How a stream's end is told.
pub(super) fn ended(end: End) -> Status {
    match end {
        End::Revoked => Status::permission_denied("the sensor was revoked"),
        End::Replaced => Status::aborted("the sensor has opened another stream"),
        End::Stopping => Status::unavailable("the server stops"),
    }
}
