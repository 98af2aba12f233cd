//! The provider: what it says of itself, its keys, and the exchange of a code.

use super::attempt::Attempt;
use super::claims::{Expected, Identity};
use super::jws::{BadToken, Keys};
use crate::config::{Oidc, is_safe_url};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// One request to the provider.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what it says of itself is believed.
const FRESH: Duration = Duration::from_secs(3600);
/// A key that is not known makes its keys be asked for again, but not more often.
const KEYS_AGAIN: Duration = Duration::from_secs(30);
/// Bytes of an answer, at most.
const MAX_ANSWER: u64 = 1 << 20;
/// Characters of a code, at most.
const MAX_CODE: usize = 4096;

/// Nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider cannot be asked, or is set up in a way that cannot work.
    #[error("the log-in provider cannot be used: {0}")]
    Unavailable(String),
    /// What came back is not believed.
    #[error("the log-in is not believed: {0}")]
    Refused(String),
}

fn unavailable(why: impl ToString) -> OidcError {
    OidcError::Unavailable(why.to_string())
}

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

struct Known {
    discovery: Arc<Discovery>,
    keys: Arc<Keys>,
    at: Instant,
    keys_at: Instant,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// A provider.
pub struct Provider {
    config: Oidc,
    secret: Option<String>,
    agent: ureq::Agent,
    known: Mutex<Option<Known>>,
}

impl Provider {
    /// Reads the files that the configuration names. The provider itself is asked when
    /// somebody logs in: the server starts without it.
    pub fn new(config: Oidc) -> std::io::Result<Provider> {
        let secret = match &config.client_secret {
            None => None,
            Some(path) => Some(std::fs::read_to_string(path)?.trim().to_owned()),
        };
        let roots = roots(config.authorities.as_deref())?;
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(PATIENCE))
            // Where it answers is where it said it would.
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        Ok(Provider {
            config,
            secret,
            agent: agent.into(),
            known: Mutex::default(),
        })
    }

    /// What it is set up by.
    pub fn config(&self) -> &Oidc {
        &self.config
    }

    /// Where a browser is sent to log in.
    pub async fn begin(&self, attempt: &Attempt) -> Result<String, OidcError> {
        let (discovery, _) = self.known(false).await?;
        let mut url = discovery.authorization_endpoint.clone();
        let scopes = self.config.scopes.join(" ");
        let scope = format!("openid {scopes}");
        let challenge = attempt.challenge();
        for (at, (name, value)) in [
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", &self.config.redirect),
            ("scope", scope.trim()),
            ("state", attempt.state()),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]
        .into_iter()
        .enumerate()
        {
            let begins = at == 0 && !url.contains('?');
            url.push(if begins { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encoded(value));
        }
        Ok(url)
    }

    /// Exchanges a code, and checks what the provider says of whoever logged in.
    pub async fn finish(
        &self,
        attempt: &Attempt,
        code: &str,
        now_us: i64,
    ) -> Result<Identity, OidcError> {
        if code.is_empty() || code.len() > MAX_CODE {
            return Err(OidcError::Refused("the code is none".to_owned()));
        }
        let (discovery, keys) = self.known(false).await?;
        let token = self.exchange(&discovery, attempt, code).await?;
        let payload = match keys.verify(&token) {
            // It may have new ones.
            Err(BadToken::UnknownKey) => self.known(true).await?.1.verify(&token),
            verified => verified,
        };
        let payload = payload.map_err(|why| OidcError::Refused(why.to_string()))?;
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: &attempt.nonce,
            now: now_us as f64 / 1e6,
            groups_claim: &self.config.groups_claim,
            name_claim: &self.config.name_claim,
        };
        let identity = expected.check(&payload);
        identity.map_err(|why| OidcError::Refused(why.to_string()))
    }

    async fn exchange(
        &self,
        discovery: &Discovery,
        attempt: &Attempt,
        code: &str,
    ) -> Result<String, OidcError> {
        let id = &self.config.client_id;
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.config.redirect.clone()),
            ("code_verifier", attempt.verifier.clone()),
        ];
        let mut request = self.agent.post(&discovery.token_endpoint);
        let methods = &discovery.token_endpoint_auth_methods_supported;
        let takes = |name: &str| methods.iter().any(|method| method == name);
        match &self.secret {
            // Where it says nothing it takes the first (RFC 8414).
            Some(secret) if takes("client_secret_basic") || !takes("client_secret_post") => {
                let pair = format!("{}:{}", encoded(id), encoded(secret));
                let value = format!("Basic {}", STANDARD.encode(pair));
                request = request.header("authorization", value);
            }
            secret => {
                form.push(("client_id", id.clone()));
                if let Some(secret) = secret {
                    form.push(("client_secret", secret.clone()));
                }
            }
        }
        let sent = move || answer(request.send_form(form));
        let (status, body) = blocking(sent).await?;
        match status {
            200 => {}
            // An error's text is the provider's, and may repeat the code: not told.
            400..=499 => {
                let why = format!("the provider did not take the code ({status})");
                return Err(OidcError::Refused(why));
            }
            _ => return Err(unavailable(format!("its token endpoint answered {status}"))),
        }
        let tokens: Tokens = json(&body, "its token endpoint")?;
        Ok(tokens.id_token)
    }

    /// What is known of the provider; asked for again where it is old, or where its
    /// keys may have changed.
    async fn known(&self, new_key: bool) -> Result<(Arc<Discovery>, Arc<Keys>), OidcError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_mut().filter(|known| known.at.elapsed() < FRESH) {
            if new_key && known.keys_at.elapsed() > KEYS_AGAIN {
                known.keys = Arc::new(self.get(&known.discovery.jwks_uri, "its keys").await?);
                known.keys_at = Instant::now();
            }
            return Ok((known.discovery.clone(), known.keys.clone()));
        }
        let issuer = &self.config.issuer;
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let discovery: Discovery = self.get(&url, "its configuration").await?;
        if discovery.issuer != *issuer {
            let why = format!("it calls itself {:?}, not {issuer:?}", discovery.issuer);
            return Err(unavailable(why));
        }
        for url in [
            &discovery.authorization_endpoint,
            &discovery.token_endpoint,
            &discovery.jwks_uri,
        ] {
            if !is_safe_url(url) || url.contains('#') {
                return Err(unavailable(format!("it names {url:?}, which is not https")));
            }
        }
        let keys = self.get(&discovery.jwks_uri, "its keys").await?;
        let now = Instant::now();
        let fresh = Known {
            discovery: Arc::new(discovery),
            keys: Arc::new(keys),
            at: now,
            keys_at: now,
        };
        let told = (fresh.discovery.clone(), fresh.keys.clone());
        *known = Some(fresh);
        Ok(told)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str, what: &str) -> Result<T, OidcError> {
        let request = self.agent.get(url).header("accept", "application/json");
        let (status, body) = blocking(move || answer(request.call())).await?;
        if status != 200 {
            return Err(unavailable(format!("for {what}, it answered {status}")));
        }
        json(&body, what)
    }
}

type Answered = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn answer(answered: Answered) -> Result<(u16, Vec<u8>), OidcError> {
    let mut response = answered.map_err(unavailable)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_ANSWER);
    Ok((status, body.read_to_vec().map_err(unavailable)?))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OidcError> + Send + 'static,
) -> Result<T, OidcError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(unavailable)?
}

fn json<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, OidcError> {
    // serde's text may quote what it read: a token.
    serde_json::from_slice(body)
        .map_err(|why| unavailable(format!("{what} cannot be read (column {})", why.column())))
}

/// The certificates of that file, PEM; none: those that the system trusts.
pub(crate) fn roots(file: Option<&std::path::Path>) -> std::io::Result<RootCerts> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let certificates: Vec<CertificateDer<'static>> = match file {
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(std::io::Error::other)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let certificates: Vec<_> = certificates
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    Ok(RootCerts::new_with_certs(&certificates))
}

/// As `application/x-www-form-urlencoded`, and in a URL's query.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
