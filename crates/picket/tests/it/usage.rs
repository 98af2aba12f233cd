//! The command line itself.

use crate::support::Bench;

#[test]
fn without_arguments_there_is_help_and_code_2() {
    let ran = Bench::new().run(&[]).expect_code(2).silent_on_stdout();
    for command in [
        "status",
        "stats",
        "disarm",
        "arm",
        "rules",
        "match",
        "explain",
        "server",
        "config",
        "apply",
        "diff",
        "export",
        "graph",
        "completion",
    ] {
        assert!(ran.stderr.contains(command), "{command}: {}", ran.stderr);
    }
    Bench::new().run(&["rules"]).expect_code(2).says("check");
}

#[test]
fn usage_errors_are_code_2() {
    let bench = Bench::new();
    for args in [
        &["frobnicate"][..],
        &["rules", "check"],
        &["rules", "check", "--format", "xml", "x.yaml"],
        &["rules", "test"],
        &["rules", "convert"],
        &["match"],
        &["match", "--rules"],
        &["explain", "--rules", "x.yaml", "e.json"],
        &["completion", "cobol"],
        &["status", "--format", "xml"],
        &["disarm", "now"],
        &["graph", "path", "rule=one"],
        &["graph", "radius", "rule=one", "--hops", "9"],
    ] {
        let ran = bench.run(args).expect_code(2).silent_on_stdout();
        assert!(ran.stderr.starts_with("error:"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn help_goes_to_stdout_with_an_example() {
    let bench = Bench::new();
    for args in [
        &["--help"][..],
        &["rules", "--help"],
        &["rules", "check", "--help"],
        &["rules", "test", "--help"],
        &["rules", "convert", "--help"],
        &["match", "--help"],
        &["explain", "--help"],
        &["server", "--help"],
        &["config", "check", "--help"],
        &["apply", "--help"],
        &["diff", "--help"],
        &["export", "--help"],
        &["graph", "--help"],
        &["graph", "path", "--help"],
        &["status", "--help"],
        &["stats", "--help"],
        &["disarm", "--help"],
        &["arm", "--help"],
        &["completion", "--help"],
    ] {
        let ran = bench.run(args).expect_code(0).silent_on_stderr();
        assert!(ran.stdout.contains("Example"), "{args:?}");
        assert!(!ran.stdout.contains('\x1b'), "{args:?}");
    }
    bench.run(&["--version"]).expect_code(0).prints("picket 0.");
}

#[test]
fn completion_and_manual() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        bench
            .run(&["completion", shell])
            .expect_code(0)
            .prints("disarm");
    }
    bench
        .run(&["man", "pages"])
        .expect_code(0)
        .silent_on_stdout();
    let page = std::fs::read_to_string(bench.path().join("pages/picket-match.1")).unwrap();
    assert!(page.contains("Detection Findings"));
    for command in ["status", "stats", "disarm", "arm"] {
        let page = bench.path().join(format!("pages/picket-{command}.1"));
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains("Example"), "{command}");
    }
    bench.write("file", "");
    bench
        .run(&["man", "file/pages"])
        .expect_code(2)
        .says("error: cannot write to file/pages");
}
