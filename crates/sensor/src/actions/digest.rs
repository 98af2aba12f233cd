//! SHA-256 of what a reader gives.

use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// In hex.
pub(super) fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut bytes = vec![0; 64 << 10];
    loop {
        match reader.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => hash.update(&bytes[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let bytes = hash.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
