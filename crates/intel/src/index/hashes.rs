//! Hashes of one kind: sorted, with a table of where each first 16 bits begin.

use super::FeedId;

/// Entries of the table of first bits, and one for the end.
const STARTS: usize = (1 << 16) + 1;

#[derive(Debug)]
pub(super) struct Hashes<const N: usize> {
    hashes: Box<[[u8; N]]>,
    feeds: Box<[FeedId]>,
    /// Where hashes with these first two bytes begin; empty if there are none at all.
    starts: Box<[u32]>,
}

impl<const N: usize> Hashes<N> {
    pub(super) fn new(mut all: Vec<([u8; N], FeedId)>) -> Self {
        all.sort_unstable();
        all.dedup_by_key(|(hash, _)| *hash);
        let mut starts = Vec::new();
        if !all.is_empty() {
            starts.resize(STARTS, 0u32);
            for (hash, _) in &all {
                if let Some(count) = starts.get_mut(first(hash) + 1) {
                    *count += 1;
                }
            }
            let mut sum = 0;
            for start in &mut starts {
                sum += *start;
                *start = sum;
            }
        }
        Self {
            hashes: all.iter().map(|(hash, _)| *hash).collect(),
            feeds: all.iter().map(|(_, feed)| *feed).collect(),
            starts: starts.into(),
        }
    }

    pub(super) fn find(&self, hash: &[u8; N]) -> Option<FeedId> {
        let at = first(hash);
        let begin = *self.starts.get(at)? as usize;
        let end = *self.starts.get(at + 1)? as usize;
        let place = self.hashes.get(begin..end)?.binary_search(hash).ok()?;
        self.feeds.get(begin + place).copied()
    }

    pub(super) fn memory(&self) -> usize {
        self.hashes.len() * (N + size_of::<FeedId>()) + self.starts.len() * size_of::<u32>()
    }

    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}

fn first<const N: usize>(hash: &[u8; N]) -> usize {
    match hash.as_slice() {
        [high, low, ..] => usize::from(*high) << 8 | usize::from(*low),
        _ => 0,
    }
}
