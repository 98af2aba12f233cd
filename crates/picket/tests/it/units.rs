//! The systemd units: they parse, and they stay as closed as they are.

use crate::support::Bench;
use std::path::{Path, PathBuf};
use std::process::Command;

const UNITS: [&str; 2] = ["picket-sensor.service", "picket-server.service"];

fn unit(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The values of a key, one for each line that sets it.
fn values<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

/// With the binary under test in place of the installed one.
fn installed(bench: &Bench, name: &str) -> PathBuf {
    let text = unit(name).replace("/usr/bin/picket", env!("CARGO_BIN_EXE_picket"));
    bench.write(name, &text)
}

/// Said where `scripts/test.sh` collects it.
fn skipped(why: &str) {
    use std::io::Write;
    let line = format!("skipped: the systemd units: {why}\n");
    let _ = std::io::stdout().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("PICKET_SKIPPED") {
        let file = std::fs::File::options().append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

#[test]
fn systemd_takes_them_without_a_warning() {
    let bench = Bench::new();
    for name in UNITS {
        let file = installed(&bench, name);
        let verified = Command::new("systemd-analyze")
            .arg("verify")
            .arg(&file)
            .output();
        let Ok(verified) = verified else {
            return skipped("there is no systemd-analyze");
        };
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(
            verified.status.success() && said.is_empty(),
            "{name}: {said}"
        );
    }
}

#[test]
fn they_stay_closed() {
    let bench = Bench::new();
    // Ten times systemd's own figure, 100 being everything open.
    for (name, most) in [("picket-sensor.service", 40), ("picket-server.service", 15)] {
        let file = installed(&bench, name);
        let looked = Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=true"])
            .arg(format!("--threshold={most}"))
            .arg(&file)
            .output();
        let Ok(looked) = looked else {
            return skipped("there is no systemd-analyze");
        };
        let said = String::from_utf8_lossy(&looked.stdout);
        assert!(looked.status.success(), "{name}: {said}");
    }
}

/// What the comments and docs promise, without systemd too.
#[test]
fn rights_are_those_that_were_measured() {
    let sensor = unit("picket-sensor.service");
    assert_eq!(
        values(&sensor, "CapabilityBoundingSet"),
        ["CAP_BPF CAP_PERFMON CAP_NET_ADMIN CAP_SYS_PTRACE CAP_KILL CAP_DAC_READ_SEARCH"]
    );
    assert_eq!(values(&sensor, "StateDirectory"), ["picket"]);
    // It must see every process and the host's files as others see them.
    for blind in [
        "ProtectProc",
        "PrivateUsers",
        "PrivateTmp",
        "PrivateNetwork",
        "ProcSubset",
    ] {
        assert!(values(&sensor, blind).is_empty(), "{blind}");
    }
    let server = unit("picket-server.service");
    assert_eq!(values(&server, "CapabilityBoundingSet"), [""]);
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("StateDirectory", "picket-server"),
    ] {
        assert_eq!(values(&server, key), [value], "{key}");
    }
}

/// The commands in them are ones that this binary has.
#[test]
fn their_commands_are_ours() {
    for name in UNITS {
        for key in ["ExecStart", "ExecStartPre"] {
            for command in values(&unit(name), key) {
                let words: Vec<&str> = command.split(' ').collect();
                let known = words
                    .iter()
                    .skip(1)
                    .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()));
                let helped = Command::new(env!("CARGO_BIN_EXE_picket"))
                    .args(known)
                    .arg("--help")
                    .output()
                    .unwrap();
                assert!(helped.status.success(), "{command}");
            }
        }
    }
}
