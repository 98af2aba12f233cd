//! Ways to connect, to send a datagram, and to listen.

use super::Way;
use crate::look::Look::{self, Accepted, Bound, Listening, Received};

const TCP: (&str, &str) = ("TCP connections", "network.connect");
const UDP: (&str, &str) = ("UDP datagrams", "network.connect");
const LISTEN: (&str, &str) = ("Listening TCP sockets", "network.listen");
const BIND: (&str, &str) = ("UDP sockets with an address", "network.listen");

const V4: &str = "127.0.0.1";
const V6: &str = "::1";

pub(super) fn ways() -> Vec<Way> {
    let mut ways = tcp();
    ways.extend(udp());
    ways.extend(raw());
    ways.extend(listen());
    ways
}

fn tcp() -> Vec<Way> {
    let way = |name, act, at| Way::new(TCP, name, act, Accepted(at));
    vec![
        way("connect, IPv4", "connect tcp 127.0.0.1 {port}", V4),
        way("connect, IPv6", "connect tcp ::1 {port}", V6),
        way(
            "connect, IPv4 mapped into IPv6",
            "connect tcp ::ffff:127.0.0.1 {port}",
            V4,
        ),
        way(
            "connect, not blocking",
            "connect tcp 127.0.0.1 {port} nonblock",
            V4,
        ),
        way(
            "connect by a second thread",
            "connect tcp 127.0.0.1 {port}",
            V4,
        )
        .in_thread(),
        way(
            "connect, 32-bit system call",
            "old connect 127.0.0.1 {port}",
            V4,
        ),
        way(
            "fast open: sendto with MSG_FASTOPEN",
            "fast-open sendto 127.0.0.1 {port} text:hello",
            V4,
        ),
        way(
            "fast open, IPv6",
            "fast-open sendto ::1 {port} text:hello",
            V6,
        ),
        way(
            "fast open: TCP_FASTOPEN_CONNECT, write",
            "fast-open connect 127.0.0.1 {port} text:hello",
            V4,
        ),
        way("MPTCP", "mptcp 127.0.0.1 {port}", V4),
        way("io_uring connect", "uring-connect 127.0.0.1 {port}", V4),
        way(
            "io_uring connect, IPv4 mapped into IPv6",
            "uring-connect ::ffff:127.0.0.1 {port}",
            V4,
        ),
        way(
            "io_uring connect, submitted by the kernel's thread",
            "uring-connect 127.0.0.1 {port}",
            V4,
        )
        .polled(),
        way(
            "io_uring sendmsg with MSG_FASTOPEN",
            "uring-fast-open 127.0.0.1 {port} hello",
            V4,
        ),
    ]
}

fn udp() -> Vec<Way> {
    let way = |name, act, at| Way::new(UDP, name, act, Received(at));
    vec![
        way("sendto, IPv4", "send sendto 127.0.0.1 {port} hello", V4),
        way("sendto, IPv6", "send sendto ::1 {port} hello", V6),
        way(
            "sendto, IPv4 mapped into IPv6",
            "send sendto ::ffff:127.0.0.1 {port} hello",
            V4,
        ),
        way(
            "sendto by a second thread",
            "send sendto 127.0.0.1 {port} hello",
            V4,
        )
        .in_thread(),
        way("sendmsg", "send sendmsg 127.0.0.1 {port} hello", V4),
        way("sendmmsg", "send sendmmsg 127.0.0.1 {port} hello", V4),
        way(
            "connect, send",
            "send-connected send 127.0.0.1 {port} hello",
            V4,
        ),
        way(
            "connect, write, IPv6",
            "send-connected write ::1 {port} hello",
            V6,
        ),
        way(
            "io_uring send to an address",
            "uring-send send 127.0.0.1 {port} hello",
            V4,
        ),
        way(
            "io_uring sendmsg",
            "uring-send sendmsg 127.0.0.1 {port} hello",
            V4,
        ),
        way(
            "io_uring sendmsg, IPv6, submitted by the kernel's thread",
            "uring-send sendmsg ::1 {port} hello",
            V6,
        )
        .polled(),
    ]
}

fn raw() -> Vec<Way> {
    let way = |name, act, at| Way::new(UDP, name, act, Received(at));
    vec![
        way(
            "raw socket, IPv4",
            "raw plain4 127.0.0.1 {port} text:hello",
            V4,
        ),
        way(
            "raw socket, IPv4 header of its own",
            "raw header4 127.0.0.1 {port} text:hello",
            V4,
        ),
        way(
            "raw socket, in IPv4 fragments",
            "raw fragments4 127.0.0.1 {port} text:hello",
            V4,
        ),
        way("raw socket, IPv6", "raw plain6 ::1 {port} text:hello", V6),
        way(
            "raw socket, IPv6 header of its own",
            "raw header6 ::1 {port} text:hello",
            V6,
        ),
        way(
            "raw socket, IPv6 fragment header",
            "raw fragment6 ::1 {port} text:hello",
            V6,
        ),
        way("AF_PACKET frame", "raw frame6 ::1 {port} text:hello", V6),
    ]
}

fn listen() -> Vec<Way> {
    let way = |kind, name, act, look: Look| Way::new(kind, name, act, look);
    vec![
        way(
            LISTEN,
            "bind, listen, IPv4",
            "listen 127.0.0.1 0",
            Listening,
        ),
        way(LISTEN, "bind, listen, IPv6", "listen ::1 0", Listening),
        way(
            LISTEN,
            "bind, listen by a second thread",
            "listen 127.0.0.1 0",
            Listening,
        )
        .in_thread(),
        way(
            LISTEN,
            "listen without bind, IPv4",
            "listen-unbound 4",
            Listening,
        ),
        way(
            LISTEN,
            "listen without bind, IPv6",
            "listen-unbound 6",
            Listening,
        ),
        way(LISTEN, "MPTCP", "mptcp-listen 127.0.0.1 0", Listening),
        way(
            LISTEN,
            "io_uring bind, listen",
            "uring-bind tcp 127.0.0.1 0",
            Listening,
        ),
        way(BIND, "bind, IPv4", "bind udp 127.0.0.1 0", Bound),
        way(BIND, "bind, IPv6", "bind udp ::1 0", Bound),
        way(
            BIND,
            "bind by a second thread",
            "bind udp 127.0.0.1 0",
            Bound,
        )
        .in_thread(),
        way(BIND, "io_uring bind", "uring-bind udp 127.0.0.1 0", Bound),
    ]
}
