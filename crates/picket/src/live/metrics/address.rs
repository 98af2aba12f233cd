//! Where the metrics are served.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// An address; of a port alone, that of this host's loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsAddress(pub SocketAddr);

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<MetricsAddress, String> {
        let port = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = port.parse::<u16>() {
            return Ok(MetricsAddress((Ipv4Addr::LOCALHOST, port).into()));
        }
        text.parse().map(MetricsAddress).map_err(|_| {
            format!(
                "{text:?} is no address: write a port (9465: this host alone can ask) or IP:PORT \
                 (0.0.0.0:9465: everybody who reaches it can)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_hosts_own() {
        for (text, shown) in [
            ("9465", "127.0.0.1:9465"),
            (":9465", "127.0.0.1:9465"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:9465", "[::1]:9465"),
        ] {
            let address: MetricsAddress = text.parse().unwrap();
            assert_eq!(address.0.to_string(), shown);
        }
        for wrong in ["", "localhost:1", "65536", "1.2.3.4"] {
            assert!(wrong.parse::<MetricsAddress>().is_err(), "{wrong}");
        }
    }
}
