//! Where the programs under test are.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `picket` binary: `PICKET_BIN`, or else what `cargo build -p picket` makes
/// (cargo's own lock keeps parallel tests apart).
pub fn picket() -> Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let path = match std::env::var_os("PICKET_BIN") {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    if !path.is_file() {
        bail!("no picket binary at {}", path.display());
    }
    Ok(FOUND.get_or_init(|| path))
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "-p", "picket", "--bin", "picket"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "cargo build -p picket failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "picket")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo named no executable")
}

/// Runs a subcommand of picket to its end.
pub fn run_picket<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<std::process::Output> {
    Command::new(picket()?)
        .args(args)
        .output()
        .context("cannot run picket")
}

/// The program of `programs/`, static.
pub const CAUSE: &str = concat!(env!("OUT_DIR"), "/picket-cause");

/// Its first act is to write a byte to descriptor 3.
pub const FIRST_WRITE: &str = concat!(env!("OUT_DIR"), "/first-write");

/// Its first act is to create `escaped` in its working directory.
pub const FIRST_CREAT: &str = concat!(env!("OUT_DIR"), "/first-creat");

/// A program on the search path.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(sbin)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}
