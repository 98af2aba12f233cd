//! Compiles the kernel programs to one eBPF object.
//!
//! clang writes debug information that the kernel has no use for; bpftool's
//! linker keeps BTF and drops the rest.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=BPFTOOL");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let compiled = out.join("picket.bpf.unlinked.o");
    let object = out.join("picket.bpf.o");

    let (define, headers) = match std::env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => ("-D__TARGET_ARCH_x86", "/usr/include/x86_64-linux-gnu"),
        "aarch64" => ("-D__TARGET_ARCH_arm64", "/usr/include/aarch64-linux-gnu"),
        other => return Err(format!("the eBPF programs do not know {other}").into()),
    };
    // libbpf-sys tells its direct dependents where it put libbpf's headers.
    let libbpf = std::env::var("DEP_BPF_INCLUDE")?;
    run(
        Command::new(tool("CLANG", &["clang", "clang-14"]))
            .args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", define])
            .args(["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])
            .arg(format!("-I{libbpf}"))
            // asm/types.h of the target; after clang's own directories.
            .args(["-idirafter", headers])
            .args(["-c", "bpf/picket.bpf.c", "-o"])
            .arg(&compiled),
        "clang",
    )?;
    run(
        Command::new(tool("BPFTOOL", &["bpftool", "/usr/sbin/bpftool"]))
            .args(["gen", "object"])
            .args([&object, &compiled]),
        "bpftool",
    )
}

/// The first of `names` that can be started, unless the environment names one.
fn tool(variable: &str, names: &[&str]) -> PathBuf {
    if let Ok(name) = std::env::var(variable) {
        return name.into();
    }
    let found = names
        .iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok());
    Path::new(found.unwrap_or(&names[0])).into()
}

fn run(command: &mut Command, package: &str) -> Result<(), Box<dyn Error>> {
    let status = command.status().map_err(|error| {
        format!(
            "cannot start {:?}: {error}; install it: apt-get install {package}",
            command.get_program()
        )
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} failed: {status}").into())
    }
}
