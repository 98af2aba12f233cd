//! Guests: another kernel, or a place where a test may do its worst.
//!
//! ```text
//! files + modules + script ─► initramfs ─► qemu (no KVM needed) ─► lines of the second serial port
//! ```
//! The guest has no disk and no network but its loopback. Its script runs as
//! root under `/bin/sh` (busybox); what it prints comes back, and its exit
//! status. The kernel's own messages go to the first port and are shown when
//! something fails.

mod cpio;
pub mod kernel;
pub mod suite;
pub mod watched;

use crate::binary;
use crate::lines::Lines;
use crate::scratch::Scratch;
use anyhow::{Context, Result, bail};
use cpio::Archive;
use kernel::{Kernel, Series};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a guest may live if nothing else is said, emulated as it is.
const LIFE: Duration = Duration::from_secs(480);

/// Why no guest can run here, if none can.
pub fn missing() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("guests are x86_64 only".to_owned());
    }
    ["qemu-system-x86_64", "busybox", "dpkg", "apt-get"]
        .into_iter()
        .find(|program| binary::find(program).is_none())
        .map(|program| format!("{program} is not installed"))
}

/// A guest with this kernel, or why there is none.
pub fn obtain(series: Series) -> Result<Guest, String> {
    if let Some(why) = missing() {
        return Err(why);
    }
    Guest::new(series).map_err(|error| format!("no kernel for the guest: {error:#}"))
}

/// A guest in the making.
#[derive(Debug)]
pub struct Guest {
    kernel: Kernel,
    files: BTreeMap<String, (u32, Vec<u8>)>,
    modules: Vec<PathBuf>,
    memory_mib: u32,
    arguments: String,
    as_init: bool,
    life: Duration,
}

/// What came of a guest.
#[derive(Debug)]
pub struct Outcome {
    /// The script's exit status.
    pub status: i32,
    /// What the script printed.
    pub lines: Vec<String>,
    /// What the kernel printed.
    pub console: String,
}

const END: &str = "guest-script-ended-with ";

impl Guest {
    /// One with the newest kernel of a series and nothing but busybox.
    pub fn new(series: Series) -> Result<Guest> {
        let mut guest = Guest {
            kernel: series.fetch()?,
            files: BTreeMap::new(),
            modules: Vec::new(),
            memory_mib: 1_024,
            arguments: String::new(),
            as_init: false,
            life: LIFE,
        };
        let busybox = binary::find("busybox").context("no busybox")?;
        guest.add(&busybox, "/bin/busybox")?;
        Ok(guest)
    }

    /// Adds a file with this content.
    pub fn write(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), (mode, content.into()));
    }

    /// Adds a file of the host, executable.
    pub fn add(&mut self, from: &Path, path: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| from.display().to_string())?;
        self.write(path, 0o755, content);
        Ok(())
    }

    /// Adds a program of the host with the libraries it is linked to; debug
    /// information stays behind.
    pub fn add_program(&mut self, from: &Path, path: &str) -> Result<()> {
        let scratch = Scratch::new()?;
        let small = scratch.path().join("program");
        let stripped = Command::new("strip")
            .arg("-o")
            .arg(&small)
            .arg(from)
            .status();
        match stripped {
            Ok(status) if status.success() => self.add(&small, path)?,
            _ => self.add(from, path)?,
        }
        for library in libraries(from)? {
            self.add(&library, &library.display().to_string())?;
        }
        Ok(())
    }

    /// Adds a kernel module, to be loaded before the script runs.
    pub fn module(&mut self, name: &str) -> Result<()> {
        for file in self.kernel.module_files(name)? {
            if !self.modules.contains(&file) {
                self.modules.push(file);
            }
        }
        Ok(())
    }

    /// Adds to the kernel's command line.
    pub fn argument(&mut self, argument: &str) {
        self.arguments.push(' ');
        self.arguments.push_str(argument);
    }

    /// Process 1 itself reads the script, which must not call `exit` then but `return`.
    pub fn script_is_init(&mut self) {
        self.as_init = true;
    }

    /// Sets the memory.
    pub fn memory(&mut self, mib: u32) {
        self.memory_mib = mib;
    }

    /// Sets how long it may live.
    pub fn life(&mut self, life: Duration) {
        self.life = life;
    }

    /// Boots it, runs the script, and waits for the end.
    pub fn run(&self, script: &str) -> Result<Outcome> {
        let scratch = Scratch::new()?;
        let root = scratch.write("root.cpio", self.archive(script)?)?;
        let console = scratch.path().join("console");
        let mut qemu = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg", "-cpu", "max", "-smp", "1"])
            .args(["-m", &self.memory_mib.to_string()])
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-serial", &format!("file:{}", console.display())])
            .args(["-serial", "stdio"])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(&root)
            .arg("-append")
            .arg(format!(
                "console=ttyS0 panic=-1 rdinit=/init lsm=landlock,lockdown,yama,integrity,apparmor,bpf{}",
                self.arguments
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run qemu")?;
        let lines = qemu.stdout.take().context("no stdout")?;
        let errors = qemu.stderr.take().context("no stderr")?;
        let qemu = Qemu(qemu);
        let mut lines = Lines::of("the guest", lines);
        let mut errors = Lines::of("qemu's stderr", errors);
        let status = lines.take_within(self.life, "the end of the guest's script", |line| {
            line.strip_prefix(END)?.trim().parse().ok()
        });
        drop(qemu);
        let console = fs::read(&console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        match status {
            Ok(status) => Ok(Outcome {
                status,
                lines: lines.rest()?,
                console,
            }),
            Err(error) => {
                let tail: Vec<&str> = console.lines().rev().take(30).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!(
                    "{error}\n--- qemu\n{}\n--- the guest's console\n{}",
                    errors.rest()?.join("\n"),
                    tail.join("\n")
                )
            }
        }
    }

    fn archive(&self, script: &str) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        let mut folders = BTreeSet::new();
        for folder in [
            "/dev", "/proc", "/sys", "/tmp", "/etc", "/bin", "/root", "/modules", "/run",
        ] {
            add_folders(&mut archive, folder, &mut folders)?;
        }
        for (path, (mode, content)) in &self.files {
            if let Some((folder, _)) = path.rsplit_once('/') {
                add_folders(&mut archive, folder, &mut folders)?;
            }
            archive.file(path, *mode, content)?;
        }
        archive.device("/dev/console", 5, 1)?;
        archive.link("/bin/sh", "busybox")?;
        let start = if self.as_init { "." } else { "sh" };
        archive.file("/init", 0o755, INIT.replace("START", start).as_bytes())?;
        archive.file("/script", 0o755, script.as_bytes())?;
        for (at, module) in self.modules.iter().enumerate() {
            let content = kernel::read_module(module)?;
            archive.file(&format!("/modules/{at:03}.ko"), 0o644, &content)?;
        }
        archive.finish()
    }
}

/// The guest's first process.
const INIT: &str = r#"#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
hostname guest
ip link set lo up
for module in /modules/*.ko; do [ -f "$module" ] && insmod "$module"; done
stty -F /dev/ttyS1 raw -echo
START /script >/dev/ttyS1 2>&1
echo "guest-script-ended-with $?" >/dev/ttyS1
poweroff -f
"#;

fn add_folders(archive: &mut Archive, path: &str, made: &mut BTreeSet<String>) -> Result<()> {
    let mut whole = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        whole.push('/');
        whole.push_str(part);
        if made.insert(whole.clone()) {
            archive.folder(&whole)?;
        }
    }
    Ok(())
}

/// The files that the dynamic linker would load, the linker among them; none
/// for a static program.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("cannot run ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .map(PathBuf::from)
        .collect())
}

/// The emulator; never outlives the test.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
