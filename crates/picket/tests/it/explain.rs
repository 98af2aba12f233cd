//! `picket explain`.

use crate::support::{Bench, EVENTS};

fn bench() -> Bench {
    let bench = Bench::with_web_shell();
    bench.write("exec.json", EVENTS[0]);
    bench.write("all.jsonl", EVENTS.join("\n"));
    bench
}

#[test]
fn a_match_is_code_0() {
    bench()
        .run(&[
            "explain",
            "--rule",
            "web-shell",
            "--rules",
            "web.yaml",
            "exec.json",
        ])
        .expect_code(0)
        .silent_on_stderr()
        .prints("event e1\n")
        .prints("web-shell: matches")
        .prints("nginx");
}

#[test]
fn no_match_is_code_1() {
    let bench = bench();
    let event = EVENTS[0].replace("nginx", "sshd");
    bench.write("ssh.json", event);
    bench
        .run(&[
            "explain",
            "--rule",
            "web-shell",
            "--rules",
            "web.yaml",
            "ssh.json",
        ])
        .expect_code(1)
        .prints("web-shell: does not match")
        .prints("sshd");
    bench
        .run_with(
            &["explain", "--rule", "web-shell", "--rules", "web.yaml", "-"],
            EVENTS[1],
        )
        .expect_code(1)
        .prints("network.connect");
}

#[test]
fn one_of_several_events() {
    let bench = bench();
    let args = [
        "explain",
        "--rule",
        "web-shell",
        "--rules",
        "web.yaml",
        "all.jsonl",
    ];
    let ran = bench.run(&args).expect_code(0);
    assert_eq!(ran.stdout.matches("event e").count(), 5);
    let with = |uid| [&args[..], &["--event", uid]].concat();
    let ran = bench.run(&with("e2")).expect_code(1);
    assert_eq!(ran.stdout.matches("event e").count(), 1);
    bench
        .run(&with("e9"))
        .expect_code(2)
        .says("error: there is no event e9 in all.jsonl");
}

#[test]
fn as_json() {
    let bench = bench();
    let args = [
        "explain",
        "--rule",
        "web-shell",
        "--rules",
        "web.yaml",
        "--format",
        "json",
        "exec.json",
    ];
    let explained = bench.run(&args).expect_code(0).json_lines();
    assert_eq!(explained[0]["event"], "e1");
    assert_eq!(explained[0]["rule"], "web-shell");
    assert!(explained[0]["condition"].is_object());
}

#[test]
fn bad_input_is_code_2() {
    let bench = bench();
    bench
        .run(&[
            "explain",
            "--rule",
            "web",
            "--rules",
            "web.yaml",
            "exec.json",
        ])
        .expect_code(2)
        .says("error: there is no rule `web`; there is web-shell");
    bench
        .run(&[
            "explain",
            "--rule",
            "web-shell",
            "--rules",
            "web.yaml",
            "none.json",
        ])
        .expect_code(2)
        .says("error: cannot read none.json");
    bench
        .run_with(
            &["explain", "--rule", "web-shell", "--rules", "web.yaml"],
            "",
        )
        .expect_code(2)
        .says("error: there is no event in standard input");
    bench
        .run_with(
            &["explain", "--rule", "web-shell", "--rules", "web.yaml"],
            "{}",
        )
        .expect_code(2)
        .says("error: standard input, line 1: class_uid: missing");
}
