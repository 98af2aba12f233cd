//! The guest itself: it boots, runs what it is given, and says how that ended.

use anyhow::Result;
use picket_e2e::binary::CAUSE;
use picket_e2e::guest::{self, kernel};
use picket_e2e::skipped;
use std::path::Path;

#[test]
fn a_guest_of_6_1_runs_a_static_and_a_dynamic_program() -> Result<()> {
    runs(kernel::V6_1, "6.1.")
}

#[test]
fn a_guest_of_6_12_runs_a_static_and_a_dynamic_program() -> Result<()> {
    runs(kernel::V6_12, "6.12.")
}

fn runs(series: kernel::Series, version: &str) -> Result<()> {
    let mut guest = match guest::obtain(series) {
        Ok(guest) => guest,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    guest.add(Path::new(CAUSE), "/bin/picket-cause")?;
    guest.add_program(Path::new("/bin/cat"), "/bin/real-cat")?;
    guest.module("overlay")?;
    let outcome = guest.run(
        "uname -r\n\
         picket-cause listen 127.0.0.1 4444\n\
         real-cat /proc/1/comm\n\
         grep -c overlay /proc/filesystems\n\
         test -e /sys/kernel/btf/vmlinux && echo btf\n\
         test -d /sys/kernel/tracing/events && echo tracefs\n\
         test -e /sys/fs/cgroup/cgroup.procs && echo cgroup2\n\
         exit 7",
    )?;
    let lines: Vec<&str> = outcome.lines.iter().map(String::as_str).collect();
    assert!(lines[0].starts_with(version), "{lines:?}");
    assert!(lines[1].contains("\"port\": 4444"), "{lines:?}");
    assert_eq!(&lines[2..], ["init", "1", "btf", "tracefs", "cgroup2"]);
    assert_eq!(outcome.status, 7);
    Ok(())
}
