//! Asking a running sensor.

use super::wire::{Envelope, Reply, Request, VERSION};
use super::{DEFAULT_PATH, MAX_REPLY, PATIENCE};
use anyhow::{Context, Result, bail};
use picket_model::text::Escaped;
use serde::Deserialize;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// `--control PATH`.
#[derive(Debug, Clone, clap::Args)]
pub struct ControlArgs {
    /// The control socket of the sensor to ask
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    pub control: PathBuf,
}

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    /// A sensor answered.
    Reply(Reply),
    /// There is none; why it is thought so.
    Nobody(String),
}

/// Asks the sensor at that socket.
pub fn ask(path: &Path, request: &Request) -> Result<Asked> {
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if is_nobody(error.kind()) => {
            return Ok(Asked::Nobody(nobody(path)));
        }
        Err(error) => {
            let hint = match error.kind() {
                ErrorKind::PermissionDenied => ": run as root",
                _ => "",
            };
            bail!("cannot ask the sensor at {}: {error}{hint}", path.display());
        }
    };
    let broken = || format!("the sensor at {} did not answer", path.display());
    let answer = talk(&mut stream, request)
        // As text: a socket that breaks is not a reader of our output that left.
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(broken)?;
    let reply = read(&answer).with_context(broken)?;
    match reply {
        Reply::Refused { message, .. } => {
            bail!(
                "the sensor at {} refused: {}",
                path.display(),
                Escaped(&message)
            )
        }
        reply => Ok(Asked::Reply(reply)),
    }
}

/// Sends the request, and gives the line that comes back.
fn talk(stream: &mut UnixStream, request: &Request) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(&Envelope::new(request))?;
    line.push(b'\n');
    // Whoever refuses may have hung up before it heard us.
    let sent = stream.write_all(&line);
    let mut answer = Vec::new();
    let mut limited = BufReader::new(stream).take(MAX_REPLY as u64);
    let heard = limited.read_until(b'\n', &mut answer);
    match (sent, heard) {
        (Err(error), _) | (_, Err(error)) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

fn read(line: &[u8]) -> Result<Reply> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    if !line.ends_with(b"\n") {
        bail!("it hung up, or said more than {MAX_REPLY} bytes");
    }
    let Version { version } = serde_json::from_slice(line).context("what it said is no reply")?;
    if version != VERSION {
        bail!("it speaks version {version}, this command {VERSION}: use the picket of the sensor");
    }
    let reply: Envelope<Reply> =
        serde_json::from_slice(line).context("what it said is no reply")?;
    Ok(reply.body)
}

/// The reply to a request that has one of a kind.
pub fn unexpected(reply: &Reply) -> anyhow::Error {
    let answer = format!("{reply:?}");
    let start: String = answer.chars().take(40).collect();
    anyhow::anyhow!("the sensor answered something else: {start}…")
}

fn is_nobody(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// That nobody is there, and who else is.
fn nobody(path: &Path) -> String {
    let mut text = format!("no sensor answers at {}", path.display());
    let others = others(path);
    if !others.is_empty() {
        let others: Vec<String> = others
            .iter()
            .map(|other| format!("--control {}", other.display()))
            .collect();
        text = format!("{text}; there is {}", others.join(", "));
    }
    text
}

/// Other sockets of sensors that run: beside that one, and where they usually are.
fn others(path: &Path) -> Vec<PathBuf> {
    let usual = Path::new(DEFAULT_PATH).parent();
    let mut folders: Vec<&Path> = path.parent().into_iter().chain(usual).collect();
    folders.dedup();
    let entries = folders
        .into_iter()
        .filter_map(|folder| folder.read_dir().ok())
        .flatten();
    let mut others: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|other| other != path && other.extension().is_some_and(|ext| ext == "sock"))
        .filter(|other| UnixStream::connect(other).is_ok())
        .collect();
    others.sort();
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;

    /// Answers one client with these bytes.
    fn answering(bytes: &'static [u8]) -> (tempfile::TempDir, PathBuf, thread::JoinHandle<()>) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line, "{\"version\":1,\"request\":\"status\"}\n");
            stream.write_all(bytes).unwrap();
        });
        (scratch, path, server)
    }

    #[test]
    fn answers_that_are_none_are_errors_with_a_reason() {
        for (bytes, reason) in [
            (&b""[..], "hung up"),
            (b"{\"version\":1,\"reply\":\"budgets_reset\"", "hung up"),
            (b"hello\n", "no reply"),
            (b"{\"version\":1,\"reply\":\"other\"}\n", "no reply"),
            (b"{\"version\":7}\n", "version 7"),
            (
                b"{\"version\":1,\"reply\":\"refused\",\"code\":\"busy\",\"message\":\"not\\u001b now\"}\n",
                "refused: not\\x1b now",
            ),
        ] {
            let (_scratch, path, server) = answering(bytes);
            let error = format!("{:#}", ask(&path, &Request::Status).unwrap_err());
            assert!(error.contains(reason), "{error}");
            server.join().unwrap();
        }
    }

    #[test]
    fn a_refusal_is_heard_although_the_request_was_not() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"{\"version\":1}\n").unwrap();
        drop(server);
        let heard = talk(&mut client, &Request::Status).unwrap();
        assert_eq!(heard, b"{\"version\":1}\n");
        // Nothing was said at all.
        let mut client = UnixStream::connect(&path).unwrap();
        drop(listener.accept().unwrap());
        assert!(talk(&mut client, &Request::Status).is_err());
    }

    #[test]
    fn nobody_is_no_error_and_others_are_named() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sensor.sock");
        let asked = |path: &Path| match ask(path, &Request::Status).unwrap() {
            Asked::Nobody(why) => why,
            Asked::Reply(reply) => panic!("{reply:?}"),
        };
        assert!(asked(&path).starts_with("no sensor answers at "));
        // One that was killed, and one that runs.
        drop(UnixListener::bind(&path).unwrap());
        let other = scratch.path().join("sensor-9.sock");
        let _listener = UnixListener::bind(&other).unwrap();
        let why = asked(&path);
        let named = format!("--control {}", other.display());
        assert!(why.contains(&named), "{why}");
    }
}
