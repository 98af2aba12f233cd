//! `picket rules check | test | convert`.

use crate::support::{Bench, WEB_SHELL};
use serde_json::Value;

const BROKEN: &str = r#"rules:
  - id: broken
    title: Broken
    event: process.exec
    severity: high
    condition: 'process.nmae == "sh"'
"#;

#[test]
fn check_says_what_is_right() {
    Bench::with_web_shell()
        .run(&["rules", "check", "web.yaml"])
        .expect_code(0)
        .prints("the macro `from_tmp` is not used")
        .says("1 rule, 0 policies: no errors, 1 warning\n");
}

#[test]
fn check_looks_through_folders() {
    let bench = Bench::new();
    bench.write("rules/deep/web.yml", WEB_SHELL);
    bench.write("rules/notes.txt", "not a rule");
    bench.write("rules/.hidden.yaml", "not: [a, rule");
    bench
        .run(&["rules", "check", "rules"])
        .expect_code(0)
        .says("1 rule, 0 policies");
}

#[test]
fn check_gives_every_diagnostic_on_stdout() {
    let bench = Bench::with_web_shell();
    bench.write("broken.yaml", BROKEN);
    bench
        .run(&["rules", "check", "web.yaml", "broken.yaml"])
        .expect_code(1)
        .prints("broken.yaml")
        .prints("process.nmae")
        .prints("process.name")
        .says("1 rule, 0 policies: 1 error");
}

#[test]
fn check_as_json() {
    let bench = Bench::with_web_shell();
    bench.write("broken.yaml", BROKEN);
    let ran = bench
        .run(&["rules", "check", "--format", "json", "broken.yaml"])
        .expect_code(1)
        .silent_on_stderr();
    let diagnostics: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(diagnostics.as_array().unwrap().len(), 1, "{diagnostics}");
    bench.write("web.yaml", WEB_SHELL.replace("macros:\n  from_tmp", "#"));
    let ran = bench
        .run(&["rules", "check", "--format", "json", "web.yaml"])
        .expect_code(0)
        .silent_on_stderr();
    assert_eq!(ran.stdout, "[]\n");
}

#[test]
fn forty_errors_are_forty_diagnostics() {
    let rules = (0..40).map(|number| BROKEN.replace("id: broken", &format!("id: broken-{number}")));
    let bench = Bench::new();
    let names: Vec<String> = rules
        .enumerate()
        .map(|(number, rule)| {
            let name = format!("{number}.yaml");
            bench.write(&name, rule);
            name
        })
        .collect();
    let mut args = vec!["rules", "check", "--format", "json"];
    args.extend(names.iter().map(String::as_str));
    let ran = bench.run(&args).expect_code(1);
    let diagnostics: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(diagnostics.as_array().unwrap().len(), 40);
}

#[test]
fn paths_that_cannot_be_read_are_code_2() {
    let bench = Bench::new();
    for command in ["check", "test", "convert"] {
        bench
            .run(&["rules", command, "missing.yaml"])
            .expect_code(2)
            .silent_on_stdout()
            .says("error: cannot read missing.yaml: No such file or directory (os error 2)\n");
    }
    std::fs::create_dir(bench.path().join("empty")).unwrap();
    bench
        .run(&["rules", "check", "empty"])
        .expect_code(2)
        .says("error: no rule file (*.yaml, *.yml) in empty");
}

#[test]
fn hostile_files_get_a_message() {
    let bench = Bench::new();
    bench.write(
        "binary.yaml",
        [0x7f, b'E', b'L', b'F', 0, 0xff, 0xfe, 0, 1, 2, 3],
    );
    let long = format!(r#"process.name == "{}""#, "x".repeat(10 << 20));
    bench.write(
        "long.yaml",
        BROKEN.replace(r#"process.nmae == "sh""#, &long),
    );
    let deep = format!("{}true{}", "(".repeat(50_000), ")".repeat(50_000));
    bench.write(
        "deep.yaml",
        BROKEN.replace(r#"process.nmae == "sh""#, &deep),
    );
    bench.write("yaml.yaml", "[".repeat(100_000));
    bench.write("empty.yaml", "");
    for name in ["binary.yaml", "long.yaml", "deep.yaml", "yaml.yaml"] {
        let ran = bench
            .run(&["rules", "check", name])
            .expect_code(1)
            .prints(name);
        assert!(
            ran.stdout.len() < 20_000,
            "{name}: {} bytes",
            ran.stdout.len()
        );
        assert!(
            !ran.stdout.contains('\x1b') && !ran.stdout.contains('\0'),
            "{name}"
        );
    }
    let ran = bench.run(&["rules", "check", "empty.yaml"]);
    assert!(ran.code < 2, "{}", ran.stderr);
}

#[test]
fn tests_in_rules_pass() {
    let bench = Bench::with_web_shell();
    let ran = bench
        .run(&["rules", "test", "web.yaml"])
        .expect_code(0)
        .silent_on_stderr();
    assert_eq!(ran.stdout, "1 rule, 2 tests: all pass\n");
}

#[test]
fn a_failing_test_is_explained() {
    let bench = Bench::new();
    let rule = WEB_SHELL.replace("{match: false, ", "{match: true, name: over ssh, ");
    bench.write("web.yaml", format!("{rule}{}", no_test_rule()));
    let ran = bench.run(&["rules", "test", "web.yaml"]).expect_code(1);
    let ran = ran
        .prints("FAILED web.yaml:18 (over ssh): expected a match, but there is none")
        .prints("web-shell: does not match")
        .prints("sshd")
        .prints("2 rules (1 rule without a test), 2 tests: 1 failed\n");
    assert!(!ran.stdout.contains("web.yaml:17"), "{}", ran.stdout);

    let ran = bench
        .run(&["rules", "test", "--format", "json", "web.yaml"])
        .expect_code(1);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["failed"], 1);
    assert_eq!(report["rules_without_tests"][0], "untested");
    assert_eq!(report["results"][0]["passed"], true);
    assert_eq!(report["results"][1]["verdict"], "no_match");
    assert_eq!(report["results"][1]["line"], 18);
    assert!(report["results"][1]["explanation"]["condition"].is_object());

    let rule = WEB_SHELL.replace("{match: true,  ", "{match: false, ");
    bench.write("web.yaml", rule);
    bench
        .run(&["rules", "test", "web.yaml"])
        .expect_code(1)
        .prints("expected no match, but there is one");
}

fn no_test_rule() -> &'static str {
    "  - id: untested
    title: Untested
    event: process.exec
    severity: low
    condition: 'process.name == \"x\"'
"
}

#[test]
fn broken_rules_are_not_tested() {
    let bench = Bench::new();
    bench.write("broken.yaml", BROKEN);
    bench
        .run(&["rules", "test", "broken.yaml"])
        .expect_code(1)
        .silent_on_stdout()
        .says("process.nmae")
        .says("error: nothing was tested: 1 error");
}

#[test]
fn convert_keeps_native_rules_as_they_are() {
    let bench = Bench::with_web_shell();
    bench.write(
        "more/other.yaml",
        format!("---\n# why\nrules:\n{}", no_test_rule()),
    );
    let ran = bench
        .run(&["rules", "convert", "web.yaml", "more"])
        .expect_code(0)
        .silent_on_stderr();
    assert_eq!(
        ran.stdout,
        format!(
            "--- # web.yaml\n{WEB_SHELL}--- # more/other.yaml\n# why\nrules:\n{}",
            no_test_rule()
        )
    );
    bench.write("converted.yaml", ran.stdout);
    bench
        .run(&["rules", "test", "converted.yaml"])
        .expect_code(0)
        .prints("2 rules (1 rule without a test), 2 tests: all pass");
}

#[test]
fn convert_refuses_what_it_cannot_say() {
    let bench = Bench::new();
    bench.write(
        "sigma.yml",
        "title: x\nlogsource: {product: linux}\ndetection: {a: {Image: x}, condition: a}\n",
    );
    bench.write("falco.yaml", "- rule: x\n  condition: evt.type = execve\n");
    bench.write("broken.yaml", BROKEN);
    for (name, message) in [
        ("sigma.yml", "Sigma"),
        ("falco.yaml", "Falco"),
        ("broken.yaml", "process.nmae"),
    ] {
        bench
            .run(&["rules", "convert", name])
            .expect_code(1)
            .silent_on_stdout()
            .says(name)
            .says(message)
            .says("error: nothing was converted: 1 error\n");
    }
}
