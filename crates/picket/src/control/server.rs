//! The socket's server: a thread that takes clients, and one for each of them.

use super::desk::refused;
use super::socket::Socket;
use super::wire::{Envelope, Refusal, Reply, Request, VERSION};
use super::{MAX_CLIENTS, MAX_REQUEST, PATIENCE};
use rustix::net::sockopt::socket_peercred;
use serde::Deserialize;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Answers one request.
pub type Answer = Arc<dyn Fn(Request) -> Reply + Send + Sync>;

/// Serves the socket's clients until the process ends.
pub fn start(socket: &Socket, answer: Answer) -> io::Result<()> {
    let listener = socket.listener()?;
    thread::Builder::new()
        .name("picket-control".into())
        .spawn(move || take_clients(&listener, &answer))?;
    Ok(())
}

fn take_clients(listener: &UnixListener, answer: &Answer) {
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors or memory: others need some time to give theirs back.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let place = Seat::take(&clients);
        let answer = answer.clone();
        // Without a thread there is nobody to serve; the client sees the end of it.
        let _ = thread::Builder::new()
            .name("picket-client".into())
            .spawn(move || {
                let served = match place {
                    Some(_) if may_ask(&stream) => serve(&stream, &answer),
                    Some(_) => say(
                        &stream,
                        refused(
                            Refusal::NotAllowed,
                            "only root and the sensor's own user may ask",
                        ),
                    ),
                    None => say(
                        &stream,
                        refused(Refusal::Busy, "too many clients at once: try again"),
                    ),
                };
                // A client that leaves is no news.
                drop(served);
            });
    }
}

/// One of the places for clients.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(clients: &Arc<AtomicUsize>) -> Option<Seat> {
        let seat = Seat(clients.clone());
        (clients.fetch_add(1, Ordering::Relaxed) < MAX_CLIENTS).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whoever opened the socket, not whoever writes to it now.
fn may_ask(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    socket_peercred(stream).is_ok_and(|peer| peer.uid.is_root() || peer.uid == own)
}

/// Requests, a line each, until the client leaves, is silent for too long, or sends
/// what is no line.
fn serve(stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MAX_REQUEST as u64 + 1;
        let mut limited = reader.by_ref().take(limit);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > MAX_REQUEST {
            let message = format!("a request has at most {MAX_REQUEST} bytes");
            return say(stream, refused(Refusal::TooLong, message));
        }
        let reply = match read(&line) {
            Ok(request) => answer(request),
            Err(refused) => *refused,
        };
        say(stream, reply)?;
    }
}

/// The request that a line holds, or what is wrong with it.
fn read(line: &[u8]) -> Result<Request, Box<Reply>> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let bad = |error: serde_json::Error| {
        Box::new(refused(
            Refusal::BadRequest,
            format!("this is no request: {error}"),
        ))
    };
    let Version { version } = serde_json::from_slice(line).map_err(bad)?;
    if version != VERSION {
        return Err(Box::new(refused(
            Refusal::Version,
            format!("this sensor speaks version {VERSION}, not {version}"),
        )));
    }
    let request: Envelope<Request> = serde_json::from_slice(line).map_err(bad)?;
    Ok(request.body)
}

fn say(mut stream: &UnixStream, reply: Reply) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(&Envelope::new(reply))?;
    line.push(b'\n');
    stream.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::super::socket::Place;
    use super::*;
    use std::sync::{Condvar, Mutex};
    use tempfile::TempDir;

    fn server(answer: impl Fn(Request) -> Reply + Send + Sync + 'static) -> (TempDir, Socket) {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place::At(scratch.path().join("s"));
        let socket = Socket::open(&place).unwrap().unwrap();
        start(&socket, Arc::new(answer)).unwrap();
        (scratch, socket)
    }

    fn known(request: Request) -> Reply {
        match request {
            Request::ResetBudgets { policies } => Reply::BudgetsReset { pid: 1, policies },
            _ => refused(Refusal::Failed, "not in this test"),
        }
    }

    /// What comes back for these bytes, a line each, to the end.
    fn say_raw(socket: &Socket, bytes: &[u8]) -> Vec<Reply> {
        let mut stream = UnixStream::connect(&socket.path).unwrap();
        // It may have hung up before it read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str::<Envelope<Reply>>(line).unwrap().body)
            .collect()
    }

    fn code(replies: &[Reply]) -> Vec<Option<Refusal>> {
        let code = |reply: &Reply| match reply {
            Reply::Refused { code, .. } => Some(*code),
            _ => None,
        };
        replies.iter().map(code).collect()
    }

    #[test]
    fn every_line_gets_an_answer_in_order() {
        let (_scratch, socket) = server(known);
        let replies = say_raw(
            &socket,
            b"{\"version\":1,\"request\":\"reset_budgets\",\"policies\":[\"a\"]}\n\
              {\"version\":1,\"request\":\"stats\",\"later\":\"field\"}\n",
        );
        let policies = vec!["a".to_owned()];
        assert_eq!(replies[0], Reply::BudgetsReset { pid: 1, policies });
        assert_eq!(code(&replies[1..]), [Some(Refusal::Failed)]);
    }

    #[test]
    fn what_is_no_request_is_refused_and_the_next_line_heard() {
        let (_scratch, socket) = server(known);
        for (line, refusal) in [
            ("", Refusal::BadRequest),
            ("\u{0}", Refusal::BadRequest),
            ("[]", Refusal::BadRequest),
            ("{}", Refusal::BadRequest),
            ("{\"version\":\"1\"}", Refusal::BadRequest),
            ("{\"version\":1}", Refusal::BadRequest),
            (
                "{\"version\":1,\"request\":\"frobnicate\"}",
                Refusal::BadRequest,
            ),
            (
                "{\"version\":1,\"request\":\"reset_budgets\"}",
                Refusal::BadRequest,
            ),
            ("{\"version\":2,\"request\":\"stats\"}", Refusal::Version),
            ("{\"version\":2,\"request\":{\"new\":[]}}", Refusal::Version),
        ] {
            let next = "{\"version\":1,\"request\":\"reset_budgets\",\"policies\":[]}";
            let replies = say_raw(&socket, format!("{line}\n{next}\n").as_bytes());
            assert_eq!(code(&replies), [Some(refusal), None], "{line}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(
            code(&say_raw(&socket, format!("{deep}\n").as_bytes())),
            [Some(Refusal::BadRequest)]
        );
        assert_eq!(
            code(&say_raw(&socket, &[0xff, 0xfe, b'\n'])),
            [Some(Refusal::BadRequest)]
        );
    }

    #[test]
    fn a_line_without_an_end_is_refused_and_hung_up_on() {
        let (_scratch, socket) = server(known);
        let request = "{\"version\":1,\"request\":\"reset_budgets\",\"policies\":[]}";
        let padded = format!("{request}{}\n", " ".repeat(MAX_REQUEST - request.len() - 1));
        assert_eq!(code(&say_raw(&socket, padded.as_bytes())), [None]);
        // Hanging up on bytes that were not read may take the answer with it.
        let mut stream = UnixStream::connect(&socket.path).unwrap();
        stream.write_all(&vec![b' '; MAX_REQUEST + 1]).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("too_long"), "{text}");
    }

    #[test]
    fn clients_are_bounded_and_a_place_is_free_again_when_one_leaves() {
        let gate = Arc::new((Mutex::new(0usize), Condvar::new()));
        let inside = gate.clone();
        let (_scratch, socket) = server(move |request| {
            *inside.0.lock().unwrap() += 1;
            inside.1.notify_all();
            known(request)
        });
        let request = b"{\"version\":1,\"request\":\"status\"}\n";
        let clients: Vec<UnixStream> = (0..MAX_CLIENTS)
            .map(|_| {
                let mut stream = UnixStream::connect(&socket.path).unwrap();
                stream.write_all(request).unwrap();
                stream
            })
            .collect();
        // All of them are being served.
        let served = gate.0.lock().unwrap();
        drop(gate.1.wait_while(served, |n| *n < MAX_CLIENTS).unwrap());
        assert_eq!(code(&say_raw(&socket, request)), [Some(Refusal::Busy)]);
        drop(clients);
        // The server sees them leave in its own time.
        while code(&say_raw(&socket, request)) == [Some(Refusal::Busy)] {
            thread::yield_now();
        }
        assert_eq!(code(&say_raw(&socket, request)), [Some(Refusal::Failed)]);
    }
}
