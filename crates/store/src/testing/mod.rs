//! What tests of the store, and of what stands on it, need: a database of their own.

mod postgres;

pub use postgres::PostgresServer;

/// A folder that goes with its guard; in memory where that is possible, since
/// durable writes wait for the disk.
pub fn scratch(prefix: &str) -> std::io::Result<tempfile::TempDir> {
    let folder = || {
        let mut folder = tempfile::Builder::new();
        folder.prefix(prefix);
        folder
    };
    folder()
        .tempdir_in("/dev/shm")
        .or_else(|_| folder().tempdir())
}

/// Says that a test is skipped, and why. Test runners hide what a passing test
/// prints, so the line also goes to the file that `PICKET_SKIPPED` names.
pub fn skipped(why: &str) {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {why}\n");
    // Where it cannot be told, the test is skipped all the same.
    let _ = std::io::stdout().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("PICKET_SKIPPED") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
