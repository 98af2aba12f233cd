//! `picket playbook`, on a server.

use crate::server::{CONFIG, Server};
use crate::support::Bench;
use serde_json::{Value, json};

#[test]
fn a_playbook_is_written_staged_and_shown() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    let mut playbook = json!({
        "trigger": {"on": ["issue_opened"]},
        "steps": [{"action": {"note": {"text": "seen"}}}],
    });
    bench.write("note.json", playbook.to_string());
    playbook["steps"] = json!([]);
    bench.write("empty.json", playbook.to_string());
    let server = Server::start(&bench);
    let url = server.log_in(&bench);
    let run = |args: &[&str]| {
        let remote = ["--server", &url, "--token-file", "token"];
        let ca = ["--ca", "data/tls/server.crt"];
        bench.run(&[&["playbook"], args, &remote, &ca].concat())
    };
    run(&["list"]).expect_code(0).says("there are no playbooks");
    run(&["put", "note", "-f", "empty.json"])
        .expect_code(2)
        .says("steps");
    for version in 1..=2 {
        run(&["put", "note", "-f", "note.json"])
            .expect_code(0)
            .prints(&format!("playbook note is at draft, version {version}"));
    }
    run(&["stage", "note", "simulate"])
        .expect_code(0)
        .prints("is at simulate");
    run(&["list"]).expect_code(0).prints("simulate  note");
    let shown = run(&["show", "note"]).expect_code(0);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["steps"][0]["action"]["note"]["text"], "seen");
    run(&["runs"]).expect_code(0).says("there are no runs");
    run(&["runs", "--state", "nonsense"])
        .expect_code(2)
        .says("state");
    let nobody = "019aa3f0-5c1e-7c44-9d1b-0d6a7be1d3c2";
    run(&["run", nobody]).expect_code(2).says("no playbook run");
    run(&["dry-run", "note"]).expect_code(2).says("--issue");
}
