//! One indicator, and how it is told from its text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::Domain;
use crate::limits::{WIDEST_V4, WIDEST_V6};

/// Why a text is no indicator that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No host name.
    #[error("not a host name")]
    Domain,
    /// No address.
    #[error("not an address or prefix")]
    Address,
    /// No hash by length or digits.
    #[error("not a SHA-256, SHA-1 or MD5 in hex")]
    Hash,
    /// No URL with a host.
    #[error("not a URL with a host")]
    Url,
    /// A prefix or domain that holds too much of the internet.
    #[error("too wide to be an indicator")]
    Wide,
    /// Loopback, unspecified, or broadcast.
    #[error("an address of the host itself or of everyone")]
    Local,
    /// The hash of no bytes, which feeds list by mistake, and every empty file has.
    #[error("the hash of an empty file")]
    Empty,
    /// The line or object is longer than the limit.
    #[error("too long")]
    Long,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Text,
    /// JSON that is not an object of the expected shape.
    #[error("not an object as the format has it")]
    Shape,
    /// The column is missing in this line.
    #[error("the column is missing")]
    Column,
    /// A time that cannot be read.
    #[error("not a time")]
    Time,
}

/// An address prefix with its host bits cleared; a single address is a /32 or /128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Prefix {
    /// The network's number, and bits.
    V4(u32, u8),
    /// The network's number, and bits.
    V6(u128, u8),
}

/// What a feed lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Indicator {
    /// SHA-256 of a file.
    Sha256([u8; 32]),
    /// SHA-1 of a file.
    Sha1([u8; 20]),
    /// MD5 of a file.
    Md5([u8; 16]),
    /// An address or prefix.
    Prefix(Prefix),
    /// A domain, with its subdomains.
    Domain(Domain),
}

impl Indicator {
    /// Tells what `text` is: a hash, an address or prefix, a URL (its host is
    /// taken), else a domain. `hxxp` and `[.]`, as reports write them, are undone.
    ///
    /// # Errors
    /// The [`Fault`] of the kind that it looks most like.
    pub fn detect(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        let undone;
        let text = if text.contains("[.]") {
            undone = text.replace("[.]", ".");
            &undone
        } else {
            text
        };
        let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex && text.len() >= 32 {
            return Self::hash(text);
        }
        if text.contains("://") {
            return Self::url(text);
        }
        if looks_like_address(text) {
            return Self::prefix(text);
        }
        Domain::new(text).map(Self::Domain)
    }

    /// A hash by its number of hex digits.
    ///
    /// # Errors
    /// [`Fault::Hash`], or [`Fault::Empty`] for the hash of an empty file.
    pub fn hash(text: &str) -> Result<Self, Fault> {
        let hash = match text.len() {
            64 => unhex(text).map(Self::Sha256),
            40 => unhex(text).map(Self::Sha1),
            32 => unhex(text).map(Self::Md5),
            _ => None,
        };
        let hash = hash.ok_or(Fault::Hash)?;
        if EMPTY.iter().any(|empty| text.eq_ignore_ascii_case(empty)) {
            return Err(Fault::Empty);
        }
        Ok(hash)
    }

    /// An address, with or without `/bits`, of either family.
    ///
    /// # Errors
    /// [`Fault::Address`], [`Fault::Wide`], [`Fault::Local`].
    pub fn prefix(text: &str) -> Result<Self, Fault> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => {
                let bits: u8 = bits.parse().map_err(|_| Fault::Address)?;
                (address, Some(bits))
            }
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| Fault::Address)?;
        // An IPv4 address in IPv6's clothes is what the kernel connects to as IPv4.
        let (address, bits) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(inner)) => {
                let bits = bits.map(|bits| bits.checked_sub(96).ok_or(Fault::Wide));
                (IpAddr::V4(inner), bits.transpose()?)
            }
            (address, _) => (address, bits),
        };
        let prefix = match address {
            IpAddr::V4(address) => {
                let bits = bits.unwrap_or(32);
                check_bits(bits, 32, WIDEST_V4)?;
                let net = u32::from(address) & (u32::MAX << (32 - bits));
                let first = Ipv4Addr::from(net);
                if first.is_loopback() || first.is_unspecified() || first.is_broadcast() {
                    return Err(Fault::Local);
                }
                Prefix::V4(net, bits)
            }
            IpAddr::V6(address) => {
                let bits = bits.unwrap_or(128);
                check_bits(bits, 128, WIDEST_V6)?;
                let net = u128::from(address) & (u128::MAX << (128 - bits));
                if net <= u128::from(Ipv6Addr::LOCALHOST) {
                    return Err(Fault::Local);
                }
                Prefix::V6(net, bits)
            }
        };
        Ok(Self::Prefix(prefix))
    }

    /// The host of a URL, as an address or domain.
    ///
    /// # Errors
    /// [`Fault::Url`], or what is wrong with the host.
    pub fn url(text: &str) -> Result<Self, Fault> {
        let (_, rest) = text.split_once("://").ok_or(Fault::Url)?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let authority = &rest[..end];
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        if let Some(v6) = host.strip_prefix('[') {
            let (address, _) = v6.split_once(']').ok_or(Fault::Url)?;
            return Self::host(address);
        }
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        if host.is_empty() {
            return Err(Fault::Url);
        }
        Self::host(host)
    }

    fn host(host: &str) -> Result<Self, Fault> {
        if host.parse::<IpAddr>().is_ok() {
            return Self::prefix(host);
        }
        Domain::new(host).map(Self::Domain)
    }
}

const EMPTY: [&str; 3] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "d41d8cd98f00b204e9800998ecf8427e",
];

fn looks_like_address(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or_default();
    address.contains(':')
        || text.contains('/')
        || address
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn check_bits(bits: u8, most: u8, least: u8) -> Result<(), Fault> {
    if bits > most {
        return Err(Fault::Address);
    }
    if bits < least {
        return Err(Fault::Wide);
    }
    Ok(())
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut pairs = text.as_bytes().chunks_exact(2);
    for byte in &mut out {
        let pair = pairs.next()?;
        let high = char::from(*pair.first()?).to_digit(16)?;
        let low = char::from(*pair.get(1)?).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(out)
}
