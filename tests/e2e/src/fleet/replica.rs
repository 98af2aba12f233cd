//! The fleet half of a server as a process of its own, to be killed; and what is
//! delivered to it meanwhile.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Two of these on one store are two replicas.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts `picket-test-fleet`, which lies at `program`.
    pub fn start(program: &str, location: &str, folder: &Path) -> Result<Server> {
        let mut child = Command::new(program)
            .arg(location)
            .arg(folder)
            .arg("127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let address = line.trim().parse().context("it did not start")?;
        Ok(Server { child, address })
    }

    /// At once, in the middle of whatever it does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A finding as small as the store takes it.
pub fn finding(number: u64) -> Vec<u8> {
    serde_json::json!({
        "time": 1_795_400_000_000_u64 + number,
        "severity_id": 4,
        "disposition_id": 17,
        "finding_info": {"uid": format!("f-{number}"), "analytic": {"uid": "any"}},
        "evidences": [{"device": {"hostname": "simulated"}}],
    })
    .to_string()
    .into_bytes()
}

/// Always the same numbers (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// From 0 to below that.
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}
