//! The fleet: who its sensors are, what they are given, what they report.
//!
//! ```text
//!  sensor ─ TLS ─► listener ─► service ─┬─ enrol, rotate ─► Authority ─► Store
//!                 (admission)           └─ stream ─┬─ findings ─────────► Store ─► acknowledged
//!                                          ▲       └─ heartbeats, in batches ─► Store
//!                                          │ offers
//!  Store ─ change notice ─► director ─► bundler (content) ─► rollout (to whom) ─┘
//! ```
//! Any number of servers may stand on one store: none of them leads. Each does all
//! of this, and where two do the same, the store lets one of them do it.

mod authority;
mod census;
mod config;
mod content;
mod director;
mod findings;
mod fit;
mod heartbeats;
mod hub;
mod keys;
mod listener;
mod members;
mod orders;
mod rollout;
mod scope;
mod service;
mod stream;
mod targets;
mod yaml;

pub use authority::{Authority, CertificateError};
pub use census::Census;
pub use config::{FleetConfig, Limits, Plan};
pub use content::{Composed, Library, Problem};
pub use keys::KeyFileError;
pub use members::Membership;
pub use orders::{ORDER_SECONDS, new_order, undoing};
pub use rollout::{Canary, roll_back};

use bytes::Bytes;
use heartbeats::Heartbeats;
use hub::Hub;
use picket_proto::bundle::SigningKey;
use picket_proto::fleet::{JoinToken, hash_of_authority, pack};
use picket_store::{Cause, Micros, Store, Uuid};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// What all parts of the fleet share.
struct Shared {
    config: FleetConfig,
    store: Arc<dyn Store>,
    authority: Authority,
    signing: SigningKey,
    hub: Hub,
    heartbeats: Heartbeats,
    /// What sensors are to be given, as it is now.
    targets: watch::Sender<Arc<targets::Targets>>,
    /// Orders that wait for an answer, as it is now.
    orders: watch::Sender<Arc<orders::Open>>,
    /// Calls the director.
    wake: tokio::sync::Notify,
    enrolments: Semaphore,
    deliveries: Semaphore,
    reports: Semaphore,
    counters: Counters,
    census: std::sync::Mutex<Census>,
    /// Signed bytes that sensors were given lately.
    bundles: tokio::sync::Mutex<VecDeque<(Uuid, Signed)>>,
}

/// Bundles kept in memory: what is rolled out at one time, and what is stable, of
/// some scopes.
const BUNDLES: usize = 16;

/// A bundle's signed bytes, as they go out.
#[derive(Debug, Clone)]
struct Signed {
    envelope: Bytes,
    /// For sensors that unpack.
    packed: Bytes,
}

/// Sensors whose rules' states are being stored at one time.
const REPORTS: usize = 16;

impl Shared {
    /// A bundle's signed bytes. Thousands of sensors ask for the same one at once:
    /// it is read and packed once.
    async fn bundle(&self, id: Uuid) -> picket_store::Result<Signed> {
        let mut kept = self.bundles.lock().await;
        if let Some((_, signed)) = kept.iter().find(|(found, _)| *found == id) {
            return Ok(signed.clone());
        }
        let envelope = Bytes::from(self.store.bundle_bytes(id).await?);
        let signed = Signed {
            packed: pack(&envelope),
            envelope,
        };
        kept.truncate(BUNDLES - 1);
        kept.push_front((id, signed.clone()));
        Ok(signed)
    }
}

/// What was counted since the server began.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections whose handshake failed or took too long.
    pub handshakes_failed: AtomicU64,
    /// Sensors that were let in.
    pub enrolled: AtomicU64,
    /// Sensors that were not.
    pub enrolments_refused: AtomicU64,
    /// Calls that were put off for want of room.
    pub put_off: AtomicU64,
    /// Findings stored.
    pub findings: AtomicU64,
    /// Findings that were there already.
    pub findings_known: AtomicU64,
    /// Findings that cannot be stored.
    pub findings_refused: AtomicU64,
    /// Bundles offered.
    pub offers: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// The fleet's half of a server, running.
pub struct Fleet {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why the fleet cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// Its certificates.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Its place in the network.
    #[error("cannot listen for sensors at {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl Fleet {
    /// Opens (or makes) the authority and the signing key below
    /// [`FleetConfig::folder`], and serves.
    pub async fn start(config: FleetConfig, store: Arc<dyn Store>) -> Result<Fleet, FleetError> {
        let authority = Authority::open(&config.folder)?;
        let signing = keys::signing_key(&config.folder)?;
        let address = config.listen;
        let listen = |source| FleetError::Listen { address, source };
        let listener = listener::listen(address).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            enrolments: Semaphore::new(config.enrolments_at_once),
            deliveries: Semaphore::new(config.deliveries_at_once),
            reports: Semaphore::new(REPORTS),
            config,
            store,
            authority,
            signing,
            hub: Hub::default(),
            heartbeats: Heartbeats::default(),
            targets: watch::Sender::new(Arc::default()),
            orders: watch::Sender::new(Arc::default()),
            wake: tokio::sync::Notify::new(),
            counters: Counters::default(),
            census: Default::default(),
            bundles: tokio::sync::Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(listener::serve(shared.clone(), listener, stopped.clone())),
            tokio::spawn(director::run(shared.clone(), stopped.clone())),
            tokio::spawn(orders::run(shared.clone(), stopped.clone())),
            tokio::spawn(heartbeats::flush(shared.clone(), stopped)),
        ];
        Ok(Fleet {
            shared,
            address,
            stop,
            tasks,
        })
    }

    /// Where sensors find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A join token with a secret of 32 random bytes; the store keeps its
    /// [`JoinToken::hash`].
    pub fn join_token(&self) -> Result<JoinToken, KeyFileError> {
        Ok(JoinToken {
            secret: keys::random()?,
            authority: self.authority_hash(),
        })
    }

    /// What join tokens say of this server's authority.
    pub fn authority_hash(&self) -> [u8; 32] {
        hash_of_authority(self.shared.authority.certificate())
    }

    /// How many sensors and roll-outs are how.
    pub fn census(&self) -> Census {
        *self
            .shared
            .census
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Sensors whose stream is open here.
    pub fn connected(&self) -> usize {
        self.shared.hub.len()
    }

    /// Brings back what a scope had before its last roll-out, as a new version.
    pub async fn roll_back(&self, scope: &str, cause: &Cause) -> picket_store::Result<()> {
        roll_back(&*self.shared.store, scope, cause).await?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Ends streams, stores what was heard, and stops.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.shared.hub.close_all();
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Microseconds since the epoch.
fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .ok()
        .and_then(|since| Micros::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}
