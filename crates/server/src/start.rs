//! Puts a server together and runs it.

use crate::api::{App, Metrics, ops_router, router};
use crate::auth::oidc::Provider;
use crate::auth::{Passwords, Secret, first_admin};
use crate::config::Config;
use crate::digest;
use crate::fleet::{Fleet, FleetError};
use crate::http::{CertificateError, Encryption, Listener, load};
use crate::outputs::Outputs;
use crate::playbooks::Playbooks;
use crate::retention;
use picket_store::{Store, StoreError, open};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often it is stored when tokens were used.
const TOKEN_USES: Duration = Duration::from_secs(15);
/// Connections to the listener for operations at once.
const OPS_CONNECTIONS: usize = 50;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder cannot be made.
    #[error("cannot create {path}: {source}", path = path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The address is taken, or not this host's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Sensors cannot be served.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A file of the log-in provider cannot be used.
    #[error("cannot use a file that [oidc] names: {0}")]
    Oidc(std::io::Error),
    /// A secret of playbooks cannot be read, or their mail cannot be set up.
    #[error("cannot use what [playbooks] names: {0}")]
    Playbooks(std::io::Error),
    /// A secret or a certificate of an output cannot be read.
    #[error("cannot use the output {name}: {source}")]
    Output {
        /// Which.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// The first administrator could not be made.
    #[error("cannot make the first administrator: {0}")]
    FirstAdmin(std::io::Error),
}

/// A running server.
pub struct Server {
    store: Arc<dyn Store>,
    app: App,
    fleet: Arc<Fleet>,
    address: SocketAddr,
    ops: Option<SocketAddr>,
    certificate: Option<PathBuf>,
    first: Option<(&'static str, Secret)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Starts a server: the API, and the fleet's half.
pub async fn start(config: Config) -> Result<Server, StartError> {
    make_folder(&config.data)?;
    crate::files::make_room(config.fleet.connections + config.api.connections);
    let certificate = load(&config.tls, &config.data)?;
    let encryption = match &certificate {
        None => Encryption::Off,
        Some((tls, _)) if config.listen.ip().is_loopback() => Encryption::Optional(tls.clone()),
        Some((tls, _)) => Encryption::Required(tls.clone()),
    };
    let listen = |address| move |source| StartError::Listen { address, source };
    // Before the store: a second server of the same folder ends here.
    let listener = Listener::bind(config.listen, encryption, config.api.connections)
        .await
        .map_err(listen(config.listen))?;
    let ops = match config.ops {
        None => None,
        Some(address) => Some(
            Listener::bind(address, Encryption::Off, OPS_CONNECTIONS)
                .await
                .map_err(listen(address))?,
        ),
    };
    let address = listener.address().map_err(listen(config.listen))?;
    let ops_address = ops.as_ref().and_then(|ops| ops.address().ok());
    let oidc = config
        .oidc
        .map(|oidc| Provider::new(oidc).map(Arc::new))
        .transpose()
        .map_err(StartError::Oidc)?;
    let outputs = Outputs::open(&config.outputs)?;
    let store = open(&config.store).await?;
    outputs.forget_others(&*store).await?;
    let passwords = Passwords::new().map_err(StartError::FirstAdmin)?;
    let first = first_admin(&*store, &passwords, crate::api::now())
        .await
        .map_err(StartError::FirstAdmin)?;

    let fleet = Arc::new(Fleet::start(config.fleet, Arc::clone(&store)).await?);
    let (stop, stopping) = watch::channel(false);
    let metrics = Arc::new(Metrics::default());
    let playbooks = Playbooks::new(
        Arc::clone(&store),
        &config.playbooks,
        config.issues,
        Arc::clone(&metrics),
    );
    let playbooks = Arc::new(playbooks.await.map_err(StartError::Playbooks)?);
    let app = App::new(
        Arc::clone(&store),
        passwords,
        metrics,
        config.api,
        config.issues,
        Arc::clone(&playbooks),
        stopping.clone(),
        Arc::downgrade(&fleet),
        oidc,
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.serve(router(app.clone()), stopping.clone()));
    if let Some(ops) = ops {
        tasks.spawn(ops.serve(ops_router(app.clone()), stopping.clone()));
    }
    let keep = retention::Keep {
        findings: config.findings,
        issues: config.issues.keep,
        graph: config.graph,
    };
    tasks.spawn(retention::run(Arc::clone(&store), keep, stopping.clone()));
    tasks.spawn(crate::digest::hosts::run(
        Arc::clone(&store),
        stopping.clone(),
    ));
    tasks.spawn(digest::run(
        Arc::clone(&store),
        Arc::new(digest::Reader {
            issues: config.issues,
            playbooks: playbooks.triggers(),
            outputs: outputs.audience(),
        }),
        Arc::clone(&app.metrics),
        stopping.clone(),
    ));
    outputs.spawn(&store, &app.metrics, &stopping, &mut tasks);
    tasks.spawn(crate::playbooks::run(playbooks, stopping.clone()));
    tasks.spawn(token_uses(app.clone(), stopping));
    tracing::info!(%address, "the API listens");
    Ok(Server {
        store,
        app,
        fleet,
        address,
        ops: ops_address,
        certificate: certificate.map(|(_, file)| file),
        first,
        stop,
        tasks,
    })
}

fn make_folder(path: &std::path::Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    // Keys and findings: nobody else's business.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StartError::Folder {
            path: path.to_owned(),
            source,
        })
}

async fn token_uses(app: App, mut stopping: watch::Receiver<bool>) {
    loop {
        let stop = tokio::select! {
            () = crate::stopped(&mut stopping) => true,
            () = tokio::time::sleep(TOKEN_USES) => false,
        };
        app.store_token_uses().await;
        if stop {
            return;
        }
    }
}

impl Server {
    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the listener for operations is, if there is one.
    pub fn ops(&self) -> Option<SocketAddr> {
        self.ops
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The fleet's half.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.app.metrics
    }

    /// The lines to show at the start: where it is, and once who can log in.
    pub fn greeting(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.certificate {
            None => lines.push(format!("the API: http://{}/api/v1", self.address)),
            Some(file) => {
                lines.push(format!("the API: https://{}/api/v1", self.address));
                lines.push(format!("its certificate: {}", file.display()));
            }
        }
        lines.push(format!("for sensors: https://{}", self.fleet.address()));
        if let Some(ops) = self.ops {
            lines.push(format!(
                "for operations: http://{ops}/metrics, /healthz, /readyz"
            ));
        }
        if let Some((name, password)) = &self.first {
            lines.push(format!(
                "first start: log in as {name} with the password {} (it is shown this once)",
                password.reveal()
            ));
        }
        lines
    }

    /// Lets requests in flight end, and closes the store.
    pub async fn stop(mut self) {
        // No receiver is left only if every task has ended already.
        let _ = self.stop.send(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(why) = ended {
                tracing::error!(%why, "a part of the server ended badly");
            }
        }
        // Held by nobody else, but for a request that is just being counted.
        if let Ok(fleet) = Arc::try_unwrap(self.fleet) {
            fleet.stop().await;
        }
        self.store.close().await;
        tracing::info!("the server has stopped");
    }
}
