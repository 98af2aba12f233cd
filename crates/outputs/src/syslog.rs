//! Syslog: messages of RFC 5424 by UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS
//! (RFC 5425).
//!
//! No receiver of syslog says what it has taken: what stands in a buffer when a
//! connection breaks is lost to it. Before each batch, a connection is asked whether
//! its other end is still there.

use crate::config::{Carrier, ToSyslog};
use crate::deliver::{Failure, Refused, Way};
use crate::record::Record;
use crate::tls;
use picket_model::severity::Severity;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// How long a receiver has to take a connection, or what is written.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a message by UDP, at most: what a datagram holds (65,507 by IPv4), with room.
const MAX_DATAGRAM: usize = 65_000;
/// "security/authorization messages", private (RFC 5424, 6.2.1).
const FACILITY: u8 = 10;

pub(crate) struct Syslog {
    to: ToSyslog,
    tls: Option<Arc<ClientConfig>>,
    line: Option<Line>,
}

enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Syslog {
    pub(crate) fn open(to: &ToSyslog) -> io::Result<Syslog> {
        let tls = match to.carrier {
            Carrier::Tls => Some(tls::client(to.authorities.as_deref())?),
            Carrier::Udp | Carrier::Tcp => None,
        };
        Ok(Syslog {
            to: to.clone(),
            tls,
            line: None,
        })
    }

    fn connect(&self) -> io::Result<Line> {
        let (host, port) = (self.to.host.as_str(), self.to.port);
        let mut failed = io::Error::other(format!("{host} has no address"));
        for address in (host, port).to_socket_addrs()? {
            match self.connect_to(address) {
                Ok(line) => return Ok(line),
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    fn connect_to(&self, address: SocketAddr) -> io::Result<Line> {
        if self.to.carrier == Carrier::Udp {
            let any: SocketAddr = match address {
                SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            return Ok(Line::Udp(socket));
        }
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Some(config) = &self.tls else {
            return Ok(Line::Tcp(stream));
        };
        let name = ServerName::try_from(self.to.host.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(config), name);
        let mut stream = StreamOwned::new(connection.map_err(io::Error::other)?, stream);
        // Whom it talks to is known before anything is sent.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Line::Tls(Box::new(stream)))
    }

    fn send_all(&mut self, records: &[Record]) -> io::Result<()> {
        let line = self.line.take();
        let still_open = line.and_then(|mut line| is_open(&mut line).then_some(line));
        let mut line = match still_open {
            Some(line) => line,
            None => self.connect()?,
        };
        let write_framed = |to: &mut dyn Write| {
            let mut frames = Vec::new();
            for record in records {
                let message = message(record, &body(record));
                write!(frames, "{} {message}", message.len())?;
            }
            to.write_all(&frames)?;
            to.flush()
        };
        match &mut line {
            Line::Udp(socket) => {
                for record in records {
                    socket.send(datagram(record).as_bytes())?;
                }
            }
            Line::Tcp(stream) => write_framed(stream)?,
            Line::Tls(stream) => write_framed(stream)?,
        }
        self.line = Some(line);
        Ok(())
    }
}

/// Whether its other end is still there, as far as it has said.
fn is_open(line: &mut Line) -> bool {
    match line {
        Line::Udp(_) => true,
        Line::Tcp(stream) => {
            stream.set_nonblocking(true).is_ok()
                && nothing_ended(stream)
                && stream.set_nonblocking(false).is_ok()
        }
        Line::Tls(stream) => {
            stream.sock.set_nonblocking(true).is_ok()
                && nothing_ended(stream)
                && stream.sock.set_nonblocking(false).is_ok()
        }
    }
}

/// Reads what a receiver says, which is nobody's business, up to its end.
fn nothing_ended(stream: &mut impl Read) -> bool {
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(why) => return why.kind() == ErrorKind::WouldBlock,
        }
    }
}

impl Way for Syslog {
    fn send(&mut self, records: &[Record]) -> Result<Option<Refused>, Failure> {
        let sent = self.send_all(records);
        sent.map_err(|why| Failure::for_now(format!("{}:{}: {why}", self.to.host, self.to.port)))?;
        Ok(None)
    }
}

/// RFC 5424, table 2.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    }
}

/// `<PRI>1 TIME HOST picket - finding [picket@32473 …] BODY`. 32473 is the enterprise
/// number for examples (RFC 5612): Picket has none of its own.
fn message(record: &Record, body: &str) -> String {
    let priority = FACILITY * 8 + severity(record.severity);
    let mut text = format!("<{priority}>1 {} ", record.rfc3339());
    text.push_str(&header(&record.host, 255));
    text.push_str(" picket - finding [picket@32473");
    for (name, value) in [
        ("uid", record.id.as_str()),
        ("rule", &record.rule),
        ("severity", record.severity.name()),
        ("title", &record.title),
    ] {
        let _ = write!(text, " {name}=\"");
        for character in value.chars().filter(|character| !character.is_control()) {
            if matches!(character, '"' | '\\' | ']') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
    }
    text.push_str("] ");
    text.push_str(body);
    text
}

/// A field of the header: printable ASCII, not empty, not too long.
fn header(value: &str, max: usize) -> String {
    let kept: String = value
        .chars()
        .filter(char::is_ascii_graphic)
        .take(max)
        .collect();
    match kept.is_empty() {
        true => "-".to_owned(),
        false => kept,
    }
}

/// The JSON in ASCII: a body that is not would have to begin with a byte-order mark, which
/// readers of JSON do not take.
fn body(record: &Record) -> String {
    let json = record.ocsf.to_string();
    if json.is_ascii() {
        return json;
    }
    let mut ascii = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        // Outside a text, JSON has only ASCII.
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

/// What does not fit into a datagram goes without its JSON, and says so.
fn datagram(record: &Record) -> String {
    let whole = message(record, &body(record));
    if whole.len() <= MAX_DATAGRAM {
        return whole;
    }
    let note = json!({
        "finding_info": {"uid": record.id},
        "picket": "the finding does not fit into a datagram: ask the server for it, or use TCP",
    });
    message(record, &note.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    fn to(carrier: Carrier, port: u16) -> ToSyslog {
        ToSyslog {
            carrier,
            host: "localhost".to_owned(),
            port,
            authorities: None,
        }
    }

    /// Reads one message of a stream.
    fn framed(reader: &mut impl BufRead) -> String {
        let mut length = Vec::new();
        reader.read_until(b' ', &mut length).unwrap();
        let length = String::from_utf8(length).unwrap();
        let mut message = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut message).unwrap();
        String::from_utf8(message).unwrap()
    }

    #[test]
    fn a_message_is_as_the_rfc_has_it() {
        let mut one = record(1);
        one.title = "a \"b\" ]\\\n".to_owned();
        one.host = "w b\u{e9}".to_owned();
        let text = message(&one, "{}");
        assert_eq!(
            text,
            "<83>1 2026-11-23T02:13:20.124000Z wb picket - finding [picket@32473 uid=\"f1\" \
             rule=\"web-shell\" severity=\"high\" title=\"a \\\"b\\\" \\]\\\\\"] {}"
        );
        assert!(body(&one).is_ascii());
        let read: serde_json::Value = serde_json::from_str(&body(&one)).unwrap();
        assert_eq!(read, one.ocsf);
    }

    #[test]
    fn datagrams_carry_a_message_each_and_say_what_does_not_fit() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut to = to(Carrier::Udp, receiver.local_addr().unwrap().port());
        to.host = "127.0.0.1".to_owned();
        let mut long = record(2);
        long.ocsf["x"] = "y".repeat(MAX_DATAGRAM).into();
        Syslog::open(&to).unwrap().send(&[record(1), long]).unwrap();
        let mut buffer = vec![0; 70_000];
        let mut next = || {
            let length = receiver.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        assert!(next().contains("\"class_uid\":2004"));
        assert!(next().contains("does not fit into a datagram"));
    }

    #[test]
    fn a_stream_counts_octets_and_is_made_anew_when_the_other_end_went() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut to = to(Carrier::Tcp, listener.local_addr().unwrap().port());
        to.host = "127.0.0.1".to_owned();
        let mut syslog = Syslog::open(&to).unwrap();
        syslog.send(&[record(1), record(2)]).unwrap();
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        assert!(framed(&mut reader).contains("uid=\"f1\""));
        assert!(framed(&mut reader).contains("uid=\"f2\""));
        drop(reader);
        // The end of it is there once a read of it comes back.
        if let Some(Line::Tcp(stream)) = &mut syslog.line {
            assert_eq!(stream.read(&mut [0]).unwrap_or_default(), 0);
        }
        syslog.send(&[record(3)]).unwrap();
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        assert!(framed(&mut reader).contains("uid=\"f3\""));
        drop((listener, reader));
    }

    #[test]
    fn encrypted_it_goes_to_nobody_but_the_one_that_was_meant() {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authorities = folder.path().join("ca.pem");
        std::fs::write(&authorities, cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![cert.der().clone()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = std::thread::spawn(move || {
            let serve = |stream| {
                let connection = rustls::ServerConnection::new(Arc::new(config.clone())).unwrap();
                BufReader::new(StreamOwned::new(connection, stream))
            };
            // The first one does not believe it, and says nothing.
            let mut first = serve(listener.accept().unwrap().0);
            assert!(first.read(&mut [0]).is_err());
            framed(&mut serve(listener.accept().unwrap().0))
        });
        let mut to = to(Carrier::Tls, port);
        let stranger = Syslog::open(&to).unwrap().send(&[record(1)]).unwrap_err();
        assert!(
            stranger.again && stranger.why.contains("certificate"),
            "{stranger:?}"
        );
        to.authorities = Some(authorities);
        Syslog::open(&to).unwrap().send(&[record(2)]).unwrap();
        assert!(receiver.join().unwrap().contains("uid=\"f2\""));
    }
}
