//! Kernels for guests: Debian's cloud images, unpacked into a cache and never installed.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernel series, such as `6.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series(pub &'static str);

/// Debian 12's own.
pub const V6_1: Series = Series("6.1");
/// From Debian's backports.
pub const V6_12: Series = Series("6.12");

/// An unpacked one.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The bootable image.
    pub image: PathBuf,
    /// `lib/modules/VERSION`.
    pub modules: PathBuf,
}

/// Outside the clone, so that it is fetched once a machine.
fn cache() -> PathBuf {
    if let Some(path) = std::env::var_os("PICKET_GUEST_CACHE") {
        return path.into();
    }
    PathBuf::from("/var/tmp/picket-guest-kernels")
}

impl Series {
    /// The newest of the series: from the cache, or else from Debian.
    pub fn fetch(self) -> Result<Kernel> {
        let home = cache().join(self.0);
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        // Tests are processes: one fetches, the others wait.
        let lock = fs::File::create(home.join("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;

        let unpacked = home.join("root");
        if let Ok(kernel) = Kernel::in_root(&unpacked) {
            return Ok(kernel);
        }
        let package = self.newest_package()?;
        let partial = home.join("partial");
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial)?;
        run(Command::new("apt-get")
            .args(["download", "-q", &package])
            .current_dir(&partial))?;
        let archive = fs::read_dir(&partial)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt-get download {package} left no file"))?;
        run(Command::new("dpkg")
            .arg("-x")
            .arg(&archive)
            .arg(partial.join("root")))?;
        let _ = fs::remove_dir_all(&unpacked);
        fs::rename(partial.join("root"), &unpacked)?;
        fs::remove_dir_all(&partial)?;
        Kernel::in_root(&unpacked)
    }

    fn newest_package(self) -> Result<String> {
        let search = || -> Result<Option<String>> {
            let pattern = format!(
                "^linux-image-{}\\.[0-9].*-cloud-amd64$",
                self.0.replace('.', "\\.")
            );
            let found = run(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
            let names = found.lines().filter_map(|line| line.split(' ').next());
            Ok(names.max_by_key(|name| numbers(name)).map(str::to_owned))
        };
        if let Some(name) = search()? {
            return Ok(name);
        }
        run(Command::new("apt-get").args(["update", "-q"]))?;
        search()?.with_context(|| format!("no cloud kernel {} among the packages", self.0))
    }
}

/// The numbers in a package's name, so that 10 comes after 9.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

impl Kernel {
    fn in_root(root: &Path) -> Result<Kernel> {
        let image = only_entry(&root.join("boot"), "vmlinuz-")?;
        let library = [root.join("lib/modules"), root.join("usr/lib/modules")]
            .into_iter()
            .find(|folder| folder.is_dir())
            .context("no modules")?;
        Ok(Kernel {
            image,
            modules: only_entry(&library, "")?,
        })
    }

    /// The files of a module, in the order to load them: what it needs first.
    pub fn module_files(&self, name: &str) -> Result<Vec<PathBuf>> {
        let mut order = Vec::new();
        self.visit(name, &mut order)?;
        Ok(order)
    }

    fn visit(&self, name: &str, order: &mut Vec<PathBuf>) -> Result<()> {
        let file = find_module(&self.modules.join("kernel"), name)
            .with_context(|| format!("no module {name} in {}", self.modules.display()))?;
        if order.contains(&file) {
            return Ok(());
        }
        let bytes = read_module(&file)?;
        for needed in needs(&bytes) {
            self.visit(&needed, order)?;
        }
        order.push(file);
        Ok(())
    }
}

/// A module's content, unpacked.
pub fn read_module(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|extension| extension == "xz") {
        let output = Command::new("xz").arg("-dc").arg(file).output()?;
        if !output.status.success() {
            bail!("xz: {}", String::from_utf8_lossy(&output.stderr));
        }
        return Ok(output.stdout);
    }
    Ok(fs::read(file)?)
}

/// The `depends=` entry of `.modinfo` (depmod has not been run here).
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let rest = &module[at + KEY.len()..];
    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&rest[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn find_module(folder: &Path, name: &str) -> Option<PathBuf> {
    let wanted = name.replace('-', "_");
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let file = entry.file_name().to_string_lossy().replace('-', "_");
        if path.is_dir() {
            if let Some(found) = find_module(&path, name) {
                return Some(found);
            }
        } else if file
            .strip_suffix(".xz")
            .unwrap_or(&file)
            .strip_suffix(".ko")
            == Some(&wanted)
        {
            return Some(path);
        }
    }
    None
}

fn only_entry(folder: &Path, start: &str) -> Result<PathBuf> {
    fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(start))
        })
        .with_context(|| format!("nothing named {start}* in {}", folder.display()))
}

fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| shown.clone())?;
    if !output.status.success() {
        bail!(
            "{shown}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(
            numbers("linux-image-6.1.0-10-cloud-amd64")
                > numbers("linux-image-6.1.0-9-cloud-amd64")
        );
    }

    #[test]
    fn a_module_names_what_it_needs() {
        assert_eq!(
            needs(b"license=GPL\0depends=nf_tables,libcrc32c\0retpoline=Y\0"),
            ["nf_tables", "libcrc32c"]
        );
        assert!(needs(b"license=GPL\0depends=\0").is_empty());
        assert!(needs(b"").is_empty());
    }
}
