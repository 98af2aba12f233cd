//! DNS questions and answers, through a resolver of the test's own on loopback.

use crate::watch::{Watch, skipped};
use picket_model::record::{Body, Protocol, Record};
use picket_model::{Datum, EventClass};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::JoinHandle;

const TXT: u16 = 16;
const A: u16 = 1;

fn question(name: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// The question, with one A record.
fn answer(question: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] |= 0x80;
    message[7] = 1;
    message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
    message.extend_from_slice(&address.octets());
    message
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// An address of its own for each test: loopback is 127.0.0.0/8.
fn resolver(last: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 83, 0, last), 53))
}

fn asked(watch: &mut Watch, name: &str, resolver: SocketAddr) -> (Protocol, u16, Record) {
    watch.wait(
        &format!("the question for {name}"),
        |record| match &record.body {
            Body::DnsQuery {
                protocol,
                resolver: to,
                name: Datum::Known(other),
                qtype: Datum::Known(qtype),
            } if &**other == name && *to == resolver => {
                assert_eq!(record.task.key.pid, std::process::id());
                Some((*protocol, *qtype, record.clone()))
            }
            _ => None,
        },
    )
}

#[test]
fn questions_and_answers_over_udp() {
    let Some(mut watch) = Watch::classes([EventClass::DnsQuery]) else {
        return;
    };
    let to = resolver(1);
    let Ok(server) = UdpSocket::bind(to) else {
        return skipped("port 53 is taken");
    };
    let thread: JoinHandle<()> = std::thread::spawn(move || {
        for _ in 0..2 {
            let mut buffer = [0; 512];
            let (len, from) = server.recv_from(&mut buffer).expect("a question");
            server
                .send_to(&answer(&buffer[..len], Ipv4Addr::new(192, 0, 2, 9)), from)
                .expect("answer");
        }
    });
    let mut buffer = [0; 512];
    let loose = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    loose
        .send_to(&question("LOOSE.picket.example", TXT), to)
        .expect("send");
    loose.recv(&mut buffer).expect("answer");
    let connected = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    connected.connect(to).expect("connect");
    connected
        .send(&question("connected.picket.example", A))
        .expect("send");
    connected.recv(&mut buffer).expect("answer");
    thread.join().expect("server");

    let (protocol, qtype, _) = asked(&mut watch, "loose.picket.example", to);
    assert_eq!((protocol, qtype), (Protocol::Udp, TXT));
    let (_, qtype, _) = asked(&mut watch, "connected.picket.example", to);
    assert_eq!(qtype, A);
    watch.wait("the answer", |record| match &record.body {
        Body::DnsAnswer { name, addresses } if &**name == "connected.picket.example" => {
            assert_eq!(addresses, &[IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9))]);
            assert_eq!(record.task.key.pid, std::process::id());
            Some(())
        }
        _ => None,
    });
}

#[test]
fn what_is_no_dns_is_told_with_an_unknown_name() {
    let Some(mut watch) = Watch::classes([EventClass::DnsQuery]) else {
        return;
    };
    let to = resolver(2);
    let Ok(_server) = UdpSocket::bind(to) else {
        return skipped("port 53 is taken");
    };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    socket.send_to(b"?", to).expect("send");
    watch.wait("the packet", |record| match &record.body {
        Body::DnsQuery {
            resolver,
            name: Datum::Unknown,
            qtype: Datum::Unknown,
            ..
        } if *resolver == to => Some(()),
        _ => None,
    });
}

#[test]
fn questions_over_tcp_however_they_are_cut() {
    let Some(mut watch) = Watch::classes([EventClass::DnsQuery, EventClass::NetworkConnect]) else {
        return;
    };
    let to = resolver(3);
    let Ok(server) = TcpListener::bind(to) else {
        return skipped("port 53 is taken");
    };
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().expect("accept");
        let mut count = 0;
        loop {
            let mut len = [0; 2];
            if stream.read_exact(&mut len).is_err() {
                return count;
            }
            let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
            stream.read_exact(&mut message).expect("the message");
            stream
                .write_all(&prefixed(&answer(&message, Ipv4Addr::new(192, 0, 2, 10))))
                .expect("answer");
            count += 1;
        }
    });
    let mut stream = TcpStream::connect(to).expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    let names = [
        "whole.example",
        "split.example",
        "one.example",
        "two.example",
        "bytes.example",
    ];
    // In one piece.
    stream
        .write_all(&prefixed(&question(names[0], A)))
        .expect("write");
    // The length in a segment of its own, as glibc does.
    let message = question(names[1], TXT);
    stream
        .write_all(&(message.len() as u16).to_be_bytes())
        .expect("write");
    stream.write_all(&message).expect("write");
    // Two in one segment.
    stream
        .write_all(
            &[
                prefixed(&question(names[2], A)),
                prefixed(&question(names[3], A)),
            ]
            .concat(),
        )
        .expect("write");
    // The length's bytes apart.
    let message = prefixed(&question(names[4], A));
    stream.write_all(&message[..1]).expect("write");
    stream.write_all(&message[1..2]).expect("write");
    stream.write_all(&message[2..]).expect("write");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("shutdown");
    assert_eq!(thread.join().expect("server"), names.len());
    for name in names {
        let (protocol, ..) = asked(&mut watch, name, to);
        assert_eq!(protocol, Protocol::Tcp);
    }
    watch.wait("the answer", |record| match &record.body {
        Body::DnsAnswer { name, addresses } if &**name == "whole.example" => {
            assert_eq!(addresses, &[IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10))]);
            Some(())
        }
        _ => None,
    });
    let questions = watch.seen.iter().filter(
        |record| matches!(&record.body, Body::DnsQuery { resolver, .. } if *resolver == to),
    );
    assert_eq!(questions.count(), names.len());
}
