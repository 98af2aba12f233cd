//! Connections and listeners.

use crate::watch::Watch;
use picket_model::record::{Body, Connect, Protocol, Record};
use picket_model::{Datum, EventClass};
use picket_probe::ProbeConfig;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

fn mine(record: &Record) -> bool {
    record.task.key.pid == std::process::id()
}

fn connect_to(watch: &mut Watch, remote: SocketAddr, protocol: Protocol) -> Connect {
    watch.wait(
        &format!("the connect to {remote}"),
        |record| match &record.body {
            Body::Connect(connect)
                if mine(record) && connect.remote == remote && connect.protocol == protocol =>
            {
                Some(connect.clone())
            }
            _ => None,
        },
    )
}

fn outcome_of(watch: &mut Watch, cookie: u64) -> i32 {
    watch.wait("the outcome", |record| match record.body {
        Body::ConnectOutcome {
            cookie: other,
            errno,
        } if other == cookie => {
            assert!(mine(record));
            Some(errno)
        }
        _ => None,
    })
}

#[test]
fn tcp_connects_are_told_with_their_outcome() {
    let Some(mut watch) = Watch::classes([EventClass::NetworkConnect]) else {
        return;
    };
    for local in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let listener = TcpListener::bind((local, 0)).expect("listen");
        let there = listener.local_addr().expect("address");
        let _stream = TcpStream::connect(there).expect("connect");
        let connect = connect_to(&mut watch, there, Protocol::Tcp);
        assert_eq!(connect.errno, Datum::Unknown);
        assert_eq!(outcome_of(&mut watch, connect.cookie), 0);
        drop(listener);
        TcpStream::connect(there).expect_err("nobody listens");
        let refused = watch.wait("the refused connect", |record| match &record.body {
            Body::Connect(other) if other.remote == there && other.cookie != connect.cookie => {
                Some(other.clone())
            }
            _ => None,
        });
        assert_eq!(outcome_of(&mut watch, refused.cookie), libc::ECONNREFUSED);
    }
}

#[test]
fn a_mapped_address_is_ipv4() {
    let Some(mut watch) = Watch::classes([EventClass::NetworkConnect]) else {
        return;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let there = listener.local_addr().expect("address");
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    let _stream = TcpStream::connect((mapped, there.port())).expect("connect");
    let connect = connect_to(&mut watch, there, Protocol::Tcp);
    assert_eq!(outcome_of(&mut watch, connect.cookie), 0);
}

#[test]
fn udp_is_told_connected_and_unconnected_once() {
    let Some(mut watch) = Watch::classes([EventClass::NetworkConnect]) else {
        return;
    };
    for local in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let there = UdpSocket::bind((local, 0)).expect("bind");
        let remote = there.local_addr().expect("address");
        let connected = UdpSocket::bind((local, 0)).expect("bind");
        connected.connect(remote).expect("connect");
        let connect = connect_to(&mut watch, remote, Protocol::Udp);
        assert_eq!(connect.errno, Datum::Known(0));
        assert_eq!(
            connect.local,
            Some(connected.local_addr().expect("address"))
        );

        let loose = UdpSocket::bind((local, 0)).expect("bind");
        for _ in 0..50 {
            loose.send_to(b"x", remote).expect("send");
        }
        let other = UdpSocket::bind((local, 0)).expect("bind");
        let last = other.local_addr().expect("address");
        loose.send_to(b"x", last).expect("send");
        connect_to(&mut watch, last, Protocol::Udp);
        let sends = watch.seen.iter().filter(|record| match &record.body {
            Body::Connect(other) => other.remote == remote && other.cookie != connect.cookie,
            _ => false,
        });
        assert_eq!(sends.count(), 1);
    }
}

#[test]
fn a_connect_that_fails_at_once_is_told_when_asked_for() {
    let config = ProbeConfig {
        classes: [EventClass::NetworkConnect].into_iter().collect(),
        connect_status: true,
        ..ProbeConfig::default()
    };
    let Some(mut watch) = Watch::start(config) else {
        return;
    };
    if !watch.probes.unavailable().is_empty() {
        return;
    }
    // No TCP connection can go to a multicast address.
    let nowhere = SocketAddr::from((Ipv4Addr::new(224, 0, 0, 251), 9));
    let error =
        TcpStream::connect_timeout(&nowhere, Duration::from_secs(5)).expect_err("multicast");
    let connect = connect_to(&mut watch, nowhere, Protocol::Tcp);
    assert_eq!(
        Some(outcome_of(&mut watch, connect.cookie)),
        error.raw_os_error()
    );
}

#[test]
fn listeners_are_told_with_their_real_port() {
    let Some(mut watch) = Watch::classes([EventClass::NetworkListen]) else {
        return;
    };
    for local in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    ] {
        let tcp = TcpListener::bind((local, 0))
            .expect("listen")
            .local_addr()
            .expect("address");
        let udp = UdpSocket::bind((local, 0))
            .expect("bind")
            .local_addr()
            .expect("address");
        for (address, wanted) in [(tcp, Protocol::Tcp), (udp, Protocol::Udp)] {
            watch.wait(
                &format!("the listener at {address}"),
                |record| match record.body {
                    Body::Listen { protocol, local } => {
                        (mine(record) && protocol == wanted && local == address).then_some(())
                    }
                    _ => None,
                },
            );
        }
    }
}
