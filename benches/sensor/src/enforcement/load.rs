//! Operations whose cost is measured, one after the other on one thread.

use super::undisturbed;
use anyhow::{Context, Result};
use std::hint::black_box;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Instant;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// fork, exec and exit of `/bin/true`.
    Process,
    /// socket, connect to a closed port of this host, close.
    Connect,
    /// send of a DNS question on one socket.
    Question,
    /// A system call that no hook looks at.
    Syscall,
}

impl Load {
    /// All.
    pub const ALL: [Load; 4] = [Load::Process, Load::Connect, Load::Question, Load::Syscall];

    /// In the table.
    pub fn name(self) -> &'static str {
        match self {
            Load::Process => "fork+exec+exit",
            Load::Connect => "connect (TCP, refused)",
            Load::Question => "send of a DNS question",
            Load::Syscall => "getppid",
        }
    }

    /// Operations a measurement.
    pub fn count(self) -> u32 {
        match self {
            Load::Process => 1_500,
            Load::Connect => 20_000,
            Load::Question => 20_000,
            Load::Syscall => 2_000_000,
        }
    }

    /// The same, for a command line.
    pub fn word(self) -> &'static str {
        match self {
            Load::Process => "process",
            Load::Connect => "connect",
            Load::Question => "question",
            Load::Syscall => "syscall",
        }
    }

    /// Nanoseconds an operation, measured in a process of its own.
    pub fn measure(self) -> Result<f64> {
        let said = undisturbed::run(&["--load", self.word()])?;
        said.trim().parse().context("the load said no number")
    }

    /// Nanoseconds an operation.
    pub fn run(self) -> Result<f64> {
        let count = self.count();
        let start;
        match self {
            Load::Process => {
                start = Instant::now();
                for _ in 0..count {
                    Command::new("/bin/true").status()?;
                }
            }
            Load::Connect => {
                // Its port is closed as soon as it is known.
                let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
                start = Instant::now();
                for _ in 0..count {
                    let _ = black_box(TcpStream::connect(address));
                }
            }
            Load::Question => {
                let server = "127.53.0.1:53";
                let _server = UdpSocket::bind(server).context("cannot listen on port 53")?;
                let socket = UdpSocket::bind("127.0.0.1:0")?;
                socket.connect(server)?;
                let question = question();
                start = Instant::now();
                for _ in 0..count {
                    socket.send(&question)?;
                }
            }
            Load::Syscall => {
                start = Instant::now();
                for _ in 0..count {
                    black_box(std::os::unix::process::parent_id());
                }
            }
        }
        Ok(start.elapsed().as_nanos() as f64 / f64::from(count))
    }
}

/// An A question for www.example.com (RFC 1035, section 4.1).
fn question() -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["www", "example", "com"] {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}
