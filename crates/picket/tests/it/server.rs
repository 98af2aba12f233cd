//! `picket server` and the commands that talk to it: real processes, real TLS.

use crate::support::Bench;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub const CONFIG: &str = "data = \"data\"\nlisten = \"127.0.0.1:0\"\n[fleet]\nlisten = \"127.0.0.1:0\"\n\
    [ops]\nlisten = \"127.0.0.1:0\"\n";

pub struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
}

impl Server {
    pub fn start(bench: &Bench) -> Server {
        Server::start_with(bench, &["server", "--config", "server.toml"])
    }

    fn start_with(bench: &Bench, args: &[&str]) -> Server {
        let mut child = bench
            .command(args)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut server = Server {
            child,
            lines,
            said: Vec::new(),
        };
        while server.said.last().is_none_or(|line| line != "ready") {
            let line = server.lines.recv_timeout(PATIENCE);
            server
                .said
                .push(line.unwrap_or_else(|_| panic!("it said {:?}", server.said)));
        }
        server
    }

    /// What it said behind these words.
    fn after(&self, words: &str) -> Option<String> {
        let mut lines = self.said.iter();
        let rest = lines.find_map(|line| line.strip_prefix(words))?;
        Some(rest.split([' ', ',']).next()?.to_owned())
    }

    /// Logs in as the first administrator: the token lies in the file `token`. Gives the
    /// server's URL.
    pub fn log_in(&self, bench: &Bench) -> String {
        let password = self
            .after("first start: log in as admin with the password ")
            .unwrap();
        let api = self.after("the API: https://").unwrap();
        let host = api.strip_suffix("/api/v1").unwrap();
        // On a loopback address both are spoken.
        let body = serde_json::json!({"name": "admin", "password": password, "token": true});
        let answer = ureq::post(format!("http://{host}/api/v1/session")).send_json(body);
        let answer: serde_json::Value = answer.unwrap().body_mut().read_json().unwrap();
        bench.write("token", answer["token"].as_str().unwrap());
        format!("https://{host}")
    }

    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rule(condition: &str) -> String {
    format!(
        "rules:\n  - id: one\n    title: One\n    event: process.exec\n    severity: low\n    condition: '{condition}'\n"
    )
}

#[test]
fn a_configuration_is_checked_with_its_places() {
    let bench = Bench::new();
    bench.write("good.toml", CONFIG);
    bench
        .run(&["config", "check", "good.toml"])
        .expect_code(0)
        .says("good.toml: fine");
    bench.write("bad.toml", "\nlisten = \"nowhere\"\n");
    let ran = bench.run(&["config", "check", "bad.toml"]).expect_code(1);
    ran.says("bad.toml:2:10: listen");
    bench
        .run(&["config", "check", "none.toml"])
        .expect_code(2)
        .says("cannot read none.toml");
    bench
        .run(&["server", "--config", "bad.toml"])
        .expect_code(2)
        .says("bad.toml:2:10");
}

#[test]
fn a_folder_goes_to_a_server_and_back() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    let server = Server::start(&bench);
    let url = server.log_in(&bench);
    let ops = server.after("for operations: http://").unwrap();
    let mut metrics = ureq::get(format!("http://{ops}")).call().unwrap();
    let metrics = metrics.body_mut().read_to_string().unwrap();
    assert!(metrics.contains("picket_sensors_connected 0"), "{metrics}");

    let run = |args: &[&str]| {
        let remote = [
            "--server",
            &url,
            "--token-file",
            "token",
            "--ca",
            "data/tls/server.crt",
        ];
        bench.run(&[args, &remote].concat())
    };
    bench.write("rules/one.yaml", rule("process.pid > 1"));
    let dry = run(&["apply", "-f", "rules", "--dry-run"]).expect_code(0);
    assert_eq!(dry.stdout, "+ rule one (draft)\n");
    dry.says("would change: 1");
    run(&["diff", "-f", "rules"])
        .expect_code(1)
        .prints("+  - id: one");
    run(&["apply", "-f", "rules", "--stage", "simulate"])
        .expect_code(0)
        .prints("+ rule one (simulate)")
        .says("changed: 1; as it is already: 0");
    let same = run(&["diff", "-f", "rules"]).expect_code(0);
    assert_eq!(same.stdout, "");
    run(&["export", "-o", "out"])
        .expect_code(0)
        .says("1 files below out");
    let out = std::fs::read_to_string(bench.path().join("out/rules/one.yaml")).unwrap();
    assert_eq!(out, rule("process.pid > 1"));

    bench.write("rules/one.yaml", rule("process.pod > 1"));
    run(&["apply", "-f", "rules"])
        .expect_code(1)
        .says("rules/one.yaml:6:17: error[")
        .says("help: did you mean `process.pid`?");
    run(&["diff", "-f", "rules"])
        .expect_code(2)
        .silent_on_stdout();
    bench.write("rules/one.yaml", rule("process.pid > 2"));
    let json = run(&["apply", "-f", "rules", "--dry-run", "--format", "json"]).expect_code(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["changes"][0]["change"], "change");

    let search = run(&["graph", "search", "x y&z", "--kind", "host"]).expect_code(0);
    assert_eq!(search.stdout, "");
    for args in [
        &["graph", "neighbours", "host=web-1"][..],
        &["graph", "path", "host=web-1", "rule=one"],
        &["graph", "radius", "host=web-1"],
    ] {
        run(args)
            .expect_code(2)
            .says("there is no host web-1 in the graph");
    }
    run(&["graph", "search", "--kind", "planet"])
        .expect_code(2)
        .says("there is no such kind of node");

    bench.write("token", "pkt_made_up");
    run(&["apply", "-f", "rules"])
        .expect_code(2)
        .says("log in again");
    // Whom it does not know it does not send a token.
    bench
        .run(&[
            "apply",
            "-f",
            "rules",
            "--server",
            &url,
            "--token-file",
            "token",
        ])
        .expect_code(2)
        .says("cannot reach");
    bench
        .run(&[
            "apply",
            "-f",
            "rules",
            "--server",
            "http://picket.example",
            "--token-file",
            "token",
        ])
        .expect_code(2)
        .says("write https://");
    server.stop();

    // The password is not told again.
    let again = Server::start(&bench);
    assert_eq!(again.after("first start"), None);
    again.stop();
}

#[test]
fn the_default_configuration_is_shown_and_is_one() {
    let bench = Bench::new();
    let shown = bench.run(&["config", "show-default"]).expect_code(0);
    assert!(shown.stdout.contains("#listen = \"127.0.0.1:8443\""));
    bench.write("shown.toml", &shown.stdout);
    bench.run(&["config", "check", "shown.toml"]).expect_code(0);
}

#[test]
fn a_backup_of_a_running_server_is_restored_elsewhere() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    let server = Server::start_with(
        &bench,
        &["server", "--config", "server.toml", "--log-format", "json"],
    );
    let password = server
        .after("first start: log in as admin with the password ")
        .unwrap();
    // The log is JSON although the file does not say so.
    assert!(
        server
            .said
            .iter()
            .any(|line| line.starts_with("{\"timestamp\"")),
        "{:?}",
        server.said
    );
    let backup = [
        "server",
        "backup",
        "--config",
        "server.toml",
        "-o",
        "picket.tar",
    ];
    bench
        .run(&backup)
        .expect_code(0)
        .says("the database")
        .says("whoever reads it can give rules to every sensor");
    bench
        .run(&backup)
        .expect_code(2)
        .says("nothing is overwritten");
    let restore =
        |config: &str| bench.run(&["server", "restore", "--config", config, "picket.tar"]);
    restore("server.toml")
        .expect_code(2)
        .says("nothing is overwritten");
    server.stop();

    bench.write("new.toml", CONFIG.replace("\"data\"", "\"new\""));
    restore("new.toml").expect_code(0).says("restored to new");
    for file in ["fleet/bundle.key", "fleet/authority.key", "tls/server.key"] {
        let read = |data: &str| std::fs::read(bench.path().join(data).join(file)).unwrap();
        assert_eq!(read("data"), read("new"), "{file}");
    }
    let again = Server::start_with(&bench, &["server", "--config", "new.toml"]);
    assert_eq!(again.after("first start"), None);
    let ops = again.after("for operations: http://").unwrap();
    let base = ops.strip_suffix("/metrics").unwrap();
    for path in ["healthz", "readyz"] {
        assert!(
            ureq::get(format!("http://{base}/{path}")).call().is_ok(),
            "{path}"
        );
    }
    let api = again.after("the API: https://").unwrap();
    let host = api.strip_suffix("/api/v1").unwrap();
    let body = serde_json::json!({"name": "admin", "password": password});
    let logged_in = ureq::post(format!("http://{host}/api/v1/session")).send_json(body);
    assert!(logged_in.is_ok());
    again.stop();
}
