//! Prefixes of one family: for each length that occurs, its networks, sorted.

use std::ops::{BitAnd, Shl};

use super::FeedId;

/// An address as a number.
pub(super) trait Number:
    Copy + Ord + BitAnd<Output = Self> + Shl<u32, Output = Self>
{
    const ONES: Self;
    const BITS: u32;
}

impl Number for u32 {
    const ONES: Self = Self::MAX;
    const BITS: u32 = 32;
}

impl Number for u128 {
    const ONES: Self = Self::MAX;
    const BITS: u32 = 128;
}

#[derive(Debug)]
struct Length<K> {
    bits: u8,
    nets: Box<[K]>,
    feeds: Box<[FeedId]>,
}

#[derive(Debug)]
pub(super) struct Prefixes<K> {
    /// The longest first, so that the first hit is the narrowest.
    lengths: Vec<Length<K>>,
}

impl<K: Number> Prefixes<K> {
    pub(super) fn new(mut all: Vec<(u8, K, FeedId)>) -> Self {
        all.sort_unstable();
        all.dedup_by_key(|(bits, net, _)| (*bits, *net));
        let lengths = all.chunk_by(|a, b| a.0 == b.0).rev();
        let lengths = lengths.filter_map(|chunk| {
            Some(Length {
                bits: chunk.first()?.0,
                nets: chunk.iter().map(|(_, net, _)| *net).collect(),
                feeds: chunk.iter().map(|(_, _, feed)| *feed).collect(),
            })
        });
        Self {
            lengths: lengths.collect(),
        }
    }

    pub(super) fn find(&self, address: K) -> Option<(u8, FeedId)> {
        self.lengths.iter().find_map(|length| {
            // No prefix is of no bits (they would be too wide), so the shift is in range.
            let net = address & (K::ONES << (K::BITS - u32::from(length.bits)));
            let place = length.nets.binary_search(&net).ok()?;
            Some((length.bits, *length.feeds.get(place)?))
        })
    }

    pub(super) fn memory(&self) -> usize {
        self.len() * (size_of::<K>() + size_of::<FeedId>())
            + self.lengths.capacity() * size_of::<Length<K>>()
    }

    pub(super) fn len(&self) -> usize {
        self.lengths.iter().map(|length| length.nets.len()).sum()
    }
}
