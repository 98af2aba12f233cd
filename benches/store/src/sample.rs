//! Findings such as a fleet makes: a few rules make most of them, some hosts are
//! rarely heard of.

use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{FindingColumns, Fingerprint, Micros, NewFinding, Uuid};
use serde_json::json;

/// When the first happened.
pub const NOW: Micros = 1_790_000_000_000_000;
/// Sensors, and as many hosts.
pub const HOSTS: u64 = 1000;
const RULES: u64 = 200;
/// Of so many findings, one is in the small project.
pub const SMALL_PROJECT_SHARE: u64 = 5000;

/// The project that most findings are in.
pub const LARGE_PROJECT: Uuid = Uuid::from_u128(1);
/// One that few are in.
pub const SMALL_PROJECT: Uuid = Uuid::from_u128(2);

/// A number that looks like chance: splitmix64.
pub fn chance(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Small numbers are frequent, large ones rare.
pub fn skewed(seed: u64, below: u64) -> u64 {
    let one = chance(seed) % below;
    let two = chance(seed ^ 1) % below;
    one * two / below
}

/// The name of a rule.
pub fn rule(number: u64) -> String {
    format!("builtin-rule-{number}")
}

/// The name of a host.
pub fn host(number: u64) -> String {
    format!("web-{number}.prod.example.net")
}

/// The finding of a number; always the same.
pub fn finding(number: usize) -> NewFinding {
    let number = number as u64;
    let seed = chance(number) << 1;
    let host_number = skewed(seed, HOSTS);
    let rule_number = skewed(seed ^ 2, RULES);
    let (rule, host) = (rule(rule_number), host(host_number));
    let container = format!("{:064x}", u128::from(chance(seed ^ 4) % 5000));
    let process = format!("/usr/lib/app-{}/bin/worker", chance(seed ^ 5) % 300);
    let user = format!("user-{}", chance(seed ^ 6) % 50);
    let uid = format!("{:016x}-{number}/{rule}", chance(seed ^ 7));
    let severity = Severity::ALL[(skewed(seed ^ 8, 5)) as usize];
    let mut projects = vec![LARGE_PROJECT];
    if number.is_multiple_of(SMALL_PROJECT_SHARE) {
        projects.push(SMALL_PROJECT);
    }
    let time = NOW + number as i64 * 1000 + (chance(seed ^ 9) % 1_000_000) as i64;
    let cmd_line = format!("{process} --config /etc/app/config.yaml --listen 0.0.0.0:8080");
    let ocsf = json!({
        "class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200_401,
        "time": time / 1000, "severity_id": severity as u8, "disposition_id": 17,
        "finding_info": {"uid": uid, "title": "A process did what it should not",
            "analytic": {"uid": rule, "type_id": 1}},
        "device": {"hostname": host}, "container": {"uid": container, "image": {"name": "shop/app"}},
        "actor": {"user": {"name": user}, "process": {"pid": number % 30_000, "name": "worker",
            "file": {"path": process}, "cmd_line": cmd_line,
            "ancestry": [{"name": "sh", "file": {"path": "/usr/bin/dash"}, "cmd_line": "sh -c run"},
                {"name": "containerd-shim", "file": {"path": "/usr/bin/containerd-shim-runc-v2"}}]}},
        "evidences": [{"connection_info": {"protocol_name": "tcp"},
            "dst_endpoint": {"ip": "198.51.100.7", "port": 4444}}],
    });
    NewFinding {
        sensor: Uuid::from_u128(u128::from(host_number)),
        uid,
        columns: FindingColumns {
            time,
            severity,
            disposition: Disposition::Logged,
            rule: rule.clone(),
            host,
            container: Some(container),
            image: Some("shop/app".to_owned()),
            user: Some(user),
            process: Some(process.clone()),
            fingerprint: Fingerprint {
                version: 1,
                // By the recipe: rule and host; one image.
                value: format!("{:032x}", rule_number * HOSTS + host_number),
            },
        },
        projects,
        ocsf,
        facts: json!({
            "title": "A process did what it should not", "issue": true,
            "process": process, "parent": "/usr/bin/dash",
            "ancestors": ["/usr/bin/dash", "/usr/bin/containerd-shim-runc-v2", "/usr/lib/systemd/systemd"],
            "destination": {"ip": format!("198.51.100.{}", chance(seed ^ 10) % 250), "port": 4444},
        }),
    }
}
