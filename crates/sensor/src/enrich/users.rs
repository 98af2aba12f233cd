//! User names by uid, from the host's passwd file.

use hashbrown::HashMap;
use picket_model::Datum;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// A passwd file larger than this is not read.
const MAX_FILE: u64 = 4 << 20;

/// Names by uid. The file is read again when a uid is unknown and the file has
/// changed; NSS is not asked, since a look-up over the network in the event path
/// could wait, and could be watched.
#[derive(Debug)]
pub struct Users {
    path: Option<PathBuf>,
    modified: Option<SystemTime>,
    names: HashMap<u32, Arc<str>>,
}

impl Users {
    /// From a file in the format of passwd(5).
    pub fn from_file(path: impl Into<PathBuf>) -> Users {
        let mut users = Users {
            path: Some(path.into()),
            modified: None,
            names: HashMap::new(),
        };
        users.refresh();
        users
    }

    /// From pairs that came with a recording.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u32, String)>) -> Users {
        let names = pairs
            .into_iter()
            .map(|(uid, name)| (uid, name.into()))
            .collect();
        Users {
            path: None,
            modified: None,
            names,
        }
    }

    /// Every known pair, by uid.
    pub fn pairs(&self) -> Vec<(u32, String)> {
        let mut pairs: Vec<_> = self
            .names
            .iter()
            .map(|(uid, name)| (*uid, name.to_string()))
            .collect();
        pairs.sort();
        pairs
    }

    /// The user's name; absent if the file has none.
    pub fn name(&mut self, uid: u32) -> Datum<Arc<str>> {
        if let Some(name) = self.names.get(&uid) {
            return Datum::Known(name.clone());
        }
        if self.refresh() {
            return self.names.get(&uid).cloned().into();
        }
        Datum::Absent
    }

    /// Reads the file again if it has changed; tells whether it has.
    pub fn refresh(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        let Ok(metadata) = std::fs::metadata(path) else {
            return false;
        };
        let modified = metadata.modified().ok();
        if (modified.is_some() && modified == self.modified) || metadata.len() > MAX_FILE {
            return false;
        }
        let Ok(bytes) = std::fs::read(path) else {
            return false;
        };
        self.modified = modified;
        self.names.clear();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let mut parts = line.split(':');
            let (name, uid) = (parts.next(), parts.nth(1));
            if let (Some(name), Some(uid)) = (name, uid.and_then(|uid| uid.parse().ok())) {
                // The first line of a uid is its canonical name.
                self.names.entry(uid).or_insert_with(|| name.into());
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_survives_odd_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "root:x:0:0::/root:/bin/sh\ntoor:x:0:0\nbroken\n:::\nwww:x:33:33\n",
        )
        .unwrap();
        let mut users = Users::from_file(file.path());
        assert_eq!(users.name(0), Datum::Known("root".into()));
        assert_eq!(users.name(33), Datum::Known("www".into()));
        assert_eq!(users.name(5), Datum::Absent);
        let mut copy = Users::from_pairs(users.pairs());
        assert_eq!(copy.name(33), Datum::Known("www".into()));
    }
}
