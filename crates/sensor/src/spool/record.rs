//! Records in a segment file: `length | CRC-32 | number | payload`, little-endian.

/// Longer than the store takes a finding; what is longer is no finding.
pub const MAX_PAYLOAD: usize = 1 << 20;

const HEAD: usize = 16;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in its lane; they grow.
    pub number: u64,
    /// The finding.
    pub payload: Vec<u8>,
}

/// What follows the last good record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// Bytes that are no whole record: the process ended while it wrote, or the disk
    /// has lost something.
    Torn,
}

/// Bytes that a payload takes.
pub(super) fn length(payload: &[u8]) -> u64 {
    (HEAD + payload.len()) as u64
}

/// Adds a record to the bytes.
pub(super) fn write(bytes: &mut Vec<u8>, number: u64, payload: &[u8]) {
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(checksum(number, payload).to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(payload);
}

/// Over all that follows it and over the length, so that no length is believed that
/// was not written.
fn checksum(number: u64, payload: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&(payload.len() as u32).to_le_bytes());
    hash.update(&number.to_le_bytes());
    hash.update(payload);
    hash.finalize()
}

/// The good records from the start of the bytes, how many bytes they take, and what
/// follows. Numbers that do not grow are damage.
pub fn parse(bytes: &[u8]) -> (Vec<Record>, usize, Damage) {
    let mut records: Vec<Record> = Vec::new();
    let mut at = 0;
    while let Some((number, payload)) = bytes.get(at..).and_then(first) {
        if records.last().is_some_and(|last| number <= last.number) {
            break;
        }
        at += HEAD + payload.len();
        records.push(Record {
            number,
            payload: payload.to_vec(),
        });
    }
    let damage = if at == bytes.len() {
        Damage::None
    } else {
        Damage::Torn
    };
    (records, at, damage)
}

fn first(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let length = u32::from_le_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let sum = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
    let number = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
    if length > MAX_PAYLOAD {
        return None;
    }
    let payload = rest.get(..length)?;
    (checksum(number, payload) == sum).then_some((number, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_back(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut bytes = Vec::new();
            for (at, payload) in payloads.iter().enumerate() {
                write(&mut bytes, at as u64 + 1, payload);
            }
            let (records, length, damage) = parse(&bytes);
            prop_assert_eq!(length, bytes.len());
            prop_assert_eq!(damage, Damage::None);
            let back: Vec<Vec<u8>> = records.into_iter().map(|record| record.payload).collect();
            prop_assert_eq!(back, payloads);
        }

        #[test]
        fn a_cut_or_flipped_end_costs_what_is_behind_it_and_nothing_else(
            count in 1_usize..8,
            cut in 0_usize..200,
            flip in any::<Option<u8>>(),
        ) {
            let mut bytes = Vec::new();
            let mut ends = vec![0];
            for number in 1..=count {
                write(&mut bytes, number as u64, b"payload");
                ends.push(bytes.len());
            }
            let at = cut.min(bytes.len() - 1);
            match flip.filter(|flip| *flip != 0) {
                Some(flip) => bytes[at] ^= flip,
                None => bytes.truncate(at),
            }
            let whole = ends.iter().filter(|end| **end <= at).count() - 1;
            let (records, length, damage) = parse(&bytes);
            prop_assert_eq!(records.len(), whole);
            prop_assert_eq!(length, ends[whole]);
            prop_assert_eq!(damage == Damage::None, bytes.len() == ends[whole]);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (_, length, _) = parse(&bytes);
            prop_assert!(length <= bytes.len());
        }
    }

    #[test]
    fn a_record_that_comes_again_is_damage() {
        let mut bytes = Vec::new();
        write(&mut bytes, 2, b"a");
        write(&mut bytes, 2, b"b");
        let (records, _, damage) = parse(&bytes);
        assert_eq!((records.len(), damage), (1, Damage::Torn));
    }
}
