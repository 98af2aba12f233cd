//! What this kernel can do, as the doctor says it.

use picket_probe::capability::{self, State};

#[test]
fn every_capability_has_a_line_and_every_lack_a_remedy() {
    let found = capability::probe();
    for capability in &found {
        let line = capability.to_string();
        eprintln!("{line}");
        assert!(!line.contains('\n'), "{line}");
        if let State::No { reason, remedy } = &capability.state {
            assert!(!reason.is_empty() && !remedy.is_empty(), "{line}");
        }
    }
    for name in ["rights", "cgroup2", "process.exec", "file.chmod", "BPF LSM"] {
        let lacking = found
            .iter()
            .any(|capability| capability.name == "eBPF programs");
        assert!(
            lacking || found.iter().any(|capability| capability.name == name),
            "{name}"
        );
    }
}
