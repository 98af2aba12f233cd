//! Somebody else's server: takes requests, and answers as it was told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A request that came.
#[derive(Debug)]
pub struct Request {
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// The server.
pub struct Receiver {
    pub address: SocketAddr,
    inbox: Inbox<Request>,
}

impl Receiver {
    /// Answers with these statuses, in order, and with the last one from then on.
    pub fn start(statuses: &'static [u16]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, inbox) = channel();
        std::thread::spawn(move || {
            let last = statuses.last().copied().unwrap_or(200);
            let statuses = statuses.iter().copied().chain(std::iter::repeat(last));
            for (stream, status) in listener.incoming().zip(statuses) {
                if !take(stream.unwrap(), status, &sender) {
                    return;
                }
            }
        });
        Receiver { address, inbox }
    }

    /// The next request.
    pub fn next(&self) -> Request {
        let next = self.inbox.recv_timeout(PATIENCE);
        next.expect("a request")
    }

    /// Whether none has come.
    pub fn is_silent(&self) -> bool {
        self.inbox.try_recv().is_err()
    }
}

fn take(stream: TcpStream, status: u16, to: &Sender<Request>) -> bool {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return true;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length");
    let length = length.map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = Request {
        line: line.trim().to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    };
    let sent = to.send(request).is_ok();
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let _ = reader.get_mut().write_all(answer.as_bytes());
    sent
}

/// HMAC-SHA256 as RFC 2104 writes it, so that what is checked is not what made it.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    assert!(key.len() <= BLOCK);
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message);
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().to_vec()
}

/// Whether a request is signed with a secret, as Standard Webhooks has it.
pub fn is_signed(request: &Request, secret: &str) -> bool {
    let header = |name: &str| request.headers[name].as_str();
    let signed = format!(
        "{}.{}.{}",
        header("webhook-id"),
        header("webhook-timestamp"),
        request.body
    );
    let wanted = format!(
        "v1,{}",
        STANDARD.encode(hmac(secret.as_bytes(), signed.as_bytes()))
    );
    header("webhook-signature") == wanted
}
