//! A network namespace of the test's own.

use crate::scratch::unique;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A namespace with its loopback up; removed at the end.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one.
    pub fn new() -> Result<Netns> {
        let name = format!("picket-test-{}", unique());
        ip(&["netns", "add", &name])?;
        let netns = Netns { name };
        ip(&["-n", &netns.name, "link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// Wires it to the host; removed with it.
    pub fn wire(&self) -> Result<Wire> {
        // Of a range that is nobody's (RFC 2544): a net for each of a test's namespaces.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed);
        let net = format!("198.{}.{}", 18 + number / 256 % 2, number % 256);
        let name = format!("pkt{number}");
        ip(&[
            "link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &self.name,
        ])?;
        let wire = Wire {
            host: format!("{net}.1").parse()?,
            other: format!("{net}.3").parse()?,
            inside: format!("{net}.2").parse()?,
        };
        ip(&["addr", "add", &format!("{}/28", wire.host), "dev", &name])?;
        ip(&["addr", "add", &format!("{}/28", wire.other), "dev", &name])?;
        ip(&["link", "set", &name, "up"])?;
        let inside = format!("{}/28", wire.inside);
        ip(&["-n", &self.name, "addr", "add", &inside, "dev", "eth0"])?;
        ip(&["-n", &self.name, "link", "set", "eth0", "up"])?;
        Ok(wire)
    }

    /// What starts a program inside it.
    pub fn wrapper(&self) -> [String; 2] {
        [
            "nsenter".to_owned(),
            format!("--net=/run/netns/{}", self.name),
        ]
    }

    /// A command inside it. `nsenter` execs the program: the pid stays.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .arg(program);
        command
    }

    /// Does something on a thread that lives in it.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = std::fs::File::open(format!("/run/netns/{}", self.name))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // The thread alone moves, and ends when the work is done.
                rustix::thread::move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&file),
                    Some(rustix::thread::LinkNameSpaceType::Network),
                )?;
                work()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// A wire between host and namespace.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// The host's address on it,
    pub host: std::net::Ipv4Addr,
    /// and another one.
    pub other: std::net::Ipv4Addr,
    /// The namespace's.
    pub inside: std::net::Ipv4Addr,
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(args)
        .output()
        .context("cannot run ip (package iproute2)")?;
    if !output.status.success() {
        bail!(
            "ip {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
