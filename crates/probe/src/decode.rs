//! Raw record bytes into [`Record`]s, checked: kernel bytes are input like any other.

use picket_model::record::Record;

/// Bytes that are not a record of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the record does.
    #[error("{kind} record of {len} bytes is cut short")]
    Short {
        /// The kind of record, as far as it could be read.
        kind: &'static str,
        /// How many bytes there were.
        len: usize,
    },
}

/// The record in `bytes`, which hold exactly one.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    Err(DecodeError::Short { kind: "unknown", len: bytes.len() })
}
