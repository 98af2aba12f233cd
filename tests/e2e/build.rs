//! Compiles `programs/` into one static binary, so that it runs in containers
//! and guests that hold no library, and each of `programs/first/` into one of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let folder = Path::new("programs");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-env-changed=CC");

    let flags = [
        "-std=gnu17",
        "-O1",
        "-static",
        "-pthread",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-format-zero-length",
    ];
    compile(&flags, &sources(folder, "c")?, &out.join("picket-cause"))?;

    // Nothing runs in these before their own first instruction.
    let bare = [
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,noexecstack",
    ];
    for source in sources(&folder.join("first"), "S")? {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let program = out.join(format!("first-{name}"));
        compile(&bare, std::slice::from_ref(&source), &program)?;
    }
    Ok(())
}

fn sources(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn compile(flags: &[&str], sources: &[PathBuf], to: &Path) -> Result<(), Failure> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(&compiler)
        .args(flags)
        .arg("-o")
        .arg(to)
        .args(sources)
        .status()
        .map_err(|error| format!("cannot run the C compiler {compiler}: {error}"))?;
    if !status.success() {
        return Err(format!("{compiler} failed: {status}").into());
    }
    Ok(())
}
