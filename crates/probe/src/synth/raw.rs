//! Records with every field chosen, possible ones and odd ones: for tests that
//! hold the kernel's judgement against the sensor's.

use super::Actor;
use crate::wire::{self, Wire};
use picket_model::Datum;
use picket_model::record::{OpenFlags, Protocol};
use std::net::{IpAddr, SocketAddr};

/// A new image, its texts as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Path of the file.
    pub path: Datum<Vec<u8>>,
    /// The file as it was asked for.
    pub filename: Datum<Vec<u8>>,
    /// The interpreter, for a script.
    pub interpreter: Datum<Vec<u8>>,
    /// Working directory.
    pub working_directory: Datum<Vec<u8>>,
    /// Controlling terminal.
    pub tty: Datum<Vec<u8>>,
    /// The arguments, each with its NUL.
    pub args: Datum<Vec<u8>>,
    /// Inode of the file.
    pub inode: u64,
    /// Its device.
    pub device: u32,
    /// It has no name any more.
    pub deleted: bool,
    /// It lies in an overlay's upper layer.
    pub upper_layer: bool,
    /// Effective capabilities.
    pub capabilities: u64,
}

/// The record of `actor` executing `image`.
pub fn exec(actor: &Actor, image: &Image) -> Vec<u8> {
    let mut tail = Vec::new();
    let cgroup = Datum::Known(b"/test".to_vec());
    let texts = [
        &image.path,
        &image.filename,
        &image.interpreter,
        &image.working_directory,
        &image.tty,
        &cgroup,
        &image.args,
    ]
    .map(|text| append(&mut tail, text));
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    let exec = wire::Exec {
        head: actor.head(wire::EXEC, size_of::<wire::Exec>() + tail.len()),
        inode: image.inode,
        mtime_ns: 1,
        capabilities: image.capabilities,
        device: image.device,
        links: u32::from(!image.deleted),
        flags: flag(image.deleted, wire::EXEC_DELETED)
            | flag(image.upper_layer, wire::EXEC_UPPER_LAYER),
        reserved: 0,
        verdict: super::UNJUDGED,
        texts,
        more_reserved: 0,
    };
    [exec.bytes(), &tail].concat()
}

/// The record of `actor` connecting.
pub fn connect(
    actor: &Actor,
    protocol: Protocol,
    remote: SocketAddr,
    local: Option<SocketAddr>,
    errno: Datum<i32>,
) -> Vec<u8> {
    wire::Connect {
        head: actor.head(wire::CONNECT, size_of::<wire::Connect>()),
        cookie: 1,
        remote: address(Some(remote)),
        local: address(local),
        error: errno.value().copied().unwrap_or(0),
        protocol: number(protocol),
        error_known: known(&errno) as u8,
        reserved: 0,
        verdict: super::UNJUDGED,
    }
    .bytes()
    .to_vec()
}

/// The record of `actor`'s socket beginning to listen.
pub fn listen(actor: &Actor, protocol: Protocol, local: SocketAddr) -> Vec<u8> {
    wire::Listen {
        head: actor.head(wire::LISTEN, size_of::<wire::Listen>()),
        local: address(Some(local)),
        protocol: number(protocol),
        reserved: 0,
        verdict: super::UNJUDGED,
    }
    .bytes()
    .to_vec()
}

/// The record of `actor` sending this DNS message.
pub fn dns(actor: &Actor, protocol: Protocol, resolver: SocketAddr, message: &[u8]) -> Vec<u8> {
    let dns = wire::Dns {
        head: actor.head(wire::DNS_QUERY, size_of::<wire::Dns>() + message.len()),
        remote: address(Some(resolver)),
        protocol: number(protocol),
        reserved: 0,
        message_len: message.len() as u32,
        payload_len: message.len() as u32,
        verdict: super::UNJUDGED,
    };
    [dns.bytes(), message].concat()
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opened.
    Open(OpenFlags),
    /// Created.
    Create(OpenFlags),
    /// Renamed.
    Rename,
    /// Unlinked.
    Delete,
    /// Given a mode.
    Chmod(u32),
}

/// The record of `actor` doing something to a file. A path is a directory and
/// what was given below it.
pub fn file(
    actor: &Actor,
    operation: Operation,
    path: [&Datum<Vec<u8>>; 2],
    from: [&Datum<Vec<u8>>; 2],
    errno: Datum<i32>,
) -> Vec<u8> {
    let (kind, open, mode) = match operation {
        Operation::Open(flags) => (wire::FILE_OPEN, open_bits(flags), 0),
        Operation::Create(flags) => (wire::FILE_CREATE, open_bits(flags), 0),
        Operation::Rename => (wire::FILE_RENAME, 0, 0),
        Operation::Delete => (wire::FILE_DELETE, 0, 0),
        Operation::Chmod(mode) => (wire::FILE_CHMOD, 0, mode),
    };
    let mut tail = Vec::new();
    let texts = [path[0], path[1], from[0], from[1]].map(|text| append(&mut tail, text));
    let file = wire::File {
        head: actor.head(kind, size_of::<wire::File>() + tail.len()),
        error: errno.value().copied().unwrap_or(0),
        mode,
        error_known: known(&errno) as u8,
        open,
        reserved: 0,
        more_reserved: 0,
        verdict: super::UNJUDGED,
        texts,
    };
    [file.bytes(), &tail].concat()
}

fn open_bits(flags: OpenFlags) -> u8 {
    let bit = |set: bool, bit: u32| if set { bit } else { 0 };
    let bits = bit(flags.read, wire::OPEN_READ)
        | bit(flags.write, wire::OPEN_WRITE)
        | bit(flags.create, wire::OPEN_CREATE);
    bits as u8
}

fn number(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP as u16,
        Protocol::Udp => libc::IPPROTO_UDP as u16,
    }
}

fn address(address: Option<SocketAddr>) -> wire::Address {
    let mut ip = [0; 16];
    let (family, port) = match address {
        None => (0, 0),
        Some(address) => {
            let family = match address.ip() {
                IpAddr::V4(v4) => {
                    ip[..4].copy_from_slice(&v4.octets());
                    4
                }
                IpAddr::V6(v6) => {
                    ip = v6.octets();
                    6
                }
            };
            (family, address.port())
        }
    };
    wire::Address { ip, port, family }
}

fn known<T>(datum: &Datum<T>) -> u32 {
    match datum {
        Datum::Absent => wire::ABSENT,
        Datum::Unknown => wire::UNKNOWN,
        Datum::Truncated(_) => wire::TRUNCATED,
        Datum::Known(_) => wire::KNOWN,
    }
}

fn append(tail: &mut Vec<u8>, text: &Datum<Vec<u8>>) -> wire::Text {
    let bytes = text.value().map_or(&[][..], Vec::as_slice);
    let bytes = &bytes[..bytes.len().min(wire::TEXT_MAX)];
    tail.extend_from_slice(bytes);
    wire::Text {
        len: bytes.len() as u16,
        known: known(text) as u8,
        reserved: 0,
    }
}
