//! A fixed multimap from 64-bit hashes to numbers, in two flat arrays.

/// Spreads a word over 64 bits.
#[inline]
pub(crate) fn mix(word: u64) -> u64 {
    let wide = u128::from(word ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// A hash of a text. Not proof against chosen texts: what is looked up with it
/// was chosen by the rules or is forgotten soon, and what is found is always
/// compared.
#[inline]
pub(crate) fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    hash_masked(bytes, seed, 0)
}

/// The same hash for texts that differ in case only (and for some others).
#[inline]
pub(crate) fn hash_any_case(bytes: &[u8]) -> u64 {
    hash_masked(bytes, 0, 0x2020_2020_2020_2020)
}

/// A hash of a text in each byte of which some bits are set.
#[inline]
fn hash_masked(bytes: &[u8], seed: u64, mask: u64) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(0xA076_1D64_78BD_642F);
    let mut add = |chunk: &[u8; 16], salt: u64| {
        let wide = u128::from_le_bytes(*chunk);
        let (low, high) = (wide as u64 | mask, (wide >> 64) as u64 | mask);
        state = fold_multiply(low ^ state, high ^ salt);
        state
    };
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
        rest = after;
        add(chunk, 0xE703_7ED1_A0B4_28DB);
    }
    let last = match bytes.last_chunk::<16>() {
        // The rest together with some of what was there already.
        Some(last) => *last,
        None => short(rest),
    };
    add(&last, 0x8EBC_6AF0_9C88_C6E3)
}

/// Up to 16 bytes, filled up in a way that depends on their number alone.
#[inline]
fn short(bytes: &[u8]) -> [u8; 16] {
    let mut all = [0; 16];
    let (low, high) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => (
                u32::from_le_bytes(*first).into(),
                u32::from_le_bytes(*last).into(),
            ),
            _ => {
                let at = |at: usize| u64::from(bytes.get(at).copied().unwrap_or_default());
                (at(0) | at(1) << 8 | at(2) << 16, 0)
            }
        },
    };
    all[..8].copy_from_slice(&low.to_le_bytes());
    all[8..].copy_from_slice(&high.to_le_bytes());
    all
}

#[inline]
fn fold_multiply(left: u64, right: u64) -> u64 {
    let wide = u128::from(left) * u128::from(right);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Numbers by hash.
#[derive(Debug, Default)]
pub(crate) struct HashIndex {
    shift: u32,
    /// Where each bucket begins in `entries`, and the end of the last.
    starts: Box<[u32]>,
    /// The low half of the hash, and the number.
    entries: Box<[(u32, u32)]>,
}

impl HashIndex {
    pub(crate) fn new(pairs: &[(u64, u32)]) -> HashIndex {
        if pairs.is_empty() {
            return HashIndex::default();
        }
        let bits = (pairs.len() * 2)
            .next_power_of_two()
            .trailing_zeros()
            .max(1);
        let shift = 64 - bits;
        let mut starts = vec![0u32; (1 << bits) + 1];
        for (hash, _) in pairs {
            starts[(hash >> shift) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut free = starts.clone();
        let mut entries = vec![(0, 0); pairs.len()];
        for &(hash, number) in pairs {
            let place = &mut free[(hash >> shift) as usize];
            entries[*place as usize] = (hash as u32, number);
            *place += 1;
        }
        HashIndex {
            shift,
            starts: starts.into(),
            entries: entries.into(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The numbers under that hash (and, rarely, others).
    #[inline]
    pub(crate) fn get(&self, hash: u64) -> impl Iterator<Item = u32> {
        let bucket: &[(u32, u32)] =
            match self.starts.get((hash.wrapping_shr(self.shift)) as usize..) {
                Some(&[start, end, ..]) if !self.entries.is_empty() => {
                    &self.entries[start as usize..end as usize]
                }
                _ => &[],
            };
        bucket
            .iter()
            .filter(move |(low, _)| *low == hash as u32)
            .map(|&(_, number)| number)
    }

    pub(crate) fn memory(&self) -> usize {
        self.starts.len() * 4 + self.entries.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_found_under_its_hash() {
        let pairs: Vec<(u64, u32)> = (0..1000).map(|n| (mix(n / 2), n as u32)).collect();
        let index = HashIndex::new(&pairs);
        for n in 0..500 {
            let mut found: Vec<u32> = index.get(mix(n)).collect();
            found.sort();
            assert_eq!(found, [2 * n as u32, 2 * n as u32 + 1]);
        }
        assert_eq!(index.get(mix(5000)).count(), 0);
        assert_eq!(HashIndex::new(&[]).get(7).count(), 0);
    }

    #[test]
    fn hashes_of_texts_depend_on_every_byte() {
        let text = b"the quick brown fox jumps over the lazy dog";
        for length in 0..text.len() {
            for at in 0..length {
                let mut other = text[..length].to_vec();
                other[at] ^= 1;
                assert_ne!(hash_bytes(&text[..length], 1), hash_bytes(&other, 1));
            }
        }
    }
}
