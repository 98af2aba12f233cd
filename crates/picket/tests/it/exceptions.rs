//! `picket exception`, on a server.

use crate::server::{CONFIG, Server};
use crate::support::Bench;
use picket_model::text::Timestamp;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RULE: &str = "rules:\n  - id: web-shell\n    title: A shell\n    event: process.exec\n    \
    severity: high\n    condition: 'process.name == \"sh\"'\n";

fn in_an_hour() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let then = now + Duration::from_secs(3_600);
    let text = Timestamp(then.as_nanos().try_into().unwrap()).to_string();
    text.replace(" UTC", "Z").replace(' ', "T")
}

#[test]
fn an_exception_is_previewed_made_listed_and_removed() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    bench.write("rules/a.yaml", RULE);
    let body = |fields: &str| {
        format!(
            "{{\"name\": \"cron\", \"fields\": [\"{fields}\"], \"values\": [[\"/bin/sh\"]], \
             \"expires_at\": \"{}\", \"reason\": \"backups\"}}",
            in_an_hour()
        )
    };
    bench.write("cron.json", body("process.path"));
    bench.write("wrong.json", body("process.pth"));
    let server = Server::start(&bench);
    let url = server.log_in(&bench);
    let run = |args: &[&str]| {
        let remote = ["--server", &url, "--token-file", "token"];
        let ca = ["--ca", "data/tls/server.crt"];
        bench.run(&[args, &remote, &ca].concat())
    };
    run(&["apply", "-f", "rules", "--stage", "simulate"]).expect_code(0);
    run(&["exception", "list"])
        .expect_code(0)
        .says("there are no exceptions");
    run(&["exception", "noisy"])
        .expect_code(0)
        .says("no rule floods");
    run(&["exception", "preview", "web-shell", "-f", "cron.json"])
        .expect_code(0)
        .prints("hides 0 of 0 findings");
    run(&["exception", "add", "web-shell", "-f", "wrong.json"])
        .expect_code(2)
        .says("process.pth");
    run(&["exception", "add", "web-shell", "-f", "cron.json"])
        .expect_code(0)
        .prints("exception cron is in_force");
    let listed = run(&["exception", "list", "--format", "json"]).expect_code(0);
    let listed: Value = serde_json::from_str(listed.stdout.trim()).unwrap();
    assert_eq!(
        (&listed["name"], &listed["rule"]),
        (&"cron".into(), &"web-shell".into())
    );
    run(&["exception", "list"])
        .expect_code(0)
        .prints("in_force");
    run(&["exception", "remove", "cron"])
        .expect_code(0)
        .says("is deleted");
    run(&["exception", "remove", "cron"])
        .expect_code(2)
        .says("cron");
}
