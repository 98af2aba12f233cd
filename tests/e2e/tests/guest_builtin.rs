//! The built-in rules against what nobody may do to a host.

use anyhow::{Context, Result};
use picket_e2e::binary::CAUSE;
use picket_e2e::guest::kernel;
use picket_e2e::guest::watched::{self, Seen};
use picket_e2e::skipped;
use std::path::Path;

/// The rule, and what it must find.
const ATTACKS: [(&str, &str); 14] = [
    (
        "exec-from-temp-folder",
        "cp /bin/picket-cause /tmp/dropped; /tmp/dropped hold",
    ),
    (
        "exec-from-device-folder",
        "mkdir -p /dev/shm; cp /bin/picket-cause /dev/shm/x; /dev/shm/x hold",
    ),
    (
        "exec-from-memory",
        "picket-cause memfd payload /bin/picket-cause hold",
    ),
    (
        "web-server-spawned-shell",
        "/usr/sbin/nginx spawn /bin/sh -c 'true; true'",
    ),
    (
        "cron-file-written",
        "echo '* * * * * root id' >/etc/cron.d/job",
    ),
    (
        "authorized-keys-written",
        "echo 'ssh-ed25519 AAAA' >>/root/.ssh/authorized_keys",
    ),
    ("preload-file-written", "echo /tmp/x.so >/etc/ld.so.preload"),
    (
        "systemd-unit-written",
        "echo '[Service]' >/etc/systemd/system/x.service",
    ),
    (
        "sudoers-written",
        "echo 'x ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/x",
    ),
    ("shadow-file-read", "/bin/cat /etc/shadow >/dev/null"),
    (
        "history-file-deleted",
        "picket-cause creat /root/.bash_history; picket-cause unlink /root/.bash_history",
    ),
    ("setuid-bit-set", "picket-cause chmod /root/tool 4755"),
    (
        "miner-pool-port",
        "picket-cause connect tcp 45.9.148.1 3333",
    ),
    (
        "miner-pool-lookup",
        "picket-cause dns send 127.0.0.1 53 eu.nanopool.org 1",
    ),
];

#[test]
fn attacks_on_a_host() -> Result<()> {
    let mut guest = match watched::guest(kernel::V6_1)? {
        Ok(guest) => guest,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    guest.add(Path::new(CAUSE), "/usr/sbin/nginx")?;
    guest.write("/etc/shadow", 0o600, "root:*:19000:0:99999:7:::\n");
    guest.write("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n");
    guest.write("/root/tool", 0o755, "");
    for kept in [
        "/etc/cron.d",
        "/root/.ssh",
        "/etc/systemd/system",
        "/etc/sudoers.d",
    ] {
        guest.write(&format!("{kept}/.keep"), 0o644, "");
    }
    let script: String = ATTACKS
        .iter()
        .map(|(_, attack)| format!("{attack}\n"))
        .collect();
    let seen = Seen::of(&guest, "", &script)?;
    for (rule, attack) in ATTACKS {
        seen.finding(rule, |_| true)
            .with_context(|| attack.to_owned())?;
    }
    Ok(())
}
