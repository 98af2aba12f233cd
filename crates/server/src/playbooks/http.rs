//! Requests to wherever a playbook says: never to where only the server can reach,
//! unless that is allowed.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Request, Uri};
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Bytes of an answer that are kept, for people.
const KEPT: u64 = 512;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub timeout: Duration,
}

/// It was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What is wrong. Never a secret.
    pub why: String,
    /// Whether it may be right later.
    pub again: bool,
}

impl Failure {
    pub(super) fn for_good(why: impl Into<String>) -> Failure {
        Failure {
            why: why.into(),
            again: false,
        }
    }

    pub(super) fn for_now(why: impl Into<String>) -> Failure {
        Failure {
            why: why.into(),
            again: true,
        }
    }
}

/// Sends requests.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    allow_private: bool,
}

/// Finds addresses, and refuses those that are nobody's business outside.
#[derive(Debug)]
struct Guard {
    inner: DefaultResolver,
    allow_private: bool,
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        // The connection is made to these very addresses: no name can change in between.
        let found = self.inner.resolve(uri, config, timeout)?;
        if self.allow_private {
            return Ok(found);
        }
        match found.iter().find(|address| !is_public(address.ip())) {
            None => Ok(found),
            Some(address) => Err(ureq::Error::BadUri(refusal(address.ip()))),
        }
    }
}

fn refusal(address: IpAddr) -> String {
    format!("{address} is a private address: [playbooks] allow_private lets requests go there")
}

/// Whether an address is anybody's on the Internet (RFC 6890, RFC 4193, RFC 4291).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| embedded(v6)) {
            Some(v4) => is_public_v4(v4),
            None => {
                let first = v6.segments()[0];
                // 2000::/3 is what is given out; fc00::/7, fe80::/10, ff00::/8, ::1 are not.
                first & 0xe000 == 0x2000
            }
        },
    }
}

/// The IPv4 address in one of the NAT64 prefix (RFC 6052) or of 6to4 (RFC 3056).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = v6.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || shared
        || benchmark)
}

impl Client {
    pub(super) fn new(allow_private: bool) -> std::io::Result<Client> {
        let tls = TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(crate::auth::oidc::roots(None)?)
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .https_only(!allow_private)
            // A proxy would find the addresses, not the guard.
            .proxy(None)
            .tls_config(tls)
            .build();
        let guard = Guard {
            inner: DefaultResolver::default(),
            allow_private,
        };
        Ok(Client {
            agent: ureq::Agent::with_parts(config, DefaultConnector::default(), guard),
            allow_private,
        })
    }

    /// Sends it; the status and the beginning of the answer.
    pub(super) async fn send(&self, request: Outgoing) -> Result<String, Failure> {
        let client = self.clone();
        let sent = tokio::task::spawn_blocking(move || client.send_now(&request));
        sent.await
            .unwrap_or_else(|_| Err(Failure::for_now("the request was not finished")))
    }

    fn send_now(&self, request: &Outgoing) -> Result<String, Failure> {
        let url: Uri = request
            .url
            .parse()
            .map_err(|_| Failure::for_good("it is no URL"))?;
        if !self.allow_private && url.scheme_str() != Some("https") {
            return Err(Failure::for_good(
                "without encryption it goes nowhere: [playbooks] allow_private lets it",
            ));
        }
        let mut made = Request::builder().method(request.method).uri(url);
        for (name, value) in &request.headers {
            made = made.header(name, value);
        }
        let made = made
            .body(request.body.as_bytes())
            .map_err(|why| Failure::for_good(why.to_string()))?;
        let config = self.agent.configure_request(made);
        let made = config.timeout_global(Some(request.timeout)).build();
        let answer = self.agent.run(made).map_err(of_error)?;
        let status = answer.status().as_u16();
        let mut text = Vec::new();
        // What cannot be read is no reason to send it again.
        let _ = answer
            .into_body()
            .into_reader()
            .take(KEPT)
            .read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        let told = format!("HTTP {status} {}", text.trim());
        match status {
            200..=299 => Ok(told),
            408 | 425 | 429 | 500..=599 => Err(Failure::for_now(told)),
            300..=399 => Err(Failure::for_good(format!(
                "{told}: redirects are not followed"
            ))),
            _ => Err(Failure::for_good(told)),
        }
    }
}

fn of_error(why: ureq::Error) -> Failure {
    match why {
        ureq::Error::BadUri(why) => Failure::for_good(why),
        ureq::Error::RequireHttpsOnly(why) => Failure::for_good(why),
        why => Failure::for_now(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_others() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn the_server_reaches_nothing_of_its_own_for_a_playbook() {
        let client = Client::new(false).unwrap();
        for url in [
            "http://127.0.0.1:1/",
            "https://127.0.0.1:1/",
            "https://localhost:1/",
            "https://[::1]:1/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            let request = Outgoing {
                method: "POST",
                url: url.to_owned(),
                headers: Vec::new(),
                body: String::new(),
                timeout: Duration::from_secs(5),
            };
            let failure = client.send(request).await.unwrap_err();
            assert!(!failure.again, "{url}: {}", failure.why);
            assert!(failure.why.contains("allow_private"), "{}", failure.why);
        }
    }
}
