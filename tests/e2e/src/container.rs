//! A container made by runc: busybox, over an overlay, in namespaces of its own.

use crate::binary::{self, CAUSE};
use crate::cgroup::Cgroup;
use crate::scratch::{Scratch, unique};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A root file system whose image (lower layer) is done and whose upper layer
/// is empty. Unmounted at the end.
#[derive(Debug)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    scratch: Scratch,
    /// The cgroup that its own is below, from the root of every hierarchy.
    above: String,
}

/// Where the image has `picket-cause`.
pub const CAUSE_INSIDE: &str = "/usr/bin/picket-cause";

/// Why no container can be made here, if none can.
pub fn missing() -> Option<String> {
    ["runc", "busybox"]
        .into_iter()
        .find(|program| binary::find(program).is_none())
        .map(|program| format!("{program} is not installed"))
}

impl Container {
    /// Builds the file system.
    pub fn new() -> Result<Container> {
        Container::with_image(|_| Ok(()))
    }

    /// Builds the file system, with what `add` puts into the image's folder.
    pub fn with_image(add: impl FnOnce(&Path) -> Result<()>) -> Result<Container> {
        let scratch = Scratch::new()?;
        let id = format!("{:0>64}", unique().replace('-', "e2e"));
        let image = scratch.path().join("image");
        for folder in [
            "bin", "usr/bin", "usr/sbin", "root", "proc", "sys", "dev", "tmp", "etc",
        ] {
            fs::create_dir_all(image.join(folder))?;
        }
        let busybox = binary::find("busybox").context("no busybox")?;
        fs::copy(busybox, image.join("bin/busybox"))?;
        for applet in ["sh", "cp", "cat", "mkdir", "sleep", "true", "base64"] {
            symlink("busybox", image.join("bin").join(applet))?;
        }
        fs::copy(CAUSE, image.join(CAUSE_INSIDE.trim_start_matches('/')))?;
        add(&image)?;

        let container = Container {
            id,
            scratch,
            above: String::new(),
        };
        for folder in ["upper", "work", "rootfs"] {
            fs::create_dir(container.scratch.path().join(folder))?;
        }
        container.mount()?;
        Ok(container)
    }

    /// Puts it below this cgroup; to be dropped before that.
    pub fn in_cgroup(mut self, cgroup: &Cgroup) -> Result<Container> {
        let name = cgroup.path().file_name().context("a name")?;
        self.above = format!("/{}", name.to_string_lossy());
        Ok(self)
    }

    /// Its root as the host sees it.
    pub fn root(&self) -> PathBuf {
        self.scratch.path().join("rootfs")
    }

    /// A folder of the host for the test's own files.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Runs a shell script in it, to the end.
    pub fn run(&self, script: &str) -> Result<Output> {
        let spec = self.spec(script)?;
        self.scratch
            .write("config.json", serde_json::to_vec_pretty(&spec)?)?;
        let output = Command::new("runc")
            .arg("--root")
            .arg(self.scratch.path().join("state"))
            .args(["run", "--bundle"])
            .arg(self.scratch.path())
            .arg(&self.id)
            .output()
            .context("cannot run runc")?;
        Ok(output)
    }

    fn spec(&self, script: &str) -> Result<Value> {
        let made = Command::new("runc")
            .args(["spec", "--bundle"])
            .arg(self.scratch.path())
            .output()?;
        let path = self.scratch.path().join("config.json");
        let text = fs::read(&path)
            .with_context(|| format!("runc spec: {}", String::from_utf8_lossy(&made.stderr)))?;
        // `runc spec` writes it once and refuses to overwrite it.
        fs::remove_file(&path)?;
        let mut spec: Value = serde_json::from_slice(&text)?;
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["/bin/sh", "-c", script]);
        spec["root"] = json!({"path": "rootfs", "readonly": false});
        spec["linux"]["cgroupsPath"] = json!(format!("{}/docker/{}", self.above, self.id));
        Ok(spec)
    }

    fn mount(&self) -> Result<()> {
        let at = |name: &str| self.scratch.at(name);
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("image"),
            at("upper"),
            at("work")
        );
        let output = Command::new("mount")
            .args(["-t", "overlay", "-o", &layers, "overlay"])
            .arg(self.root())
            .output()?;
        if !output.status.success() {
            bail!("overlay: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("runc")
            .arg("--root")
            .arg(self.scratch.path().join("state"))
            .args(["delete", "--force", &self.id])
            .output();
        let _ = Command::new("umount").arg(self.root()).output();
        remove_empty_cgroups(&self.above, &self.id);
    }
}

/// runc leaves the cgroups of a killed container behind.
fn remove_empty_cgroups(above: &str, id: &str) {
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else {
        return;
    };
    for line in mounts.lines() {
        let mut words = line.split(' ');
        if let (Some(point), Some(kind @ ("cgroup" | "cgroup2"))) = (words.nth(1), words.next()) {
            let above = Path::new(point).join(above.trim_start_matches('/'));
            let _ = fs::remove_dir(above.join("docker").join(id));
            if above != Path::new(point) {
                let _ = fs::remove_dir(above.join("docker"));
            }
            // Of version 2 it is the test's own.
            if above != Path::new(point) && kind == "cgroup" {
                let _ = fs::remove_dir(&above);
            }
        }
    }
}
