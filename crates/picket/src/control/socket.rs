//! Where the control socket lies, and who may open it: its folder and itself are
//! their owner's alone.

use super::DEFAULT_PATH;
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What `--control` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// There is none.
    None,
    /// Nothing was said: the usual place, or one beside it.
    Usual,
    /// There and nowhere else.
    At(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        match text {
            "" => Err("give a path, or none".to_owned()),
            "none" => Ok(Place::None),
            path => Ok(Place::At(path.into())),
        }
    }
}

/// A socket that is ours until we go.
#[derive(Debug)]
pub struct Socket {
    /// Where it lies.
    pub path: PathBuf,
    /// It could not lie where clients look for it.
    pub moved: bool,
    listener: UnixListener,
}

impl Socket {
    /// Takes the place; none where none is wanted.
    pub fn open(place: &Place) -> Result<Option<Socket>> {
        match place {
            Place::None => Ok(None),
            Place::At(path) => match take(path)? {
                Some(listener) => Ok(Some(Socket::at(path.clone(), listener, false))),
                None => bail!(
                    "another sensor answers at {}: give --control another path, or none",
                    path.display()
                ),
            },
            Place::Usual => Socket::beside(Path::new(DEFAULT_PATH)).map(Some),
        }
    }

    /// At that path, or under a name of its own if another sensor has it.
    fn beside(usual: &Path) -> Result<Socket> {
        if let Some(listener) = take(usual)? {
            return Ok(Socket::at(usual.to_owned(), listener, false));
        }
        let own = usual.with_file_name(format!("sensor-{}.sock", std::process::id()));
        let listener =
            take(&own)?.with_context(|| format!("somebody answers at {}", own.display()))?;
        Ok(Socket::at(own, listener, true))
    }

    fn at(path: PathBuf, listener: UnixListener, moved: bool) -> Socket {
        Socket {
            path,
            moved,
            listener,
        }
    }

    /// Where clients come in.
    pub fn listener(&self) -> std::io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens there; none if somebody else does. What a sensor left behind that was
/// killed is cleared away.
fn take(path: &Path) -> Result<Option<UnixListener>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    prepare(folder, path == Path::new(DEFAULT_PATH))?;
    // Two sensors that start at once must not both clear the same socket away.
    let locked = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    flock(&locked, FlockOperation::LockExclusive)
        .with_context(|| format!("cannot lock {}", folder.display()))?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| cannot(path)),
        Ok(found) if !found.file_type().is_socket() => {
            bail!(
                "{} is there and is no socket: it was left alone",
                path.display()
            )
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                fs::remove_file(path).with_context(|| cannot(path))?;
            }
            _ => return Ok(None),
        },
    }
    let listener = UnixListener::bind(path).with_context(|| cannot(path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).with_context(|| cannot(path))?;
    Ok(Some(listener))
}

/// Makes the folder, for its owner alone; the usual one is made so if it is not.
fn prepare(folder: &Path, is_ours: bool) -> Result<()> {
    let cannot = || format!("cannot make {} for the control socket", folder.display());
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(cannot),
    }
    if !is_ours {
        return Ok(());
    }
    let found = fs::symlink_metadata(folder).with_context(cannot)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        bail!(
            "{} is not a folder of our own: give --control a path, or none",
            folder.display()
        );
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).with_context(cannot)?;
    }
    Ok(())
}

fn cannot(path: &Path) -> String {
    format!("cannot listen at {} (--control moves it)", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_socket_and_a_folder_made_for_it_are_their_owner_s_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("made/sensor.sock");
        let socket = Socket::open(&Place::At(path.clone())).unwrap().unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        drop(socket);
        assert!(!path.exists());
        assert!(Socket::open(&Place::None).unwrap().is_none());
    }

    #[test]
    fn a_second_sensor_is_told_or_gets_a_place_beside() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sensor.sock");
        let first = Socket::beside(&path).unwrap();
        assert!(!first.moved);
        let error = Socket::open(&Place::At(path.clone())).unwrap_err();
        assert!(
            error.to_string().contains("another sensor answers"),
            "{error}"
        );
        let second = Socket::beside(&path).unwrap();
        assert!(second.moved && second.path != first.path);
        assert_eq!(second.path.parent(), first.path.parent());
    }

    #[test]
    fn what_a_killed_sensor_left_is_cleared_away_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sensor.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(!Socket::beside(&path).unwrap().moved);
        fs::write(&path, "a file").unwrap();
        let error = Socket::open(&Place::At(path.clone())).unwrap_err();
        assert!(error.to_string().contains("no socket"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"a file");
    }

    #[test]
    fn paths_that_do_not_serve_are_errors() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [
            file.join("sensor.sock"),
            scratch.path().join("not/there/sensor.sock"),
            scratch.path().join("x".repeat(120)),
        ] {
            assert!(
                Socket::open(&Place::At(path.clone())).is_err(),
                "{}",
                path.display()
            );
        }
        assert!("".parse::<Place>().is_err());
        assert_eq!("none".parse(), Ok(Place::None));
    }
}
