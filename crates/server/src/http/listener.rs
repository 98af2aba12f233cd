//! Accepts connections and serves them until told to stop.

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How long a client may take to say hello, or to send a request's head.
const HELLO: Duration = Duration::from_secs(10);
/// How long requests may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;
/// To whoever speaks plainly where that is not allowed.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\nContent-Length: 44\r\n\r\nThis server speaks HTTPS here: use https://.\n";

/// Whether clients must encrypt.
#[derive(Clone)]
pub enum Encryption {
    /// They cannot.
    Off,
    /// They may: only on a loopback address.
    Optional(Arc<ServerConfig>),
    /// They must.
    Required(Arc<ServerConfig>),
}

/// Who sends a request: stands in each request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// From where.
    pub address: SocketAddr,
    /// Whether nobody between can read it.
    pub encrypted: bool,
}

/// A bound socket, and how it is served.
pub struct Listener {
    socket: TcpListener,
    encryption: Encryption,
    connections: usize,
}

impl Listener {
    /// Binds. At most so many connections are served at once; the others wait.
    pub async fn bind(
        address: SocketAddr,
        encryption: Encryption,
        connections: usize,
    ) -> std::io::Result<Listener> {
        Ok(Listener {
            socket: TcpListener::bind(address).await?,
            encryption,
            connections,
        })
    }

    /// Where it is bound.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stopping` says so; then requests in flight have a few seconds.
    pub async fn serve(self, router: Router, mut stopping: watch::Receiver<bool>) {
        let turns = Arc::new(Semaphore::new(self.connections));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = async {
                // Without a turn nothing is accepted: the kernel's queue is bounded.
                let turn = Arc::clone(&turns).acquire_owned().await;
                (turn, self.socket.accept().await)
            };
            let (turn, (stream, address)) = tokio::select! {
                () = crate::stopped(&mut stopping) => break,
                (turn, accepted) = accepted => match (turn, accepted) {
                    (Ok(turn), Ok(accepted)) => (turn, accepted),
                    (_, Err(why)) => {
                        // Out of descriptors, most likely: others must end first.
                        tracing::warn!(%why, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                    (Err(_), _) => break,
                },
            };
            let (encryption, router) = (self.encryption.clone(), router.clone());
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                if let Err(why) = connection(stream, address, encryption, router, watcher).await {
                    tracing::debug!(%address, %why, "a connection ended");
                }
                drop(turn);
            });
        }
        drop(self.socket);
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not end in time, and were cut off");
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    encryption: Encryption,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), Failure> {
    let config = match encryption {
        Encryption::Off => None,
        Encryption::Required(config) if !speaks_tls(&stream).await? => {
            drop(config);
            return refuse(stream).await;
        }
        Encryption::Required(config) => Some(config),
        Encryption::Optional(config) => speaks_tls(&stream).await?.then_some(config),
    };
    let client = Client {
        address,
        encrypted: config.is_some(),
    };
    let service = TowerToHyperService::new(router.map_request(
        move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(client);
            request
        },
    ));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HELLO);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(16 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(HELLO);
    match config {
        None => {
            let served = builder.serve_connection(TokioIo::new(stream), service);
            watcher.watch(served.into_owned()).await
        }
        Some(config) => {
            let stream = tokio::time::timeout(HELLO, TlsAcceptor::from(config).accept(stream));
            let stream = stream.await??;
            let served = builder.serve_connection(TokioIo::new(stream), service);
            watcher.watch(served.into_owned()).await
        }
    }
}

async fn speaks_tls(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    tokio::time::timeout(HELLO, stream.peek(&mut first)).await??;
    Ok(first[0] == HANDSHAKE)
}

async fn refuse(mut stream: TcpStream) -> Result<(), Failure> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // What was sent is read, or the answer would be lost with a reset.
    let mut head = [0; 4096];
    let _ = tokio::time::timeout(HELLO, stream.read(&mut head)).await?;
    stream.write_all(SPEAK_TLS).await?;
    stream.shutdown().await?;
    Ok(())
}
