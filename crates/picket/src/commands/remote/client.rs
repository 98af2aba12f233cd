//! The API's client: one token, one server, its certificate checked.

use super::Remote;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Where `picket up` listens.
const USUAL: &str = "https://127.0.0.1:8443";
/// Thousands of rules take a while to check.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of an answer, at most.
const ANSWER: u64 = 256 << 20;

/// Talks to a server.
pub struct Client {
    agent: ureq::Agent,
    server: String,
    token: String,
}

/// Why there is no answer.
pub enum Refused {
    /// The server says why.
    Problem(Value),
    /// It did not come so far.
    Failed(anyhow::Error),
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Client {
    /// For that server, with that token.
    pub fn new(remote: &Remote) -> Result<Client> {
        let server = remote
            .server
            .clone()
            .or_else(|| variable("PICKET_SERVER"))
            .unwrap_or_else(|| USUAL.to_owned());
        let server = server.trim_end_matches('/').to_owned();
        check(&server)?;
        let token = match &remote.token_file {
            Some(file) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?,
            None => variable("PICKET_TOKEN").context(
                "no API token: give --token-file FILE, or put it into PICKET_TOKEN \
                 (POST /api/v1/users/NAME/tokens makes one)",
            )?,
        };
        let token = token.trim().to_owned();
        let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(plain && !token.is_empty(), "this is no API token");
        let ca = remote
            .ca
            .clone()
            .or_else(|| variable("PICKET_CA").map(Into::into));
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(roots(ca.as_deref())?)
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .tls_config(tls)
            .build();
        Ok(Client {
            agent: config.into(),
            server,
            token,
        })
    }

    /// Asks for something.
    pub fn get(&self, path: &str) -> Result<Value, Refused> {
        let request = self
            .agent
            .get(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token));
        self.answer(request.call())
    }

    /// Asks for something, and for the tag that a change of it needs.
    pub fn get_tagged(&self, path: &str) -> Result<(Value, String), Refused> {
        let request = self
            .agent
            .get(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token));
        let sent = request.call();
        let tag = sent.as_ref().ok().and_then(|answer| {
            let tag = answer.headers().get("etag")?.to_str().ok()?;
            Some(tag.to_owned())
        });
        Ok((self.answer(sent)?, tag.unwrap_or_default()))
    }

    /// Changes what was read with this tag.
    pub fn patch(&self, path: &str, tag: &str, body: &Value) -> Result<Value, Refused> {
        let request = self
            .agent
            .patch(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .header("if-match", tag);
        self.answer(request.send_json(body))
    }

    /// Writes what was read with this tag anew.
    pub fn put(&self, path: &str, tag: &str, body: &Value) -> Result<Value, Refused> {
        let request = self
            .agent
            .put(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .header("if-match", tag);
        self.answer(request.send_json(body))
    }

    /// Sends something about what was read with this tag.
    pub fn post_tagged(&self, path: &str, tag: &str, body: &Value) -> Result<Value, Refused> {
        let request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .header("if-match", tag);
        self.answer(request.send_json(body))
    }

    /// Sends something.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        let request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token));
        self.answer(request.send_json(body))
    }

    /// Deletes what was read with this tag.
    pub fn delete(&self, path: &str, tag: &str) -> Result<Value, Refused> {
        let request = self
            .agent
            .delete(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .header("if-match", tag);
        self.answer(request.call())
    }

    /// Asks for something of any size, which is read as it comes: no end of it is
    /// awaited for longer than anybody waits.
    pub fn download(&self, path: &str) -> Result<ureq::BodyReader<'static>, Refused> {
        let request = self
            .agent
            .get(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .config()
            .timeout_global(None)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .build();
        match request.call() {
            Ok(response) if response.status().is_success() => {
                Ok(response.into_body().into_reader())
            }
            refused => match self.answer(refused) {
                Ok(_) => Err(Refused::Failed(anyhow::anyhow!("no answer"))),
                Err(why) => Err(why),
            },
        }
    }

    fn answer(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, Refused> {
        let server = &self.server;
        let mut response = sent
            .with_context(|| format!("cannot reach {server}"))
            .map_err(Refused::Failed)?;
        let status = response.status();
        // Done, and nothing to say.
        if status == ureq::http::StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let body = response.body_mut().with_config().limit(ANSWER);
        let body: Value = body
            .read_json()
            .with_context(|| format!("{server} answers {status}, and not as Picket's API does"))
            .map_err(Refused::Failed)?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(Refused::Problem(body))
        }
    }
}

impl From<Refused> for anyhow::Error {
    fn from(refused: Refused) -> anyhow::Error {
        match refused {
            Refused::Failed(why) => why,
            Refused::Problem(problem) => {
                let detail = problem["detail"].as_str().unwrap_or("the server refused");
                anyhow::anyhow!(detail.to_owned())
            }
        }
    }
}

/// Refuses to send a token where others can read it.
fn check(server: &str) -> Result<()> {
    if server.starts_with("https://") {
        return Ok(());
    }
    let Some(rest) = server.strip_prefix("http://") else {
        bail!("--server {server}: write https://HOST:PORT");
    };
    let host = rest.split('/').next().unwrap_or_default();
    let local = ["127.0.0.1", "localhost", "[::1]"];
    let is_local = local.iter().any(|local| {
        host.strip_prefix(local)
            .is_some_and(|port| port.is_empty() || port.starts_with(':'))
    });
    ensure!(
        is_local,
        "--server {server}: the token would go through the network as it is; write https://"
    );
    Ok(())
}

fn roots(ca: Option<&Path>) -> Result<RootCerts> {
    let certificates: Vec<Certificate<'static>> = match ca {
        Some(file) => {
            let pem =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let one = Certificate::from_pem(&pem)
                .with_context(|| format!("{} holds no certificate", file.display()))?;
            vec![one.to_owned()]
        }
        None => rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect(),
    };
    Ok(RootCerts::new_with_certs(&certificates))
}

/// As a query's value: letters and digits stand for themselves.
pub fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{check, encoded};

    #[test]
    fn values_do_not_become_more_of_the_query() {
        assert_eq!(encoded("a&b=c d%ä"), "a%26b%3Dc%20d%25%C3%A4");
        assert_eq!(encoded("web-1.prod_x~"), "web-1.prod_x~");
    }

    #[test]
    fn tokens_do_not_go_through_the_network_in_the_clear() {
        for good in [
            "https://picket.example",
            "http://127.0.0.1:80",
            "http://localhost",
            "http://[::1]:1",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://picket.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "ftp://x",
            "x",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
