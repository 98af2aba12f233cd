//! What is done to files, by system call and by io_uring.

use crate::process::tempdir;
use crate::uring;
use crate::watch::{Watch, skipped};
use picket_model::record::{Body, File, FileOperation, OpenFlags};
use picket_model::{ClassSet, Datum, EventClass};
use picket_probe::ProbeConfig;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

fn files() -> Option<Watch> {
    Watch::classes(EventClass::FILE)
}

/// What a shell does: our own doings are not told.
fn shell(directory: &Path, script: &str) -> u32 {
    let mut child = Command::new("/bin/sh")
        .args(["-ec", script])
        .current_dir(directory)
        .spawn()
        .expect("sh");
    assert!(child.wait().expect("wait").success(), "{script}");
    child.id()
}

fn done(watch: &mut Watch, pid: u32, path: &Path, wanted: impl Fn(&FileOperation) -> bool) -> File {
    let path = path.to_str().expect("utf-8");
    watch.wait(
        &format!("what {pid} did to {path}"),
        |record| match &record.body {
            Body::File(file)
                if (record.task.key.pid == pid || record.task.parent.pid == pid)
                    && file.path.known().is_some_and(|known| &**known == path)
                    && wanted(&file.operation) =>
            {
                Some((**file).clone())
            }
            _ => None,
        },
    )
}

#[test]
fn opened_and_created_files_are_told_apart() {
    let Some(mut watch) = files() else { return };
    let directory = tempdir("open");
    std::fs::write(directory.join("old"), "x").expect("write");
    std::os::unix::fs::symlink("old", directory.join("link")).expect("symlink");
    let pid = shell(
        &directory,
        ": > new; : >> old; read line < link || true; : <> both",
    );
    let created = done(&mut watch, pid, &directory.join("new"), |operation| {
        matches!(operation, FileOperation::Create(_))
    });
    assert_eq!(
        created.operation,
        FileOperation::Create(Datum::Known(OpenFlags {
            read: false,
            write: true,
            create: true
        }))
    );
    assert_eq!(created.errno, Datum::Known(0));
    let appended = done(&mut watch, pid, &directory.join("old"), |_| true);
    assert_eq!(
        appended.operation,
        FileOperation::Open(OpenFlags {
            read: false,
            write: true,
            create: true
        })
    );
    // The symbolic link is followed.
    done(&mut watch, pid, &directory.join("old"), |operation| {
        *operation
            == FileOperation::Open(OpenFlags {
                read: true,
                write: false,
                create: false,
            })
    });
    done(&mut watch, pid, &directory.join("both"), |operation| {
        *operation
            == FileOperation::Create(Datum::Known(OpenFlags {
                read: true,
                write: true,
                create: true,
            }))
    });
}

#[test]
fn renamed_deleted_and_changed_files_are_told() {
    let Some(mut watch) = files() else { return };
    let directory = tempdir("change");
    std::fs::create_dir_all(directory.join("sub")).expect("mkdir");
    std::fs::write(directory.join("a"), "x").expect("write");
    let pid = shell(
        &directory,
        "chmod 4755 a; mv a sub/../b; chmod 600 \"$PWD/b\"; rm sub/../b; cd sub; : > ../c; rm ../c; rmdir ../sub",
    );
    let set_uid = done(&mut watch, pid, &directory.join("a"), |_| true);
    assert_eq!(set_uid.operation, FileOperation::Chmod { mode: 0o4755 });
    let renamed = done(&mut watch, pid, &directory.join("b"), |operation| {
        matches!(operation, FileOperation::Rename { .. })
    });
    let from = directory.join("a").to_str().expect("utf-8").into();
    assert_eq!(
        renamed.operation,
        FileOperation::Rename {
            from: Datum::Known(from)
        }
    );
    done(&mut watch, pid, &directory.join("b"), |operation| {
        *operation == FileOperation::Chmod { mode: 0o600 }
    });
    done(&mut watch, pid, &directory.join("b"), |operation| {
        *operation == FileOperation::Delete
    });
    let deleted = done(&mut watch, pid, &directory.join("c"), |operation| {
        *operation == FileOperation::Delete
    });
    assert_eq!(deleted.errno, Datum::Known(0));
}

#[test]
fn refused_opens_are_told_with_their_error() {
    let Some(mut watch) = files() else { return };
    let mut child = Command::new("/bin/cat")
        .arg("/etc/../etc/shadow")
        .uid(65534)
        .gid(65534)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("cat");
    child.wait().expect("wait");
    let refused = done(&mut watch, child.id(), Path::new("/etc/shadow"), |_| true);
    assert_eq!(refused.errno, Datum::Known(libc::EACCES));
    assert_eq!(
        refused.operation,
        FileOperation::Open(OpenFlags {
            read: true,
            ..OpenFlags::default()
        })
    );
}

#[test]
fn file_hooks_come_and_go_with_their_classes() {
    let Some(mut watch) = Watch::classes([]) else {
        return;
    };
    let directory = tempdir("classes");
    let pid = shell(&directory, ": > before");
    watch.exec_of(pid);
    watch
        .probes
        .set_classes(ClassSet::EMPTY.with(EventClass::FileCreate))
        .expect("classes");
    let pid = shell(&directory, ": > during; rm during");
    done(&mut watch, pid, &directory.join("during"), |operation| {
        matches!(operation, FileOperation::Create(_))
    });
    watch.probes.set_classes(ClassSet::EMPTY).expect("classes");
    let pid = shell(&directory, ": > after; : < after");
    watch.exec_of(pid);
    let files: Vec<&File> = watch
        .seen
        .iter()
        .filter_map(|record| match &record.body {
            Body::File(file) => Some(&**file),
            _ => None,
        })
        .filter(|file| {
            file.path
                .known()
                .is_some_and(|path| path.starts_with(directory.to_str().expect("utf-8")))
        })
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

#[test]
fn io_uring_requests_are_told() {
    // Our own doings are not told, so a child does them.
    if let Some(marker) = std::env::var_os("PICKET_TEST_URING") {
        let directory = Path::new(&marker);
        uring::open_create_rename_unlink(&directory.join("from"), &directory.join("to"));
        return;
    }
    if !uring::is_available() {
        return skipped("no io_uring here");
    }
    let Some(mut watch) = files() else { return };
    let directory = tempdir("uring");
    let (from, to) = (directory.join("from"), directory.join("to"));
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "file::io_uring_requests_are_told"])
        .env("PICKET_TEST_URING", &*directory)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("ourselves");
    assert!(child.wait().expect("wait").success());
    let pid = child.id();
    let created = done(&mut watch, pid, &from, |operation| {
        matches!(operation, FileOperation::Create(_))
    });
    assert_eq!(created.errno, Datum::Unknown);
    let renamed = done(&mut watch, pid, &to, |operation| {
        matches!(operation, FileOperation::Rename { .. })
    });
    let from = from.to_str().expect("utf-8").into();
    assert_eq!(
        renamed.operation,
        FileOperation::Rename {
            from: Datum::Known(from)
        }
    );
    done(&mut watch, pid, &to, |operation| {
        *operation == FileOperation::Delete
    });
}

#[test]
fn connects_need_no_file_hooks() {
    let config = ProbeConfig::default();
    assert!(
        EventClass::FILE
            .iter()
            .all(|class| !config.classes.contains(*class))
    );
}
