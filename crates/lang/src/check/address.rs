//! IP addresses and networks.

use crate::ir::IpNetwork;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text is no network.
#[derive(Debug, PartialEq)]
pub(super) enum NotANetwork {
    /// It is neither an address nor address/prefix.
    Syntax,
    /// Bits are set behind the prefix; with them cleared it is this one.
    HostBits(IpNetwork),
}

/// An address, or an address with a prefix length. An IPv4-mapped IPv6 address
/// is its IPv4 address, as in events.
pub(super) fn network(text: &str) -> Result<IpNetwork, NotANetwork> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| NotANetwork::Syntax)?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => full,
        Some(digits) => {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let prefix = digits
                .parse()
                .ok()
                .filter(|&prefix: &u8| plain && prefix <= full);
            prefix.ok_or(NotANetwork::Syntax)?
        }
    };
    let (address, prefix) = match address.to_canonical() {
        IpAddr::V4(v4) if full == 128 && prefix >= 96 => (IpAddr::V4(v4), prefix - 96),
        _ => (address, prefix),
    };
    let base = masked(address, prefix);
    let network = IpNetwork { base, prefix };
    if base == address {
        Ok(network)
    } else {
        Err(NotANetwork::HostBits(network))
    }
}

/// A single address, as it stands in events.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
        let show = |text: &str| {
            network(text).map(|network| format!("{}/{}", network.base, network.prefix))
        };
        assert_eq!(show("10.0.0.0/8").as_deref(), Ok("10.0.0.0/8"));
        assert_eq!(show("198.51.100.7").as_deref(), Ok("198.51.100.7/32"));
        assert_eq!(show("0.0.0.0/0").as_deref(), Ok("0.0.0.0/0"));
        assert_eq!(show("fe80::/10").as_deref(), Ok("fe80::/10"));
        assert_eq!(show("::ffff:10.0.0.0/104").as_deref(), Ok("10.0.0.0/8"));
        assert_eq!(show("::ffff:10.0.0.1").as_deref(), Ok("10.0.0.1/32"));
        for bad in [
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "",
            "10.0.0.0/",
            "host",
        ] {
            assert_eq!(network(bad), Err(NotANetwork::Syntax), "{bad}");
        }
        let base = IpAddr::from([10, 0, 0, 0]);
        assert_eq!(
            network("10.0.0.5/8"),
            Err(NotANetwork::HostBits(IpNetwork { base, prefix: 8 }))
        );
    }
}
