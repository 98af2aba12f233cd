//! From a URL to a gRPC client.

use super::tls;
use hyper_util::rt::TokioIo;
use picket_proto::fleet::MAX_TO_SENSOR;
use picket_proto::fleet::wire::fleet_client::FleetClient;
use rustls::ClientConfig;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

/// Where a server listens for sensors unless its URL says otherwise.
const PORT: u16 = 8444;
const CONNECT: Duration = Duration::from_secs(15);
const PING: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// The URI that calls name: the connector knows where to go.
const ORIGIN: &str = "http://server.picket.internal";

/// `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    host: String,
    port: u16,
}

/// A text is no server's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no server: write https://HOST or https://HOST:PORT (the usual port is {PORT})")]
pub struct BadUrl(String);

impl std::str::FromStr for ServerUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<ServerUrl, BadUrl> {
        let bad = || BadUrl(text.to_owned());
        let rest = text.strip_prefix("https://").ok_or_else(bad)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let is_host = |host: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            !host.is_empty() && host.chars().all(plain)
        };
        let is_v6 = |host: &str| host.parse::<std::net::Ipv6Addr>().is_ok();
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) if is_v6(host) => {
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(bad)?),
                };
                (host, port)
            }
            Some(_) => return Err(bad()),
            None => match rest.split_once(':') {
                Some((host, port)) if is_host(host) => (host, Some(port)),
                None if is_host(rest) => (rest, None),
                _ => return Err(bad()),
            },
        };
        let port = match port {
            None => PORT,
            Some(port) => port.parse().map_err(|_| bad())?,
        };
        Ok(ServerUrl {
            host: host.to_owned(),
            port,
        })
    }
}

impl ServerUrl {
    /// Its name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "https://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "https://{}:{}", self.host, self.port)
        }
    }
}

/// Connects. The TLS name is the fleet's own, whatever the URL says.
pub async fn connect(
    server: &ServerUrl,
    tls: ClientConfig,
) -> Result<FleetClient<Channel>, tonic::transport::Error> {
    let server = server.clone();
    let tls = TlsConnector::from(Arc::new(tls));
    let connector = tower::service_fn(move |_: Uri| {
        let (server, tls) = (server.clone(), tls.clone());
        async move {
            let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
            stream.set_nodelay(true)?;
            let name = tls::server_name().map_err(io::Error::other)?;
            let stream = tls.connect(name, stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    let channel = Endpoint::from_static(ORIGIN)
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING_PATIENCE)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await?;
    Ok(FleetClient::new(channel).max_decoding_message_size(MAX_TO_SENSOR))
}

/// An error with its causes: what fails is often told by the last.
pub(super) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_hosts_with_a_port_or_without() {
        for (text, shown) in [
            ("https://picket.example", "https://picket.example:8444"),
            ("https://10.0.0.1:1234/", "https://10.0.0.1:1234"),
            ("https://[::1]:9", "https://[::1]:9"),
            ("https://[::1]", "https://[::1]:8444"),
        ] {
            assert_eq!(text.parse::<ServerUrl>().unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "picket.example",
            "http://a",
            "https://",
            "https://a:b",
            "https://a/b",
            "https://[::1]x",
            "https://a b",
            "https://:1",
            "https://[x]",
        ] {
            assert!(wrong.parse::<ServerUrl>().is_err(), "{wrong}");
        }
    }
}
