//! Compiles `programs/` into one static binary, so that it runs in containers
//! and guests that hold no library.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join("picket-cause");
    let folder = Path::new("programs");
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    sources.sort();

    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-env-changed=CC");
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(&compiler)
        .args(["-std=gnu17", "-O1", "-static", "-pthread"])
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-format-zero-length"])
        .arg("-o")
        .arg(&out)
        .args(&sources)
        .status()
        .map_err(|error| format!("cannot run the C compiler {compiler}: {error}"))?;
    if !status.success() {
        return Err(format!("{compiler} failed: {status}").into());
    }
    Ok(())
}
