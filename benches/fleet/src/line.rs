//! From a sensor to the server: TLS 1.3, gRPC, as the real sensor does it.

use anyhow::Result;
use hyper_util::rt::TokioIo;
use picket_proto::fleet::wire::fleet_client::FleetClient;
use picket_proto::fleet::{MAX_TO_SENSOR, SERVER_NAME};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

/// Ten thousand may wait for a turn of the server's.
const CONNECT: Duration = Duration::from_secs(15);
const PING: Duration = Duration::from_secs(20);

/// A sensor's certificate and key, DER.
pub struct Own<'a> {
    pub certificate: &'a [u8],
    pub key: &'a [u8],
}

/// The TLS settings of one sensor; of one that has not joined without its own.
pub fn tls(roots: Arc<RootCertStore>, own: Option<Own<'_>>) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(own) => config.with_client_auth_cert(
            vec![CertificateDer::from(own.certificate.to_vec())],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key.to_vec())),
        )?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

pub fn roots(authority: &[u8]) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.to_vec()))?;
    Ok(Arc::new(roots))
}

pub async fn connect(
    server: SocketAddr,
    tls: Arc<ClientConfig>,
) -> Result<FleetClient<Channel>, tonic::transport::Error> {
    let connector = tower::service_fn(move |_: Uri| {
        let tls = TlsConnector::from(tls.clone());
        async move {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
            let stream = tls.connect(name, stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    let channel = Endpoint::from_static("http://server.picket.internal")
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await?;
    Ok(FleetClient::new(channel).max_decoding_message_size(MAX_TO_SENSOR))
}
