//! Fork, exec, exit, and what already ran.

use crate::watch::{Watch, skipped};
use picket_model::Datum;
use picket_model::record::Body;
use picket_probe::{ProbeConfig, decode};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

fn known(text: &Datum<Box<str>>) -> &str {
    text.known()
        .unwrap_or_else(|| panic!("{text:?} is not known"))
}

/// The link as /proc has it now.
fn namespace(name: &str) -> u32 {
    let link = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
    let text = link.to_string_lossy().into_owned();
    text.split(['[', ']'])
        .nth(1)
        .and_then(|inode| inode.parse().ok())
        .expect("an inode")
}

#[test]
fn a_process_is_seen_from_fork_to_exit() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exit 7", "spaced  name", ""])
        .current_dir("/usr/lib")
        .spawn()
        .expect("sh");
    let pid = child.id();
    child.wait().expect("wait");

    let key = watch.wait("the fork", |record| match &record.body {
        Body::Fork { child } if child.pid == pid => {
            assert_eq!(record.task.key.pid, std::process::id());
            Some(*child)
        }
        _ => None,
    });
    assert_ne!(key.start_ns, 0);
    let (record, exec) = watch.exec_of(pid);
    let task = &record.task;
    assert_eq!(task.key, key);
    assert_eq!(task.parent.pid, std::process::id());
    assert_ne!(task.parent.start_ns, 0);
    assert_eq!((task.uid, task.gid, task.euid), (0, 0, 0));
    assert_eq!(&*task.comm, "sh");
    assert_eq!(task.pid_namespace, namespace("pid"));
    assert_eq!(task.mount_namespace, namespace("mnt"));
    assert!(task.in_scope);
    assert_ne!(task.cgroup_id, 0);
    let file = std::fs::metadata("/bin/sh").expect("sh");
    let real = std::fs::canonicalize("/bin/sh").expect("sh");
    assert_eq!(known(&exec.path), real.to_str().expect("utf-8"));
    assert_eq!(known(&exec.filename), "/bin/sh");
    assert_eq!(exec.interpreter, Datum::Absent);
    let args: Vec<&str> = exec
        .args
        .known()
        .expect("args")
        .iter()
        .map(|arg| &**arg)
        .collect();
    assert_eq!(args, ["/bin/sh", "-c", "exit 7", "spaced  name", ""]);
    assert_eq!(known(&exec.working_directory), "/usr/lib");
    assert_eq!(exec.file.inode, file.ino());
    assert_eq!(u64::from(exec.file.links), file.nlink());
    assert_eq!(
        exec.file.mtime_ns,
        file.mtime() as u64 * 1_000_000_000 + file.mtime_nsec() as u64
    );
    assert!(!exec.memfd && !exec.deleted && !exec.upper_layer);
    assert_ne!(exec.capabilities, 0);
    assert!(known(&exec.cgroup).starts_with('/'));
    let code = watch.wait("the exit", |record| match record.body {
        Body::Exit { code } if record.task.key == key => Some(code),
        _ => None,
    });
    assert_eq!(code, 7 << 8);
    assert_eq!(watch.probes.drops().expect("drops").total(), 0);
}

#[test]
fn a_script_names_its_interpreter() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let directory = tempdir("script");
    let script = directory.join("hello");
    std::fs::write(&script, "#!/bin/sh -e\nexit 0\n").expect("write");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("chmod");
    let mut child = Command::new(&script).spawn().expect("script");
    child.wait().expect("wait");
    let (_, exec) = watch.exec_of(child.id());
    assert_eq!(known(&exec.filename), script.to_str().expect("utf-8"));
    assert_eq!(known(&exec.interpreter), "/bin/sh");
    assert_eq!(
        known(&exec.path),
        std::fs::canonicalize("/bin/sh")
            .expect("sh")
            .to_str()
            .expect("utf-8")
    );
}

#[test]
fn long_arguments_are_marked_truncated() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let long = "x".repeat(10_000);
    let mut child = Command::new("/bin/true").arg(&long).spawn().expect("true");
    child.wait().expect("wait");
    let (_, exec) = watch.exec_of(child.id());
    let Datum::Truncated(args) = exec.args else {
        panic!("{:?}", exec.args)
    };
    assert_eq!(&*args[0], "/bin/true");
    assert!(args[1].len() > 4000 && long.starts_with(&*args[1]));
}

#[test]
fn deep_directories_and_odd_names_are_resolved() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let temp = tempdir("deep");
    let mut directory = temp.to_path_buf();
    for _ in 0..9 {
        directory.push("d".repeat(200));
    }
    std::fs::create_dir_all(&directory).expect("mkdir");
    let copy = directory.join("a b\\\"ü");
    std::fs::copy("/bin/true", &copy).expect("copy");
    let mut child = Command::new(&copy)
        .current_dir(&directory)
        .spawn()
        .expect("copy of true");
    child.wait().expect("wait");
    let (_, exec) = watch.exec_of(child.id());
    assert_eq!(known(&exec.path), copy.to_str().expect("utf-8"));
    assert_eq!(
        known(&exec.working_directory),
        directory.to_str().expect("utf-8")
    );
}

#[test]
fn a_memfd_and_a_deleted_file_are_told_apart() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    // SAFETY: the name is a terminated string; the descriptor is checked.
    let fd = unsafe { libc::memfd_create(c"payload".as_ptr(), 0) };
    assert!(fd >= 0);
    let path = format!("/proc/self/fd/{fd}");
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&std::fs::read("/bin/true")?))
        .expect("fill the memfd");
    let mut child = Command::new(&path).spawn().expect("memfd");
    child.wait().expect("wait");
    let (_, exec) = watch.exec_of(child.id());
    assert_eq!(known(&exec.path), "memfd:payload");
    assert!(exec.memfd && !exec.deleted);

    let directory = tempdir("deleted");
    let copy = directory.join("true");
    std::fs::copy("/bin/true", &copy).expect("copy");
    let file = std::fs::File::open(&copy).expect("open");
    std::fs::remove_file(&copy).expect("remove");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let mut child = Command::new(&path).spawn().expect("deleted file");
    child.wait().expect("wait");
    let (_, exec) = watch.exec_of(child.id());
    assert_eq!(known(&exec.path), copy.to_str().expect("utf-8"));
    assert!(exec.deleted && !exec.memfd);
    assert_eq!(exec.file.links, 0);
}

#[test]
fn other_users_and_signals_are_told() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let mut command = Command::new("/bin/sleep");
    command
        .arg("1000")
        .uid(65534)
        .gid(65533)
        .stdin(Stdio::null());
    let mut child = command.spawn().expect("sleep");
    let (record, exec) = watch.exec_of(child.id());
    child.kill().expect("kill our own child");
    child.wait().expect("wait");
    assert_eq!(
        (record.task.uid, record.task.gid, record.task.euid),
        (65534, 65533, 65534)
    );
    assert_eq!(exec.capabilities, 0);
    let code = watch.wait("the exit", |other| match other.body {
        Body::Exit { code } if other.task.key == record.task.key => Some(code),
        _ => None,
    });
    assert_eq!(code & 0x7f, libc::SIGKILL);
}

#[test]
fn the_terminal_is_named() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let (mut near, mut far) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: two descriptors are written; the rest is left to the kernel.
    let opened = unsafe {
        libc::openpty(
            &mut near,
            &mut far,
            null,
            std::ptr::null(),
            std::ptr::null(),
        )
    };
    assert_eq!(opened, 0);
    let mut command = Command::new("/bin/true");
    // SAFETY: only system calls that are allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 || libc::ioctl(far, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        })
    };
    let mut child = command.spawn().expect("true");
    child.wait().expect("wait");
    let (_, exec) = watch.exec_of(child.id());
    let name = std::fs::read_link(format!("/proc/self/fd/{far}")).expect("a terminal");
    let number = name.file_name().expect("a number").to_str().expect("utf-8");
    assert_eq!(known(&exec.tty), format!("pts{number}"));
}

#[test]
fn an_overlay_tells_its_layers_apart() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let base = tempdir("overlay");
    for part in ["disk", "lower", "merged"] {
        std::fs::create_dir_all(base.join(part)).expect("mkdir");
    }
    std::fs::copy("/bin/true", base.join("lower/true")).expect("copy");
    // A mount namespace of its own, which ends with the shell.
    let script = "mount -t tmpfs disk disk && mkdir disk/upper disk/work && \
        mount -t overlay -o lowerdir=lower,upperdir=disk/upper,workdir=disk/work overlay merged && \
        mkdir merged/new && cp lower/true merged/new/true && merged/true && merged/new/true";
    let mut child = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .current_dir(&*base)
        .spawn()
        .expect("unshare");
    if !child.wait().expect("wait").success() {
        return skipped("no overlay here");
    }
    for (name, upper) in [("true", false), ("new/true", true)] {
        let path = base.join("merged").join(name);
        let exec = watch.wait(name, |record| match &record.body {
            Body::Exec(exec) if known(&exec.path) == path.to_str().expect("utf-8") => {
                Some(exec.clone())
            }
            _ => None,
        });
        assert_eq!(exec.upper_layer, upper, "{name}");
        assert!(!exec.deleted);
    }
}

#[test]
fn threads_are_not_processes() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    std::thread::spawn(|| ()).join().expect("thread");
    let mut child = Command::new("/bin/true").spawn().expect("true");
    child.wait().expect("wait");
    watch.exec_of(child.id());
    let me = std::process::id();
    for record in &watch.seen {
        match &record.body {
            Body::Fork { child } => assert_ne!(child.pid, me),
            Body::Exit { .. } => assert_ne!(record.task.key.pid, me),
            _ => {}
        }
    }
}

#[test]
fn what_already_runs_is_told_with_its_ancestors() {
    // Asked for by a name that is not the file's.
    let directory = tempdir("running");
    let link = directory.join("sleeper");
    std::os::unix::fs::symlink(std::fs::canonicalize("/bin/sleep").expect("sleep"), &link)
        .expect("symlink");
    let mut child = Command::new(&link)
        .arg0("sleep")
        .arg("1000")
        .current_dir("/usr")
        .spawn()
        .expect("sleep");
    let mut running = Vec::new();
    if let Some(mut watch) = Watch::classes([]) {
        watch
            .probes
            .running(&mut |bytes| running.push(decode(bytes).expect("a record of our own")))
            .expect("the iterator");
    }
    child.kill().expect("kill our own child");
    child.wait().expect("wait");
    if running.is_empty() {
        return;
    }
    let find = |pid: u32| running.iter().find(|record| record.task.key.pid == pid);
    let record = find(child.id()).expect("the child");
    let Body::Running(exec) = &record.body else {
        panic!("{record:?}")
    };
    assert_eq!(known(&exec.working_directory), "/usr");
    assert_eq!(known(&exec.filename), link.to_str().expect("utf-8"));
    assert_eq!(
        &**exec.args.known().expect("args"),
        ["sleep".into(), "1000".into()]
    );
    assert_eq!(record.task.parent.pid, std::process::id());
    // Up to a process without a parent.
    let mut at = record;
    for _ in 0..100 {
        if at.task.parent.pid == 0 {
            return;
        }
        let Some(parent) = find(at.task.parent.pid) else {
            // Some hypervisors' guests keep their init to themselves.
            assert_eq!(at.task.parent.pid, 1, "no parent of {at:?}");
            return skipped("this kernel does not list process 1");
        };
        assert_eq!(parent.task.key, at.task.parent);
        at = parent;
    }
    panic!("a loop of parents");
}

#[test]
fn only_the_scope_is_in_scope() {
    let Some(root) = cgroup2() else {
        skipped("no cgroup2 mount");
        return;
    };
    let scope = format!("{root}/picket-scope-{}", std::process::id());
    let inner = format!("{scope}/inner");
    std::fs::create_dir_all(&inner).expect("a cgroup");
    let config = ProbeConfig {
        scope: Some(scope.clone().into()),
        ..ProbeConfig::default()
    };
    if let Some(mut watch) = Watch::start(config) {
        let run_in = |group: &str| {
            let procs = format!("{group}/cgroup.procs");
            let mut child = Command::new("/bin/sh")
                .args(["-c", "echo $$ > \"$1\"; exec /bin/true", "sh", &procs])
                .spawn()
                .expect("sh");
            child.wait().expect("wait");
            child.id()
        };
        let scoped = |watch: &mut Watch, pid: u32| {
            watch.wait("true", |record| match &record.body {
                Body::Exec(exec)
                    if record.task.key.pid == pid && known(&exec.filename) == "/bin/true" =>
                {
                    Some((record.task.in_scope, exec.cgroup.clone()))
                }
                _ => None,
            })
        };
        let (outside, inside) = (run_in(&root), run_in(&inner));
        assert!(!scoped(&mut watch, outside).0);
        let (in_scope, cgroup) = scoped(&mut watch, inside);
        assert!(in_scope);
        assert_eq!(
            known(&cgroup),
            inner.strip_prefix(&root).expect("below the root")
        );
        watch.probes.set_scope(None).expect("no scope");
        let outside = run_in(&root);
        assert!(scoped(&mut watch, outside).0);
        assert!(watch.probes.set_scope(Some("/etc".as_ref())).is_err());
    }
    std::fs::remove_dir(&inner).expect("remove");
    std::fs::remove_dir(&scope).expect("remove");
}

fn cgroup2() -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields.get(2) == Some(&"cgroup2")).then(|| fields[1].to_owned())
    })
}

/// A directory of the test's own, removed with this.
pub struct Temp(std::path::PathBuf);

impl std::ops::Deref for Temp {
    type Target = std::path::Path;

    fn deref(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // What cannot be removed is in a directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn tempdir(name: &str) -> Temp {
    let path = std::env::temp_dir().join(format!("picket-probe-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a directory");
    Temp(path)
}
