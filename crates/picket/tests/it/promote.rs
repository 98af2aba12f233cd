//! `picket policy` and `picket rule`, on a server.

use crate::server::{CONFIG, Server};
use crate::support::Bench;
use serde_json::Value;

const RULE: &str = "rules:\n  - id: web-shell\n    title: A shell\n    event: process.exec\n    \
    severity: high\n    condition: 'process.name == \"sh\"'\n";
const POLICY: &str =
    "policies:\n  - id: stop-it\n    trigger: {rules: [web-shell]}\n    action: block\n";

#[test]
fn a_policy_is_armed_on_its_evidence() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    bench.write("rules/a.yaml", RULE);
    bench.write("rules/b.yaml", POLICY);
    let server = Server::start(&bench);
    let url = server.log_in(&bench);
    let run = |args: &[&str]| {
        let remote = ["--server", &url, "--token-file", "token"];
        let ca = ["--ca", "data/tls/server.crt"];
        bench.run(&[args, &remote, &ca].concat())
    };
    run(&["apply", "-f", "rules", "--stage", "simulate"]).expect_code(0);
    let digest = |subject: &str, name: &str| {
        let shown = run(&[subject, "evidence", name, "--format", "json"]).expect_code(0);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        shown["digest"].as_str().unwrap().to_owned()
    };
    let of_rule = digest("rule", "web-shell");
    let arm = [
        "rule",
        "arm",
        "web-shell",
        "--reason",
        "ticket 7",
        "--evidence",
    ];
    run(&[&arm[..], &[&of_rule]].concat())
        .expect_code(0)
        .prints("rule web-shell is at block");
    // The digest that people copy is the last word of the text.
    let text = run(&["policy", "evidence", "stop-it"])
        .expect_code(0)
        .prints("would have killed 0 processes")
        .prints("warning[no_evidence]");
    let shown = text.stdout.split_whitespace();
    let shown: Vec<&str> = shown.skip_while(|word| *word != "--evidence").collect();
    let arm = [
        "policy",
        "arm",
        "stop-it",
        "--reason",
        "ticket 7",
        "--evidence",
    ];
    run(&[&arm[..], &[&of_rule]].concat())
        .expect_code(2)
        .says("something else");
    run(&[&arm[..], &[shown[1]]].concat())
        .expect_code(0)
        .prints("policy stop-it is at block");
    run(&["policy", "simulate", "stop-it", "--reason", "too loud"])
        .expect_code(0)
        .prints("is at simulate");
    run(&[&arm[..], &[shown[1]]].concat())
        .expect_code(2)
        .says("picket policy evidence stop-it");
    run(&["policy", "evidence", "../users"])
        .expect_code(2)
        .says("no name");
    run(&["policy", "evidence", "stop-it", "--from", "today"])
        .expect_code(2)
        .says("no time");
    server.stop();
}
