//! Where sensors come in: TCP, TLS with a bounded number of handshakes, then gRPC.

use super::keys::hex;
use super::service::Service;
use super::{Counters, Shared};
use picket_proto::fleet::MAX_TO_SERVER;
use picket_proto::fleet::wire::fleet_server::FleetServer;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// Connections that wait in the kernel for their handshake.
const BACKLOG: u32 = 4096;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an accept that failed for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);
const PING: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// How long one without a certificate may stay: it is here to enrol.
const STRANGER: Duration = Duration::from_secs(60);
/// Calls at once on one connection: a stream, a rotation, and one that ends.
const CALLS: u32 = 4;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// Its certificate's serial number; none without a certificate.
    pub serial: Option<String>,
}

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) {
    let config = match shared.authority.tls() {
        Ok(config) => config,
        Err(why) => {
            tracing::error!(%why, "sensors cannot be served");
            return;
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (ready, incoming) = mpsc::channel(64);
    let accepting = tokio::spawn(accept(shared.clone(), listener, acceptor, ready));
    let service = FleetServer::new(Service(shared)).max_decoding_message_size(MAX_TO_SERVER);
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PING_PATIENCE))
        .max_concurrent_streams(Some(CALLS))
        .add_service(service)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })
        .await;
    accepting.abort();
    if let Err(why) = served {
        tracing::error!(%why, "serving sensors has ended");
    }
}

async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(shared.config.handshakes_at_once));
    let connections = Arc::new(Semaphore::new(shared.config.connections));
    loop {
        // Neither is ever closed.
        let Ok(room) = connections.clone().acquire_owned().await else {
            return;
        };
        let Ok(turn) = handshakes.clone().acquire_owned().await else {
            return;
        };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(why) => {
                tracing::warn!(%why, "a sensor's connection was not accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let (shared, acceptor, ready) = (shared.clone(), acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let greeted = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(turn);
            match greeted {
                Ok(Ok(stream)) => {
                    let _ = ready.send(Ok(Connection::new(stream, address, room))).await;
                }
                Ok(Err(why)) => {
                    Counters::add(&shared.counters.handshakes_failed, 1);
                    tracing::debug!(%address, %why, "a handshake failed");
                }
                Err(_) => {
                    Counters::add(&shared.counters.handshakes_failed, 1);
                    tracing::debug!(%address, "a handshake took too long");
                }
            }
        });
    }
}

/// A sensor's connection.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// When a connection without a certificate is over.
    end: Option<Pin<Box<tokio::time::Sleep>>>,
    _room: OwnedSemaphorePermit,
}

impl Connection {
    fn new(
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
        room: OwnedSemaphorePermit,
    ) -> Connection {
        let certificates = stream.get_ref().1.peer_certificates();
        let serial = certificates
            .and_then(|certificates| certificates.first())
            .and_then(|certificate| serial(certificate));
        let stranger = serial.is_none();
        Connection {
            stream,
            peer: Peer { address, serial },
            end: stranger.then(|| Box::pin(tokio::time::sleep(STRANGER))),
            _room: room,
        }
    }
}

fn serial(certificate: &[u8]) -> Option<String> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(hex(certificate.raw_serial()))
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let over = |end: &mut Pin<Box<tokio::time::Sleep>>| end.as_mut().poll(cx).is_ready();
        if self.end.as_mut().is_some_and(over) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
