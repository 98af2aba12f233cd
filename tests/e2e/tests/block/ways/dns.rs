//! Ways to ask a resolver for a name.

use super::Way;
use crate::look::Look::{Asked, AskedElsewhere};

const DNS: (&str, &str) = ("DNS questions", "dns.query");

pub(super) fn ways() -> Vec<Way> {
    let way = |name, act| Way::new(DNS, name, act, Asked);
    vec![
        way("sendto", "dns sendto {resolver} 53 {name} 1"),
        way(
            "sendto, the name in capitals",
            "dns sendto {resolver} 53 {NAME} 1",
        ),
        way(
            "sendto by a second thread",
            "dns sendto {resolver} 53 {name} 1",
        )
        .in_thread(),
        way("sendto, IPv6", "dns sendto ::1 53 {name} 28"),
        way(
            "sendto, IPv4 mapped into IPv6",
            "dns sendto ::ffff:{resolver} 53 {name} 1",
        ),
        way("sendmsg", "dns sendmsg {resolver} 53 {name} 1"),
        way("sendmmsg", "dns sendmmsg {resolver} 53 {name} 1"),
        way("connect, send", "dns send {resolver} 53 {name} 1"),
        way("connect, write", "dns write {resolver} 53 {name} 1"),
        way(
            "two questions in one send (UDP_SEGMENT)",
            "dns-segments {resolver} 53 {name}",
        ),
        way("io_uring sendmsg", "dns uring {resolver} 53 {name} 1"),
        way(
            "io_uring sendmsg, submitted by the kernel's thread",
            "dns uring {resolver} 53 {name} 1",
        )
        .polled(),
        way("TCP", "dns tcp {resolver} 53 {name} 1").silent(),
        way("TCP, IPv6", "dns tcp ::1 53 {name} 1").silent(),
        way(
            "TCP, the length apart",
            "dns tcp-split {resolver} 53 {name} 1",
        )
        .silent()
        .in_interrupts(),
        way("TCP, byte by byte", "dns-stream bytes {resolver} 53 {name}")
            .silent()
            .in_interrupts(),
        way(
            "TCP, the second question of a segment",
            "dns-stream second {resolver} 53 {name}",
        )
        .silent()
        .in_interrupts(),
        way("TCP, sendfile", "dns-stream sendfile {resolver} 53 {name}")
            .silent()
            .in_interrupts(),
        way("TCP fast open", "fast-open sendto {resolver} 53 dns:{name}").silent(),
        way("raw socket, IPv4", "raw plain4 {resolver} 53 dns:{name}"),
        way(
            "raw socket, in IPv4 fragments",
            "raw fragments4 {resolver} 53 dns:{name}",
        ),
        way(
            "raw socket, IPv6 fragment header",
            "raw fragment6 ::1 53 dns:{name}",
        ),
        way("AF_PACKET frame", "raw frame6 ::1 53 dns:{name}"),
        Way::new(
            DNS,
            "another port, as TLS (853) and HTTPS (443) use",
            "dns tcp {resolver} 853 {name} 1",
            AskedElsewhere,
        ),
    ]
}
