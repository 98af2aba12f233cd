//! What an act is given, and how its effect is seen from outside.
//!
//! Nothing here asks the sensor or the program: a listener is asked whom it accepted, a
//! resolver what it was asked, a folder what is in it.

use crate::props::{Overlay, RESOLVER, Resolvers};
use crate::ways::Way;
use anyhow::{Context, Result};
use picket_e2e::Said;
use rustix::fs::inotify;
use std::fs::{self, File};
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An effect, and where it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The new image said something.
    Started,
    /// A listener at this address accepted somebody.
    Accepted(&'static str),
    /// A UDP socket at this address received something.
    Received(&'static str),
    /// A resolver was asked for the name.
    Asked,
    /// The same, by another port than DNS has.
    AskedElsewhere,
    /// A stranger can connect to the socket.
    Listening,
    /// Nobody else can bind to the address.
    Bound,
    /// inotify told of an open.
    Opened,
    /// The file is empty now.
    Truncated,
    /// There is a file where none was.
    Created,
    /// It has the new name.
    Renamed,
    /// It is gone.
    Deleted,
    /// It has the new mode.
    Remoded,
}

impl Look {
    /// Whether the effect ends with the process.
    pub fn is_fleeting(self) -> bool {
        matches!(self, Look::Listening | Look::Bound)
    }
}

/// The mode that acts on modes set.
const NEW_MODE: u32 = 0o4711;
const CONTENT: &str = "content";
const OTHER_CONTENT: &str = "other content";

/// What one act is about, and nobody else's.
#[derive(Debug)]
pub struct Place {
    look: Look,
    words: Vec<(&'static str, String)>,
    sense: Sense,
    /// The folder of the file or the program.
    pub folder: PathBuf,
    _overlay: Option<Overlay>,
}

/// What is watched while the act goes on.
#[derive(Debug)]
enum Sense {
    None,
    Listener(TcpListener),
    Socket(UdpSocket),
    Opens(File),
}

impl Place {
    /// A place for an act that is not about files or programs; call it in the
    /// network of the test.
    pub fn of_network(look: Look, name: &str) -> Result<Place> {
        let mut words = vec![
            ("resolver", RESOLVER.to_owned()),
            ("name", format!("{name}.block.example")),
            ("NAME", format!("{name}.block.example").to_uppercase()),
        ];
        let sense = match look {
            Look::Accepted(at) => {
                let listener = TcpListener::bind((at, 0))?;
                listener.set_nonblocking(true)?;
                words.push(("port", listener.local_addr()?.port().to_string()));
                Sense::Listener(listener)
            }
            Look::Received(at) => {
                let socket = UdpSocket::bind((at, 0))?;
                socket.set_nonblocking(true)?;
                words.push(("port", socket.local_addr()?.port().to_string()));
                Sense::Socket(socket)
            }
            _ => Sense::None,
        };
        Ok(Place {
            look,
            words,
            sense,
            folder: PathBuf::new(),
            _overlay: None,
        })
    }

    /// A file in a folder below `guarded`, which the rules are about, and other ways to
    /// it below `elsewhere`.
    pub fn of_file(way: &Way, name: &str, guarded: &Path, elsewhere: &Path) -> Result<Place> {
        let look = way.look;
        let folder = guarded.join(name);
        fs::create_dir_all(&folder)?;
        fs::create_dir_all(elsewhere)?;
        let file = folder.join("file");
        let new = folder.join("new");
        let beside = |what: &str| elsewhere.join(format!("{name}-{what}"));
        fs::write(&file, CONTENT)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        fs::write(beside("source"), OTHER_CONTENT)?;
        // Who comes by the file itself may come out at any of its names.
        if way.act.contains("{hardlink}") {
            fs::hard_link(&file, beside("hardlink"))?;
        }
        symlink(&file, beside("symlink"))?;
        symlink(&new, beside("dangling"))?;
        symlink(&folder, beside("shortcut"))?;

        let overlay = if way.act.contains("{overlay}") {
            Some(Overlay::mount(&folder.join("overlay"), &beside("layers"))?)
        } else {
            None
        };
        let file = match &overlay {
            Some(overlay) => overlay.at.join("file"),
            None => file,
        };
        let detour = folder.join("..").join(name);
        let text = |path: PathBuf| path.display().to_string();
        let words = vec![
            ("folder", text(folder.clone())),
            ("overlay", text(folder.join("overlay"))),
            ("name", "file".to_owned()),
            ("file", text(file.clone())),
            ("new", text(new)),
            ("detour", text(detour.join("file"))),
            ("detour-new", text(detour.join("new"))),
            ("source", text(beside("source"))),
            ("hardlink", text(beside("hardlink"))),
            ("symlink", text(beside("symlink"))),
            ("dangling", text(beside("dangling"))),
            ("shortcut", text(beside("shortcut"))),
            ("away", text(beside("away"))),
            ("elsewhere", text(elsewhere.to_owned())),
        ];
        let sense = if look == Look::Opened {
            let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
            let watch = inotify::init(flags)?;
            inotify::add_watch(&watch, &file, inotify::WatchFlags::OPEN)?;
            Sense::Opens(File::from(watch))
        } else {
            Sense::None
        };
        Ok(Place {
            look,
            words,
            sense,
            folder,
            _overlay: overlay,
        })
    }

    /// A copy of `program` under a name of its own in `guarded`, which the rules are
    /// about, and other ways to it below `elsewhere`.
    pub fn of_program(
        name: &str,
        program: &Path,
        guarded: &Path,
        elsewhere: &Path,
    ) -> Result<Place> {
        fs::create_dir_all(guarded)?;
        fs::create_dir_all(elsewhere)?;
        let target = guarded.join(name);
        let script = guarded.join(format!("{name}.script"));
        let interpreter = elsewhere.join("interpreter");
        let beside = |what: &str| elsewhere.join(format!("{name}-{what}"));
        fs::copy(program, &target)?;
        if !interpreter.exists() {
            fs::copy(program, &interpreter)?;
        }
        // What is linked must not be the file that others execute.
        fs::hard_link(&target, beside("hardlink"))?;
        symlink(&target, beside("symlink"))?;
        fs::create_dir(beside("mount"))?;
        fs::write(&script, format!("#!{} linger\n", interpreter.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;

        let text = |path: PathBuf| path.display().to_string();
        Ok(Place {
            look: Look::Started,
            words: vec![
                ("target", text(target)),
                ("name", name.to_owned()),
                ("folder", text(guarded.to_owned())),
                ("script", text(script)),
                ("hardlink", text(beside("hardlink"))),
                ("symlink", text(beside("symlink"))),
                ("mount", text(beside("mount"))),
                ("memfd", format!("{MEMFD}{name}")),
                ("cause", text(program.to_owned())),
            ],
            sense: Sense::None,
            folder: guarded.to_owned(),
            _overlay: None,
        })
    }

    /// The act's arguments.
    pub fn fill(&self, act: &str) -> Vec<String> {
        let fill = |word: &str| {
            self.words
                .iter()
                .fold(word.to_owned(), |text, (key, value)| {
                    text.replace(&format!("{{{key}}}"), value)
                })
        };
        act.split(' ').map(fill).collect()
    }

    fn word(&self, key: &str) -> Result<&str> {
        let found = self.words.iter().find(|(name, _)| *name == key);
        Ok(&found.with_context(|| format!("no {key} here"))?.1)
    }

    /// Whether the effect has come about. `said` is what the program has said so far.
    pub fn shows(&mut self, said: &[Said], resolvers: Option<&Resolvers>) -> Result<bool> {
        match (self.look, &mut self.sense) {
            (Look::Accepted(_), Sense::Listener(listener)) => Ok(listener.accept().is_ok()),
            (Look::Received(_), Sense::Socket(socket)) => Ok(socket.recv(&mut [0; 64]).is_ok()),
            (Look::Opened, Sense::Opens(watch)) => {
                Ok(watch.read(&mut [0; 512]).is_ok_and(|length| length > 0))
            }
            _ => self.shows_by_itself(said, resolvers),
        }
    }

    fn shows_by_itself(&self, said: &[Said], resolvers: Option<&Resolvers>) -> Result<bool> {
        let asked = |elsewhere: bool| -> Result<bool> {
            let (name, resolvers) = (self.word("name")?, resolvers.context("no resolver")?);
            Ok(if elsewhere {
                resolvers.elsewhere.was_asked(name)
            } else {
                resolvers.usual.iter().any(|one| one.was_asked(name))
            })
        };
        let port = || {
            said.iter()
                .find_map(|line| u16::try_from(line.number("port")).ok())
        };
        Ok(match self.look {
            Look::Started => said.iter().any(|line| line.text("what") == "hold"),
            Look::Asked => asked(false)?,
            Look::AskedElsewhere => asked(true)?,
            Look::Listening => port().is_some_and(can_connect),
            Look::Bound => port().is_some_and(|port| port > 0 && is_taken(port)),
            Look::Truncated => fs::metadata(self.word("file")?)?.len() == 0,
            Look::Created => fs::symlink_metadata(self.word("new")?).is_ok(),
            Look::Renamed => {
                Path::new(self.word("new")?).exists()
                    || fs::read_to_string(self.word("file")?)? == OTHER_CONTENT
            }
            Look::Deleted => !Path::new(self.word("file")?).exists(),
            Look::Remoded => fs::metadata(self.word("file")?)?.mode() & 0o7777 == NEW_MODE,
            Look::Accepted(_) | Look::Received(_) | Look::Opened => false,
        })
    }
}

/// How memfds of programs under test are called, before their own name.
pub const MEMFD: &str = "block-";

const LOOPBACKS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
];

fn can_connect(port: u16) -> bool {
    const SOON: Duration = Duration::from_secs(2);
    port > 0
        && LOOPBACKS
            .iter()
            .any(|ip| TcpStream::connect_timeout(&SocketAddr::new(*ip, port), SOON).is_ok())
}

fn is_taken(port: u16) -> bool {
    LOOPBACKS.iter().any(|ip| {
        let tried = UdpSocket::bind((*ip, port));
        tried.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    })
}
