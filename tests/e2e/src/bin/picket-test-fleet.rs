//! The fleet half of a server as a process of its own, for tests that kill it.
//!
//! `picket-test-fleet STORE FOLDER ADDRESS` prints the address that it listens at, and
//! serves until it is killed.

use anyhow::{Context, Result};
use picket_server::fleet::Fleet;
use std::io::Write;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("STORE FOLDER ADDRESS");
    let location = next()?.parse()?;
    let mut config = picket_e2e::fleet::quick(next()?.into());
    config.listen = next()?.parse()?;
    let store = picket_store::open(&location).await?;
    let fleet = Fleet::start(config, store).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", fleet.address())?;
    out.flush()?;
    std::future::pending().await
}
