//! A resolver for tests: answers what it was told to, over UDP and TCP.

use anyhow::{Context, Result, ensure};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Addresses, in this order.
    Addresses(Vec<IpAddr>),
    /// Another name, with its own addresses after it.
    Alias(String, Vec<IpAddr>),
}

/// Name (lower case, no final dot) to answer; others do not exist.
pub type Zone = HashMap<String, Answer>;

/// One that listens until the test's process ends.
#[derive(Debug)]
pub struct Responder {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Asked,
}

/// Every name that it was asked for, in lower case.
type Asked = Arc<Mutex<HashSet<String>>>;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const NXDOMAIN: u8 = 3;
const HEADER: usize = 12;
/// A pointer to the question's name.
const SAME_NAME: u16 = 0xc00c;

impl Responder {
    /// Listens on UDP and TCP. In a network namespace, call it
    /// [inside](crate::netns::Netns::inside).
    pub fn start(address: SocketAddr, zone: Zone) -> Result<Responder> {
        let udp = UdpSocket::bind(address).with_context(|| format!("UDP {address}"))?;
        let tcp = TcpListener::bind(address).with_context(|| format!("TCP {address}"))?;
        let zone = Arc::new(zone);
        let asked = Asked::default();
        let (for_tcp, for_udp) = (Arc::clone(&zone), Arc::clone(&asked));
        let for_streams = Arc::clone(&asked);
        std::thread::spawn(move || serve_udp(&udp, &zone, &for_udp));
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let (zone, asked) = (Arc::clone(&for_tcp), Arc::clone(&for_streams));
                // A client that breaks off is its own affair, and one that never
                // ends its question keeps nobody else waiting.
                std::thread::spawn(move || serve_tcp(stream, &zone, &asked));
            }
        });
        Ok(Responder { address, asked })
    }

    /// Whether a question for that name has arrived.
    pub fn was_asked(&self, name: &str) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.contains(&name.to_lowercase())
    }

    /// The address, as text.
    pub fn ip(&self) -> String {
        self.address.ip().to_string()
    }

    /// The port, as text.
    pub fn port(&self) -> String {
        self.address.port().to_string()
    }
}

fn serve_udp(socket: &UdpSocket, zone: &Zone, asked: &Asked) {
    let mut query = [0; 1_500];
    while let Ok((length, client)) = socket.recv_from(&mut query) {
        if let Ok(reply) = reply(&query[..length], zone, asked) {
            let _ = socket.send_to(&reply, client);
        }
    }
}

fn serve_tcp(mut stream: TcpStream, zone: &Zone, asked: &Asked) -> Result<()> {
    loop {
        let mut prefix = [0; 2];
        stream.read_exact(&mut prefix)?;
        let mut query = vec![0; u16::from_be_bytes(prefix).into()];
        stream.read_exact(&mut query)?;
        let reply = reply(&query, zone, asked)?;
        let mut framed = u16::try_from(reply.len())?.to_be_bytes().to_vec();
        framed.extend(reply);
        stream.write_all(&framed)?;
    }
}

fn reply(query: &[u8], zone: &Zone, asked: &Asked) -> Result<Vec<u8>> {
    let (name, end) = read_name(query)?;
    ensure!(query.len() >= end + 4, "a short question");
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(name.clone());

    let mut answers = Vec::new();
    let mut count: u16 = 0;
    let found = zone.get(&name);
    let addresses = match found {
        None => &[][..],
        Some(Answer::Addresses(addresses)) => addresses,
        Some(Answer::Alias(target, addresses)) => {
            push_record(
                &mut answers,
                &SAME_NAME.to_be_bytes(),
                CNAME,
                &write_name(target),
            );
            count += 1;
            addresses
        }
    };
    let owner = match found {
        Some(Answer::Alias(target, _)) => write_name(target),
        _ => SAME_NAME.to_be_bytes().to_vec(),
    };
    for address in addresses {
        match (address, kind) {
            (IpAddr::V4(v4), A) => push_record(&mut answers, &owner, A, &v4.octets()),
            (IpAddr::V6(v6), AAAA) => push_record(&mut answers, &owner, AAAA, &v6.octets()),
            _ => continue,
        }
        count += 1;
    }

    let rcode = if found.is_some() { 0 } else { NXDOMAIN };
    let mut reply = query[..2].to_vec();
    // A response, recursion asked for and available.
    reply.extend([0x81, 0x80 | rcode, 0, 1]);
    reply.extend(count.to_be_bytes());
    reply.extend([0; 4]);
    reply.extend(&query[HEADER..end + 4]);
    reply.extend(answers);
    Ok(reply)
}

fn read_name(query: &[u8]) -> Result<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at).context("a short name")?);
        at += 1;
        if length == 0 {
            return Ok((labels.join("."), at));
        }
        let label = query.get(at..at + length).context("a short label")?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
}

fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        // Labels of tests are short.
        bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

fn push_record(to: &mut Vec<u8>, owner: &[u8], kind: u16, data: &[u8]) {
    to.extend(owner);
    to.extend(kind.to_be_bytes());
    // Class IN, a minute to live.
    to.extend([0, 1, 0, 0, 0, 60]);
    to.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend(data);
}
