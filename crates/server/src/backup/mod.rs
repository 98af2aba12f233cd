//! Backup and restore of what a server cannot make again: its database and its keys.
//!
//! ```text
//! data/picket.db ─ VACUUM INTO ─► database ─┐
//! data/fleet, data/tls ───────────► keys/… ─┼─► one tar file, 0600: whoever reads it can
//!            SHA-256 of each ──► manifest ──┘   give rules to the fleet
//! ```
//! A database in PostgreSQL is not in it: `pg_dump` knows better.

mod manifest;
mod restore;
mod write;

pub use restore::{Restored, restore};
pub use write::{Written, backup};

use std::path::{Path, PathBuf};

/// Folders below the data folder that hold keys and certificates.
const KEY_FOLDERS: [&str; 2] = ["fleet", "tls"];
/// Bytes of a key file, at most: what is larger is none of ours.
const MAX_KEY: u64 = 1 << 20;

/// A backup could not be made, or not be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is something already where it should go.
    #[error("{path} is there already: nothing is overwritten", path = path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// The database cannot be copied, or the copy not be used.
    #[error(transparent)]
    Store(#[from] picket_store::StoreError),
    /// There is nothing to back up.
    #[error("{path} holds no server's keys: is --config the server's?", path = path.display())]
    Nothing {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// The file is no whole backup.
    #[error("{path} is no whole backup: {why}", path = path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists { path },
        _ => BackupError::File { path, source },
    }
}
