//! Making a backup, while the server runs or while it does not.

use super::manifest::{DATABASE, Hashing, KEYS, LAYOUT, Manifest, NAME};
use super::{BackupError, KEY_FOLDERS, MAX_KEY, file_error};
use crate::config::Config;
use picket_store::{Location, snapshot_sqlite};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the backup.
    pub bytes: u64,
    /// Key and certificate files in it.
    pub keys: usize,
    /// The database is not in it: where it is, without its password.
    pub database_elsewhere: Option<String>,
}

/// Files that go when it fails.
struct Pending(Vec<PathBuf>);

impl Drop for Pending {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = fs::remove_file(file);
        }
    }
}

/// Writes a backup into a new file. It appears under its name when it is whole.
pub async fn backup(config: &Config, output: &Path) -> Result<Written, BackupError> {
    if output.symlink_metadata().is_ok() {
        return Err(BackupError::Exists {
            path: output.to_owned(),
        });
    }
    let beside = |end: &str| {
        let mut name = output.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (partial, copy) = (beside(".partial"), beside(".database"));
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600);
    let file = file.open(&partial).map_err(file_error(&partial))?;
    let mut pending = Pending(vec![partial.clone()]);
    let mut archive = Archive::new(file, &partial);
    let (schema, elsewhere) = match &config.store {
        Location::Sqlite(database) => {
            let schema = snapshot_sqlite(database, &copy).await?;
            // After: one that is there already stays.
            pending.0.push(copy.clone());
            archive.add(DATABASE, &copy, u64::MAX)?;
            (Some(schema), None)
        }
        elsewhere => (None, Some(elsewhere.to_string())),
    };
    // After the database: keys only ever come to be, and what it knows is there.
    let keys = keys(&config.data)?;
    if keys.is_empty() {
        return Err(BackupError::Nothing {
            path: config.data.clone(),
        });
    }
    for (name, path) in &keys {
        archive.add(&format!("{KEYS}{name}"), path, MAX_KEY)?;
    }
    let bytes = archive.finish(schema)?;
    // Not over what came meanwhile, as a rename would.
    fs::hard_link(&partial, output).map_err(file_error(output))?;
    Ok(Written {
        bytes,
        keys: keys.len(),
        database_elsewhere: elsewhere,
    })
}

/// Name below the data folder, and path, of every key file.
fn keys(data: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let mut keys = Vec::new();
    for folder in KEY_FOLDERS {
        let path = data.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(file_error(&path))?,
        };
        for entry in entries {
            let entry = entry.map_err(file_error(&path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            // One that begins with a dot is being written.
            if is_file && !name.starts_with('.') {
                keys.push((format!("{folder}/{name}"), entry.path()));
            }
        }
    }
    keys.sort();
    Ok(keys)
}

struct Archive<'p> {
    tar: tar::Builder<File>,
    path: &'p Path,
    files: BTreeMap<String, String>,
}

impl<'p> Archive<'p> {
    fn new(file: File, path: &'p Path) -> Archive<'p> {
        Archive {
            tar: tar::Builder::new(file),
            path,
            files: BTreeMap::new(),
        }
    }

    fn add(&mut self, name: &str, from: &Path, most: u64) -> Result<(), BackupError> {
        let file = File::open(from).map_err(file_error(from))?;
        let size = file.metadata().map_err(file_error(from))?.size();
        if size > most {
            let why = format!("it has {size} bytes, more than a key has");
            return Err(file_error(from)(std::io::Error::other(why)));
        }
        let mut hashing = Hashing::new(file.take(size));
        self.append(name, size, &mut hashing)?;
        self.files.insert(name.to_owned(), hashing.hex());
        Ok(())
    }

    fn append(&mut self, name: &str, size: u64, from: impl Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        let added = self.tar.append_data(&mut header, name, from);
        added.map_err(file_error(self.path))
    }

    fn finish(mut self, schema: Option<i64>) -> Result<u64, BackupError> {
        let manifest = Manifest {
            layout: LAYOUT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            at: crate::api::now(),
            schema,
            files: std::mem::take(&mut self.files),
        };
        let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        self.append(NAME, text.len() as u64, &text[..])?;
        let failed = file_error(self.path);
        let end = |tar: tar::Builder<File>| {
            let mut file = tar.into_inner()?;
            file.flush()?;
            file.sync_all()?;
            Ok(file.metadata()?.size())
        };
        end(self.tar).map_err(failed)
    }
}
