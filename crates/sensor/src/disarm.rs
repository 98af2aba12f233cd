//! The marker of a host whose blocks were lifted by hand: it outlives sensors, so
//! that one which starts later starts disarmed.
//!
//! The switch itself is in the kernel ([`picket_probe::Instances`]). Whoever lifts
//! blocks writes the marker first and throws the switches after; a sensor loads its
//! switch first and looks for the marker after, so that one of the two sees the
//! other.

use picket_model::text::{Escaped, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Where the marker lies unless somebody says otherwise.
pub const STATE: &str = "/var/lib/picket";

const NAME: &str = "disarmed";
/// More is not read of it.
const MOST_BYTES: u64 = 64 << 10;

/// Who lifted every block, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Marker {
    /// Nanoseconds since the epoch; 0: not known.
    pub time_ns: i64,
    /// The user's name; empty: not known.
    pub user: String,
    /// The user's number.
    pub uid: Option<u32>,
    /// What they gave as the reason.
    pub reason: Option<String>,
}

/// The marker's file in that folder.
pub fn path(state: &Path) -> PathBuf {
    state.join(NAME)
}

impl Marker {
    /// Reads the folder's marker; none if nobody lifted anything. One that cannot be
    /// understood counts, and says nothing.
    pub fn read(state: &Path) -> io::Result<Option<Marker>> {
        let file = match File::open(path(state)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut text)?;
        Ok(Some(serde_json::from_slice(&text).unwrap_or_default()))
    }

    /// Writes it, whole or not at all; the folder is made.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        fs::create_dir_all(state)?;
        let pending = state.join(format!("{NAME}.{}", std::process::id()));
        let written = File::create(&pending).and_then(|mut file| {
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()
        });
        let placed = written.and_then(|()| fs::rename(&pending, path(state)));
        if placed.is_err() {
            let _ = fs::remove_file(&pending);
        }
        placed
    }

    /// Removes the folder's marker; true if there was one.
    pub fn remove(state: &Path) -> io::Result<bool> {
        match fs::remove_file(path(state)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.user.as_str(), self.uid) {
            ("", None) => f.write_str("by somebody")?,
            ("", Some(uid)) => write!(f, "by uid {uid}")?,
            (user, None) => write!(f, "by {}", Escaped(user))?,
            (user, Some(uid)) => write!(f, "by {} (uid {uid})", Escaped(user))?,
        }
        if self.time_ns != 0 {
            write!(f, " at {}", Timestamp(self.time_ns))?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {}", Escaped(reason)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written_and_goes_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("not/there/yet");
        assert_eq!(Marker::read(&state).unwrap(), None);
        let marker = Marker {
            time_ns: 1_795_400_000_000_000_000,
            user: "alice".into(),
            uid: Some(1000),
            reason: Some("the shop is down".into()),
        };
        marker.write(&state).unwrap();
        assert_eq!(Marker::read(&state).unwrap(), Some(marker.clone()));
        assert_eq!(
            marker.to_string(),
            "by alice (uid 1000) at 2026-11-23 02:13:20.000000 UTC: the shop is down"
        );
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
        assert!(Marker::remove(&state).unwrap() && !Marker::remove(&state).unwrap());
        assert_eq!(Marker::read(&state).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_understood_still_disarms() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{", "[1]", "{\"reason\": \"\u{1b}[2J\"}"] {
            fs::write(path(folder.path()), text).unwrap();
            let marker = Marker::read(folder.path()).unwrap().unwrap();
            assert!(!marker.to_string().contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(path(folder.path()).join("in the way")).unwrap();
        assert!(Marker::default().write(folder.path()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
