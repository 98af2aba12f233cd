//! Cutting the host off: a table of its own in nftables, in one transaction.
//!
//! What drops packets looks into a set whose elements the kernel itself forgets when
//! the lease is over (nft(8), "timeout"): a host whose sensor has died comes back on
//! time all the same. The table is taken out by the sensor then, or at its next start.
//!
//! Nothing else of the host's rules is touched. At its priority, before all that comes
//! with distributions, an `accept` decides only for this table: what the host's own
//! rules drop stays dropped.

use crate::fleet::ServerUrl;
use picket_proto::order::network;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, ToSocketAddrs};
use std::process::{Command, Stdio};

/// The table.
const TABLE: &str = "picket_isolation";
/// Before connection tracking (-200) and every usual filter (0).
const PRIORITY: i32 = -350;

/// Cuts the host off for so many seconds, or sets anew for how long.
pub(super) fn cut_off(
    server: &ServerUrl,
    allow: &[String],
    dns: bool,
    seconds: u32,
) -> Result<Value, String> {
    let addresses = addresses(server)?;
    nft(&table(&addresses, server.port(), allow, dns, seconds)?)?;
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Ok(json!({
        "server": shown,
        "port": server.port(),
        "allow": allow,
        "dns": dns,
        "seconds": seconds,
    }))
}

/// Lets it back.
pub(super) fn end() -> Result<(), String> {
    // Made first, so that it is no error if it is not there.
    nft(&format!("table inet {TABLE}\ndelete table inet {TABLE}\n"))
}

/// Where the server is now: its name may not be resolved once the host is cut off.
fn addresses(server: &ServerUrl) -> Result<Vec<IpAddr>, String> {
    let found = (server.host(), server.port()).to_socket_addrs();
    let found = found.map_err(|why| {
        format!("the server's address is not known, and it must stay reachable: {why}")
    })?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err("the server has no address, and it must stay reachable".to_owned());
    }
    Ok(addresses)
}

/// The table, as nft reads it.
fn table(
    server: &[IpAddr],
    port: u16,
    allow: &[String],
    dns: bool,
    seconds: u32,
) -> Result<String, String> {
    let (mut outward, mut inward) = (String::new(), String::new());
    let mut pair = |family: &str, peer: &str, out: &str, back: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(outward, "    {family} daddr {peer}{out} accept");
        let _ = writeln!(inward, "    {family} saddr {peer}{back} accept");
    };
    for address in server {
        pair(
            family(address),
            &address.to_string(),
            &format!(" tcp dport {port}"),
            &format!(" tcp sport {port}"),
        );
    }
    for text in allow {
        let (address, length) = network(text)?;
        pair(family(&address), &format!("{address}/{length}"), "", "");
    }
    if dns {
        outward.push_str("    meta l4proto { tcp, udp } th dport 53 accept\n");
        inward.push_str("    meta l4proto { tcp, udp } th sport 53 accept\n");
    }
    // Without neighbours no IPv6 address is reached (RFC 4861); IPv4 has ARP, which does
    // not come by here.
    let neighbours = "    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, \
                      nd-router-advert } accept\n";
    let cut = "    meta nfproto @cut_off drop\n";
    Ok(format!(
        "table inet {TABLE}\n\
         delete table inet {TABLE}\n\
         table inet {TABLE} {{\n\
         \x20 set cut_off {{\n    typeof meta nfproto\n    flags timeout\n    \
         elements = {{ ipv4 timeout {seconds}s, ipv6 timeout {seconds}s }}\n  }}\n\
         \x20 chain output {{\n    type filter hook output priority {PRIORITY}; policy accept;\n    \
         oif lo accept\n{outward}{neighbours}{cut}  }}\n\
         \x20 chain input {{\n    type filter hook input priority {PRIORITY}; policy accept;\n    \
         iif lo accept\n{inward}{neighbours}{cut}  }}\n\
         \x20 chain forward {{\n    type filter hook forward priority {PRIORITY}; policy accept;\n{cut}  }}\n\
         }}\n"
    ))
}

fn family(address: &IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ip6",
    }
}

fn nft(script: &str) -> Result<(), String> {
    let started = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|why| {
        format!("nft cannot be run ({why}): the package nftables has it; nothing was changed")
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it does not read all of it, its own words say why.
        let _ = stdin.write_all(script.as_bytes());
    }
    let ended = child
        .wait_with_output()
        .map_err(|why| format!("nft: {why}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let said: String = said.chars().take(500).collect();
    Err(format!("nft refused it, and nothing was changed: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_stays_reachable_and_the_rest_is_dropped_for_so_long() {
        let server = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let allow = ["10.0.0.0/8".to_owned()];
        let text = table(&server, 8444, &allow, true, 60).unwrap();
        let expected = "\
table inet picket_isolation
delete table inet picket_isolation
table inet picket_isolation {
  set cut_off {
    typeof meta nfproto
    flags timeout
    elements = { ipv4 timeout 60s, ipv6 timeout 60s }
  }
  chain output {
    type filter hook output priority -350; policy accept;
    oif lo accept
    ip daddr 192.0.2.1 tcp dport 8444 accept
    ip6 daddr 2001:db8::1 tcp dport 8444 accept
    ip daddr 10.0.0.0/8 accept
    meta l4proto { tcp, udp } th dport 53 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept
    meta nfproto @cut_off drop
  }
  chain input {
    type filter hook input priority -350; policy accept;
    iif lo accept
    ip saddr 192.0.2.1 tcp sport 8444 accept
    ip6 saddr 2001:db8::1 tcp sport 8444 accept
    ip saddr 10.0.0.0/8 accept
    meta l4proto { tcp, udp } th sport 53 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept
    meta nfproto @cut_off drop
  }
  chain forward {
    type filter hook forward priority -350; policy accept;
    meta nfproto @cut_off drop
  }
}
";
        assert_eq!(text, expected);
    }
}
