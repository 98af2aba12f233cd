//! Bundles on the line, made smaller: of a hundred rules less than a quarter is left.
//!
//! Packing is outside the signature. What is unpacked is verified like any other
//! envelope, so a packing can at worst be refused.

use super::wire::Offer;
use crate::bundle::MAX_BYTES;
use bytes::Bytes;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

/// zlib's usual trade of time for size. An envelope is packed once for all sensors.
const LEVEL: u8 = 6;

/// Why an offer's envelope cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPacking {
    /// There is more in it than a bundle may have.
    #[error("unpacked, the bundle would be longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It is not in the zlib format, or cut off.
    #[error("the bundle's packing is damaged")]
    Damaged,
}

/// An envelope, packed (RFC 1950).
pub fn pack(envelope: &[u8]) -> Bytes {
    compress_to_vec_zlib(envelope, LEVEL).into()
}

impl Offer {
    /// The signed bundle, in whichever way it came. Not verified yet.
    pub fn open(&self) -> Result<Bytes, BadPacking> {
        if self.packed.is_empty() {
            return Ok(self.envelope.clone());
        }
        match decompress_to_vec_zlib_with_limit(&self.packed, MAX_BYTES) {
            Ok(envelope) => Ok(envelope.into()),
            Err(error) if error.status == TINFLStatus::HasMoreOutput => Err(BadPacking::TooLong),
            Err(_) => Err(BadPacking::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(packed: Bytes) -> Offer {
        Offer {
            packed,
            ..Offer::default()
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(envelope in proptest::collection::vec(any::<u8>(), 1..4096)) {
            prop_assert_eq!(packed(pack(&envelope)).open().unwrap(), envelope.clone());
            let plain = Offer { envelope: envelope.clone().into(), ..Offer::default() };
            prop_assert_eq!(plain.open().unwrap(), envelope);
        }

        #[test]
        fn any_bytes_are_refused_or_unpacked(bytes in proptest::collection::vec(any::<u8>(), 1..512)) {
            if let Ok(envelope) = packed(bytes.into()).open() {
                prop_assert!(envelope.len() <= MAX_BYTES);
            }
        }
    }

    #[test]
    fn a_bomb_is_not_blown_up() {
        let bomb = pack(&vec![0; MAX_BYTES + 1]);
        assert!(bomb.len() < MAX_BYTES / 100);
        assert_eq!(packed(bomb).open(), Err(BadPacking::TooLong));
        let most = packed(pack(&vec![0; MAX_BYTES]));
        assert_eq!(most.open().map(|envelope| envelope.len()), Ok(MAX_BYTES));
    }

    #[test]
    fn a_cut_packing_is_damaged() {
        let whole = pack(b"a bundle of rules, of rules, of rules");
        let cut = whole.slice(..whole.len() - 3);
        assert_eq!(packed(cut).open(), Err(BadPacking::Damaged));
    }
}
