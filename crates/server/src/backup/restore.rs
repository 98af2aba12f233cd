//! Restoring a backup where no server has been.

use super::manifest::{DATABASE, Hashing, KEYS, LAYOUT, MAX, Manifest, NAME};
use super::{BackupError, KEY_FOLDERS, MAX_KEY, file_error};
use crate::config::Config;
use picket_store::{Location, verify_sqlite};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where it is unpacked, below the data folder, until it is known to be whole.
const PENDING: &str = ".restoring";

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made, microseconds since the epoch.
    pub at: i64,
    /// By which version of Picket.
    pub program: String,
    /// Key and certificate files.
    pub keys: usize,
    /// Whether the database was in it.
    pub database: bool,
}

struct Unpacked {
    folder: PathBuf,
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Restores a backup. Everything in it is checked before anything is put in its place;
/// nothing that is there is overwritten.
pub async fn restore(config: &Config, from: &Path) -> Result<Restored, BackupError> {
    let places = KEY_FOLDERS.iter().map(|folder| config.data.join(folder));
    let database = match &config.store {
        Location::Sqlite(path) => Some(path.clone()),
        Location::Postgres(_) => None,
    };
    let beside = |end: &str| {
        database.as_ref().map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        })
    };
    // A log that is left over would be played into the database.
    let others = [beside("-wal"), beside("-shm"), beside("-journal")];
    let places = places
        .chain(database.clone())
        .chain(others.into_iter().flatten());
    if let Some(path) = places
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok())
    {
        return Err(BackupError::Exists { path });
    }
    let mut folders = DirBuilder::new();
    folders.recursive(true).mode(0o700);
    let pending = Unpacked {
        folder: config.data.join(PENDING),
    };
    folders
        .create(&config.data)
        .map_err(file_error(&config.data))?;
    DirBuilder::new()
        .mode(0o700)
        .create(&pending.folder)
        .map_err(file_error(&pending.folder))?;
    let manifest = unpack(from, &pending.folder)?;
    let damaged = |why: &str| BackupError::Damaged {
        path: from.to_owned(),
        why: why.to_owned(),
    };
    let keys: Vec<&str> = manifest
        .files
        .keys()
        .filter_map(|name| name.strip_prefix(KEYS))
        .collect();
    match (&database, manifest.schema) {
        (Some(place), Some(_)) => {
            let copy = pending.folder.join(DATABASE);
            verify_sqlite(&copy).await?;
            if let Some(folder) = place.parent() {
                folders.create(folder).map_err(file_error(folder))?;
            }
        }
        (Some(_), None) => {
            return Err(damaged(
                "its database is in PostgreSQL, and `store` says another place: restore that first",
            ));
        }
        (None, Some(_)) => {
            return Err(damaged(
                "its database is SQLite's, and `store` says PostgreSQL: leave `store` out",
            ));
        }
        (None, None) => {}
    }
    for folder in KEY_FOLDERS {
        let unpacked = pending.folder.join(folder);
        if unpacked.is_dir() {
            let place = config.data.join(folder);
            fs::rename(&unpacked, &place).map_err(file_error(&place))?;
        }
    }
    // Last: with it a server would start.
    if let Some(place) = &database {
        place_file(&pending.folder.join(DATABASE), place)?;
    }
    Ok(Restored {
        at: manifest.at,
        keys: keys.len(),
        database: database.is_some(),
        program: manifest.program,
    })
}

/// Puts a file in its place, on another disk too.
fn place_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            let mut options = OpenOptions::new();
            let made = options.write(true).create_new(true).mode(0o600).open(to);
            let mut made = made.map_err(file_error(to))?;
            let mut source = File::open(from).map_err(file_error(from))?;
            std::io::copy(&mut source, &mut made)
                .and_then(|_| made.sync_all())
                .map_err(file_error(to))
        }
        linked => linked.map_err(file_error(to)),
    }
}

/// Unpacks what a backup has, and nothing else, and checks it against its manifest.
fn unpack(from: &Path, folder: &Path) -> Result<Manifest, BackupError> {
    let damaged = |why: String| BackupError::Damaged {
        path: from.to_owned(),
        why,
    };
    let file = File::open(from).map_err(file_error(from))?;
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().map_err(|why| damaged(why.to_string()))?;
    let (mut found, mut manifest) = (BTreeMap::new(), None);
    for entry in entries {
        let mut entry = entry.map_err(|why| damaged(why.to_string()))?;
        let name = entry
            .path()
            .ok()
            .and_then(|path| path.to_str().map(str::to_owned))
            .ok_or_else(|| damaged("an entry has no name".to_owned()))?;
        if name == NAME {
            let mut text = Vec::new();
            let read = entry.take(MAX).read_to_end(&mut text);
            read.map_err(|why| damaged(why.to_string()))?;
            let read = serde_json::from_slice::<Manifest>(&text);
            manifest = Some(read.map_err(|why| damaged(format!("its manifest: {why}")))?);
            continue;
        }
        let place =
            place(&name).ok_or_else(|| damaged(format!("{name:?} does not belong in it")))?;
        let most = if name == DATABASE { u64::MAX } else { MAX_KEY };
        if !entry.header().entry_type().is_file() || entry.size() > most {
            return Err(damaged(format!("{name:?} is not what it should be")));
        }
        let place = folder.join(place);
        if let Some(folder) = place.parent() {
            let mut folders = DirBuilder::new();
            folders.recursive(true).mode(0o700);
            folders.create(folder).map_err(file_error(folder))?;
        }
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600);
        let mut made = made.open(&place).map_err(file_error(&place))?;
        let mut hashing = Hashing::new(&mut entry);
        std::io::copy(&mut hashing, &mut made).map_err(|why| damaged(why.to_string()))?;
        made.sync_all().map_err(file_error(&place))?;
        found.insert(name, hashing.hex());
    }
    let manifest = manifest.ok_or_else(|| damaged("it ends too early".to_owned()))?;
    if manifest.layout != LAYOUT {
        let why = format!("layout {} is of a newer Picket", manifest.layout);
        return Err(damaged(why));
    }
    if manifest.files != found {
        return Err(damaged(
            "what is in it is not what its manifest says".to_owned(),
        ));
    }
    if manifest.schema.is_some() != found.contains_key(DATABASE) {
        return Err(damaged("its database is missing".to_owned()));
    }
    Ok(manifest)
}

/// Where an entry goes, below the folder it is unpacked in; none for one that is not
/// ours. Names are taken apart and put together anew: none leads elsewhere.
fn place(name: &str) -> Option<PathBuf> {
    if name == DATABASE {
        return Some(DATABASE.into());
    }
    let (folder, file) = name.strip_prefix(KEYS)?.split_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = !file.is_empty() && !file.starts_with('.') && file.chars().all(plain);
    (KEY_FOLDERS.contains(&folder) && is_name).then(|| Path::new(folder).join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_in_their_folder() {
        for name in [DATABASE, "keys/fleet/bundle.key", "keys/tls/server.crt"] {
            assert!(place(name).is_some(), "{name}");
        }
        for name in [
            "",
            "x",
            "/etc/passwd",
            "keys/fleet/../../x",
            "keys/fleet/..",
            "keys/fleet/.x",
            "keys/fleet/",
            "keys/fleet",
            "keys/other/x",
            "keys/fleet/a/b",
            "../database.sqlite",
        ] {
            assert!(place(name).is_none(), "{name}");
        }
    }
}
