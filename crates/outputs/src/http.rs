//! Requests with JSON.

use crate::deliver::Failure;
use crate::tls;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// How long a receiver has for one request.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of an answer that are kept, for people.
const KEPT: u64 = 2048;

/// Sends requests to one place.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    pub(crate) fn new(url: &str, authorities: Option<&Path>) -> io::Result<Client> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // What is sent has a signature or a token: it goes where it was meant to go.
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("picket/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls::requests(authorities)?)
            .build();
        Ok(Client {
            agent: config.new_agent(),
            url: url.to_owned(),
        })
    }

    /// Posts it; the beginning of the answer.
    pub(crate) fn post(
        &self,
        kind: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<String, Failure> {
        let mut request = self.agent.post(&self.url).content_type(kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send(body).map_err(Failure::for_now)?;
        let status = answer.status().as_u16();
        let mut text = Vec::new();
        // What cannot be read is no reason to send it again.
        let _ = answer
            .into_body()
            .into_reader()
            .take(KEPT)
            .read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        let told = || format!("HTTP {status} {}", text.trim()).trim().to_owned();
        match status {
            200..=299 => Ok(text),
            // Only these are about what was sent. A wrong token or path is for a person
            // to mend, and until then everything waits.
            400 | 413 | 415 | 422 => Err(Failure::for_good(told())),
            _ => Err(Failure::for_now(told())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    /// A request, as a receiver gets it.
    pub(crate) struct Got {
        pub(crate) head: Vec<String>,
        pub(crate) body: String,
    }

    impl Got {
        pub(crate) fn header(&self, name: &str) -> &str {
            let found = self.head.iter().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            });
            found.unwrap_or_default()
        }
    }

    /// A receiver that gives these answers, one a connection, and shows what it got.
    pub(crate) fn receiver(answers: Vec<(u16, &'static str)>) -> (String, Receiver<Got>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let (sender, got) = channel();
        std::thread::spawn(move || {
            for (status, answer) in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push(line.trim().to_owned());
                }
                let mut got = Got {
                    head,
                    body: String::new(),
                };
                let length = got.header("content-length").parse().unwrap();
                reader.take(length).read_to_string(&mut got.body).unwrap();
                let length = answer.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let mut stream = stream;
                stream.write_all((head + answer).as_bytes()).unwrap();
                let _ = sender.send(got);
            }
        });
        (url, got)
    }
}
