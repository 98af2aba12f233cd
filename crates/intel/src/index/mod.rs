//! All feeds' indicators in one place, for exact look-up.
//!
//! Everything is kept whole, so there are no false positives to resolve: hashes
//! in sorted arrays, prefixes in a sorted array per length, domains with their
//! text in hashed buckets. See docs/intel.md for what that costs.

mod domains;
mod hashes;
mod prefixes;

use std::net::IpAddr;

use crate::indicator::{Indicator, Prefix};
use crate::limits::INDICATORS;

/// Which feed listed an indicator: its place in the order in which the feeds were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub u16);

/// The index holds as many indicators as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {INDICATORS} indicators")]
pub struct Full;

/// Collects indicators. One that several feeds list is kept for the feed with
/// the lowest id: give the surest feed the lowest.
#[derive(Debug, Default)]
pub struct Builder {
    sha256: Vec<([u8; 32], FeedId)>,
    sha1: Vec<([u8; 20], FeedId)>,
    md5: Vec<([u8; 16], FeedId)>,
    v4: Vec<(u8, u32, FeedId)>,
    v6: Vec<(u8, u128, FeedId)>,
    domains: domains::Builder,
    count: usize,
}

impl Builder {
    /// Adds an indicator of a feed.
    ///
    /// # Errors
    /// [`Full`] at the limit of indicators.
    pub fn add(&mut self, feed: FeedId, indicator: &Indicator) -> Result<(), Full> {
        if self.count == INDICATORS {
            return Err(Full);
        }
        match indicator {
            Indicator::Sha256(hash) => self.sha256.push((*hash, feed)),
            Indicator::Sha1(hash) => self.sha1.push((*hash, feed)),
            Indicator::Md5(hash) => self.md5.push((*hash, feed)),
            Indicator::Prefix(Prefix::V4(net, bits)) => self.v4.push((*bits, *net, feed)),
            Indicator::Prefix(Prefix::V6(net, bits)) => self.v6.push((*bits, *net, feed)),
            Indicator::Domain(domain) => self.domains.add(domain.as_str(), feed)?,
        }
        self.count += 1;
        Ok(())
    }

    /// The index of all that was added. It takes up to three times the index's
    /// memory until it is done.
    #[must_use]
    pub fn build(self) -> Index {
        Index {
            sha256: hashes::Hashes::new(self.sha256),
            sha1: hashes::Hashes::new(self.sha1),
            md5: hashes::Hashes::new(self.md5),
            v4: prefixes::Prefixes::new(self.v4),
            v6: prefixes::Prefixes::new(self.v6),
            domains: self.domains.build(),
        }
    }
}

/// What is listed. It does not change: a refresh builds another one.
#[derive(Debug)]
pub struct Index {
    sha256: hashes::Hashes<32>,
    sha1: hashes::Hashes<20>,
    md5: hashes::Hashes<16>,
    v4: prefixes::Prefixes<u32>,
    v6: prefixes::Prefixes<u128>,
    domains: domains::Domains,
}

impl Index {
    /// The feed that lists this SHA-256.
    #[must_use]
    pub fn sha256(&self, hash: &[u8; 32]) -> Option<FeedId> {
        self.sha256.find(hash)
    }

    /// The feed that lists this SHA-1.
    #[must_use]
    pub fn sha1(&self, hash: &[u8; 20]) -> Option<FeedId> {
        self.sha1.find(hash)
    }

    /// The feed that lists this MD5.
    #[must_use]
    pub fn md5(&self, hash: &[u8; 16]) -> Option<FeedId> {
        self.md5.find(hash)
    }

    /// The narrowest listed prefix that holds `address`; its length and feed. An
    /// IPv4 address in IPv6's clothes is looked up as IPv4.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> Option<(u8, FeedId)> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.find(u32::from(address)),
            IpAddr::V6(address) => self.v6.find(u128::from(address)),
        }
    }

    /// The widest listed domain that `name` is or lies under, as the part of the
    /// normalised name that is listed has so many bytes; and its feed.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<(usize, FeedId)> {
        self.domains.find(name)
    }

    /// Bytes that the index holds on the heap.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.sha256.memory()
            + self.sha1.memory()
            + self.md5.memory()
            + self.v4.memory()
            + self.v6.memory()
            + self.domains.memory()
    }

    /// Indicators held, doubles merged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sha256.len()
            + self.sha1.len()
            + self.md5.len()
            + self.v4.len()
            + self.v6.len()
            + self.domains.len()
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
