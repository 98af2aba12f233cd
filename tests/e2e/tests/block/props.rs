//! What acts are done to: resolvers, and a mount as containers have it.

use anyhow::{Result, ensure};
use picket_e2e::dns::Responder;
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The resolvers of a whole test: port 53 in IPv4 and IPv6, and another port.
#[derive(Debug)]
pub struct Resolvers {
    /// Port 53.
    pub usual: [Responder; 2],
    /// Port 853.
    pub elsewhere: Responder,
}

/// Where the IPv4 ones listen.
pub const RESOLVER: &str = "127.77.0.53";

impl Resolvers {
    /// Starts them; call it in the network of the test.
    pub fn start() -> Result<Resolvers> {
        let at =
            |ip: &str, port| Responder::start(SocketAddr::new(ip.parse()?, port), HashMap::new());
        Ok(Resolvers {
            usual: [at(RESOLVER, 53)?, at("::1", 53)?],
            elsewhere: at(RESOLVER, 853)?,
        })
    }
}

/// A mount as containers have it, with a file in its lower layer.
#[derive(Debug)]
pub struct Overlay {
    /// Where it is mounted.
    pub at: PathBuf,
}

impl Overlay {
    /// Mounts it, with the layers in that folder.
    pub fn mount(at: &Path, layers: &Path) -> Result<Overlay> {
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| layers.join(name));
        for folder in [at, &lower, &upper, &work] {
            fs::create_dir_all(folder)?;
        }
        fs::write(lower.join("file"), "content")?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        let mount = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(at)
            .output()?;
        ensure!(
            mount.status.success(),
            "{}",
            String::from_utf8_lossy(&mount.stderr)
        );
        Ok(Overlay { at: at.to_owned() })
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
