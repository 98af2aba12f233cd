//! Findings such as a fleet makes: a few rules make most of them, some hosts are
//! rarely heard of, every host runs containers of the same images, and a rule that
//! matches matches the same program of an image wherever that runs.

use picket_model::finding::Disposition;
use picket_model::severity::Severity;
use picket_store::{FindingColumns, Fingerprint, Micros, NewFinding, Uuid};
use serde_json::json;

/// When the first happened.
pub const NOW: Micros = 1_790_000_000_000_000;
/// Sensors, and as many hosts.
pub const HOSTS: u64 = 1000;
const RULES: u64 = 200;
/// Images, and programs in each that rules match.
const IMAGES: u64 = 40;
const PROGRAMS: u64 = 6;
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
    let seed = chance(number as u64) << 1;
    let host = skewed(seed, HOSTS);
    let rule = skewed(seed ^ 2, RULES);
    // A rule is about what two of the images do.
    let image = (rule * 7 + chance(seed ^ 4) % 2) % IMAGES;
    let about = About {
        host,
        rule,
        container: host * IMAGES + image,
        app: image,
        program: rule % PROGRAMS,
        user: image,
        address: rule % 250,
    };
    made(number, &about)
}

/// One that is like hardly any other: who, where and what go together by chance.
pub fn unlike(number: usize) -> NewFinding {
    let seed = chance(number as u64) << 1;
    let about = About {
        host: skewed(seed, HOSTS),
        rule: skewed(seed ^ 2, RULES),
        container: chance(seed ^ 4) % 5000,
        app: chance(seed ^ 5) % 300,
        program: 0,
        user: chance(seed ^ 6) % 50,
        address: chance(seed ^ 10) % 250,
    };
    made(number, &about)
}

/// For lists of very many: as a fleet makes them, but for JSON and facts, which no list
/// reads.
pub fn slim(number: usize) -> NewFinding {
    let finding = finding(number);
    NewFinding {
        ocsf: json!({"class_uid": 2004, "finding_info": {"uid": finding.uid}}),
        facts: json!(null),
        ..finding
    }
}

/// What a finding is about, by numbers.
struct About {
    host: u64,
    rule: u64,
    container: u64,
    app: u64,
    program: u64,
    user: u64,
    address: u64,
}

fn made(number: usize, about: &About) -> NewFinding {
    let number = number as u64;
    let seed = chance(number) << 1;
    let (host_number, rule_number) = (about.host, about.rule);
    let (rule, host) = (rule(rule_number), host(host_number));
    let container = format!("{:064x}", about.container);
    let process = format!("/usr/lib/app-{}/bin/worker-{}", about.app, about.program);
    let user = format!("user-{}", about.user);
    let image = format!("shop/app-{}", about.app);
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
        "device": {"hostname": host}, "container": {"uid": container, "image": {"name": image}},
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
            image: Some(image),
            user: Some(user),
            process: Some(process.clone()),
            fingerprint: Fingerprint {
                version: 1,
                // By the recipe: rule, host and image.
                value: format!(
                    "{:032x}",
                    (rule_number * HOSTS + host_number) * 1000 + about.app
                ),
            },
        },
        projects,
        ocsf,
        facts: json!({
            "title": "A process did what it should not", "issue": true,
            "process": process, "parent": "/usr/bin/dash",
            "ancestors": ["/usr/bin/dash", "/usr/bin/containerd-shim-runc-v2", "/usr/lib/systemd/systemd"],
            "destination": {"ip": format!("198.51.100.{}", about.address), "port": 4444},
        }),
    }
}
