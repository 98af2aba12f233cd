//! What every handler can reach.

use super::metrics::Metrics;
use crate::auth::oidc::Provider;
use crate::auth::{Limiter, Passwords};
use crate::config::{ApiLimits, Issues};
use crate::fleet::Fleet;
use crate::playbooks::Playbooks;
use picket_store::{Micros, Store, Uuid};
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Semaphore, watch};

/// Uses of tokens that wait to be stored, at most.
const WAITING_USES: usize = 1000;

/// The server's parts, shared by all requests.
#[derive(Clone)]
pub struct App(Arc<AppParts>);

/// The server's parts.
pub struct AppParts {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// Who hashes passwords.
    pub passwords: Passwords,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How much is let in.
    pub limits: ApiLimits,
    /// How long people have for issues.
    pub issues: Issues,
    /// What is done by itself.
    pub(crate) playbooks: Arc<Playbooks>,
    /// True once the server stops: streams end.
    pub stopping: watch::Receiver<bool>,
    /// The fleet's half; gone where none is served.
    pub fleet: Weak<Fleet>,
    /// Who else logs people in.
    pub oidc: Option<Arc<Provider>>,
    pub(super) requests: Limiter<IpAddr>,
    pub(super) log_ins: Limiter<String>,
    pub(super) streams: Arc<Semaphore>,
    /// Changes of definitions are checked against all the others: one at a time. Two
    /// replicas may still let in what does not fit together; whoever makes a bundle
    /// checks it again.
    pub(super) writing: tokio::sync::Mutex<()>,
    uses: Mutex<HashMap<Uuid, Micros>>,
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    #[expect(clippy::too_many_arguments, reason = "each is named in the parts")]
    pub(crate) fn new(
        store: Arc<dyn Store>,
        passwords: Passwords,
        metrics: Arc<Metrics>,
        limits: ApiLimits,
        issues: Issues,
        playbooks: Arc<Playbooks>,
        stopping: watch::Receiver<bool>,
        fleet: Weak<Fleet>,
        oidc: Option<Arc<Provider>>,
    ) -> App {
        App(Arc::new(AppParts {
            requests: Limiter::new(limits.requests_per_second, limits.burst),
            log_ins: Limiter::new(
                limits.log_ins_per_minute / 60.0,
                limits.log_ins_per_minute.max(1.0),
            ),
            streams: Arc::new(Semaphore::new(limits.streams)),
            writing: tokio::sync::Mutex::default(),
            uses: Mutex::default(),
            store,
            passwords,
            metrics,
            limits,
            issues,
            playbooks,
            stopping,
            fleet,
            oidc,
        }))
    }

    /// Remembers that a token was used.
    pub(super) fn token_used(&self, token: Uuid, at: Micros) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < WAITING_USES || uses.contains_key(&token) {
            uses.insert(token, at);
        }
    }

    /// Stores what was remembered. Called now and then: a write for each request would
    /// be too many.
    pub async fn store_token_uses(&self) {
        let uses: Vec<_> = {
            let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            uses.drain().collect()
        };
        if uses.is_empty() {
            return;
        }
        if let Err(why) = self.store.store_token_uses(uses).await {
            tracing::warn!(%why, "when tokens were used could not be stored");
        }
    }
}
