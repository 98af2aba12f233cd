//! A PostgreSQL server of the test's own: in a scratch folder, on a Unix socket,
//! ended with the test.

use crate::store::Location;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Debian's place for the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// What the server says when it may be asked.
const READY: &str = "database system is ready to accept connections";
/// How long it may take to say so. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// The superuser inside the database.
const USER: &str = "picket";
/// Who runs the server when the test is root, which it refuses to be.
const NOBODY: u32 = 65534;

/// A running server.
pub struct PostgresServer {
    child: Child,
    programs: PathBuf,
    folder: tempfile::TempDir,
    durable: bool,
    databases: AtomicU32,
}

impl PostgresServer {
    /// Starts one in a scratch folder, or says why there is none here. What it holds
    /// need not survive a power cut, and is written accordingly.
    pub fn start() -> Result<PostgresServer, String> {
        let folder = super::scratch("picket-pg-").map_err(|why| format!("scratch: {why}"))?;
        PostgresServer::start_in(folder, false)
    }

    /// Starts one in this folder, on whose disk it waits as a real one does if
    /// `durable`.
    pub fn start_in(folder: tempfile::TempDir, durable: bool) -> Result<PostgresServer, String> {
        let programs = programs().ok_or_else(|| {
            format!("no PostgreSQL below {VERSIONS}: scripts/setup.sh test installs it")
        })?;
        let failed = |what: &str, why: std::io::Error| format!("{what}: {why}");
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))
                .map_err(|why| failed("the scratch folder's owner", why))?;
        }
        let data = folder.path().join("data");
        let made = unprivileged(&programs.join("initdb"), folder.path())
            .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8"])
            .args(["--no-locale", "--no-sync", "--wal-segsize", "1", "--pgdata"])
            .arg(&data)
            .output()
            .map_err(|why| failed("initdb", why))?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let mut server = PostgresServer {
            child: spawn(&programs, folder.path(), durable)?,
            programs,
            folder,
            durable,
            databases: AtomicU32::new(0),
        };
        // On an error too, the server is ended by its drop.
        wait_until_ready(&mut server.child)?;
        Ok(server)
    }

    /// Ends all of it at once with SIGKILL, as if the memory had run out, and starts it
    /// again: it then reads back what it had promised.
    pub fn crash(&mut self) -> Result<(), String> {
        let parent = self.child.id();
        // Named before the parent is gone: they are nobody's children then.
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
            .map_err(|why| format!("postgres's children: {why}"))?;
        self.child.kill().map_err(|why| format!("kill: {why}"))?;
        let children: Vec<i32> = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect();
        for child in children
            .iter()
            .filter_map(|pid| rustix::process::Pid::from_raw(*pid))
        {
            // If it has ended already, all is well.
            let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
        }
        self.child.wait().map_err(|why| format!("wait: {why}"))?;
        // A new one refuses to start while one of the old ones holds the memory.
        let deadline = Instant::now() + PATIENCE;
        while children
            .iter()
            .any(|pid| Path::new(&format!("/proc/{pid}/exe")).exists())
        {
            if Instant::now() > deadline {
                return Err("postgres's children do not end".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child = spawn(&self.programs, self.folder.path(), self.durable)?;
        wait_until_ready(&mut self.child)
    }

    /// Where `psql` and `pg_dump` of its version are.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Makes an empty database.
    pub fn database(&self) -> Result<Location, String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let made = Command::new(self.programs.join("createdb"))
            .arg("--host")
            .arg(self.folder.path())
            .args(["--username", USER, &name])
            .output()
            .map_err(|why| format!("createdb: {why}"))?;
        if !made.status.success() {
            return Err(format!(
                "createdb: {}",
                String::from_utf8_lossy(&made.stderr)
            ));
        }
        let folder = self.folder.path().display();
        Ok(Location::Postgres(format!(
            "postgres://{USER}@localhost/{name}?host={folder}"
        )))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let process = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            // At once: nobody needs its data. If it has ended already, all is well.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::QUIT);
        }
        let _ = self.child.wait();
    }
}

fn spawn(programs: &Path, folder: &Path, durable: bool) -> Result<Child, String> {
    unprivileged(&programs.join("postgres"), folder)
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        // No TCP.
        .args(["-h", "", "-c", "max_connections=200"])
        .args(["-c", if durable { "fsync=on" } else { "fsync=off" }])
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| format!("postgres: {why}"))
}

/// The newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| number(path))?;
    Some(newest.join("bin"))
}

/// A command that is ended with this process, and runs as nobody if this is root.
fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if rustix::process::geteuid().is_root() {
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    command
        .arg(program)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn wait_until_ready(child: &mut Child) -> Result<(), String> {
    let stderr = child.stderr.take().ok_or("postgres: no stderr")?;
    let (line_read, lines) = mpsc::channel();
    // Reads to the end, long after the server is ready: it must never wait for a
    // reader.
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = line_read.send(line);
        }
    });
    let mut said = String::new();
    loop {
        let line = lines
            .recv_timeout(PATIENCE)
            .map_err(|_| format!("postgres did not become ready; it said:\n{said}"))?;
        if line.contains(READY) {
            return Ok(());
        }
        said.push_str(&line);
        said.push('\n');
    }
}
