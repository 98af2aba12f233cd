//! What a backup says of itself: the last entry, so that one that was cut off has none.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// The entry's name.
pub(super) const NAME: &str = "manifest.json";
/// The entry of the database.
pub(super) const DATABASE: &str = "database.sqlite";
/// What keys' entries begin with.
pub(super) const KEYS: &str = "keys/";
/// Bytes of it, at most.
pub(super) const MAX: u64 = 1 << 20;
/// The only layout so far.
pub(super) const LAYOUT: u32 = 1;

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub layout: u32,
    /// Picket's version.
    pub program: String,
    /// When, microseconds since the epoch.
    pub at: i64,
    /// The schema of the database; none: it is elsewhere.
    pub schema: Option<i64>,
    /// SHA-256 of each entry.
    pub files: BTreeMap<String, String>,
}

/// Reads through, and remembers the digest of what was read.
pub(super) struct Hashing<R> {
    from: R,
    digest: Sha256,
}

impl<R> Hashing<R> {
    pub(super) fn new(from: R) -> Hashing<R> {
        Hashing {
            from,
            digest: Sha256::new(),
        }
    }

    pub(super) fn hex(self) -> String {
        let digest = self.digest.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}
