//! Databases of every schema that ever was, with data in them: `tests/fixtures`.
//!
//! They are SQL as the database itself writes it out. Each is opened by today's
//! program, which must find everything in it. After a new migration, before it is
//! released:
//!
//! ```console
//! $ cargo test -p picket-store --test schema -- --ignored write_fixtures
//! ```

use crate::data;
use crate::raw::Raw;
use picket_store::testing::{PostgresServer, scratch, skipped};
use picket_store::{Location, open};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(dialect)
}

/// By the files in `migrations`.
pub fn newest_schema() -> i64 {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let files = std::fs::read_dir(files).unwrap().count();
    i64::try_from(files).unwrap()
}

/// The fixtures of a dialect: one for each schema there is.
fn fixtures(dialect: &str) -> Vec<PathBuf> {
    let file = |schema| folder(dialect).join(format!("schema-{schema}.sql"));
    (1..=newest_schema()).map(file).collect()
}

async fn opens(location: &Location, fixture: &Path) {
    println!("fixture: {}", fixture.display());
    for _ in 0..2 {
        // The second time there is nothing to be done.
        let store = open(location).await.unwrap();
        data::check(&*store).await;
        store.close().await;
    }
    let store = open(location).await.unwrap();
    data::go_on(&*store).await;
    store.close().await;
}

#[tokio::test]
async fn sqlite_of_every_schema_opens() {
    for fixture in fixtures("sqlite") {
        let folder = scratch("picket-store-").unwrap();
        let path = folder.path().join("picket.db");
        std::fs::File::create(&path).unwrap();
        let location = Location::Sqlite(path);
        let text = std::fs::read_to_string(&fixture).expect("a fixture for each schema");
        Raw::connect(&location).await.run(&text).await.unwrap();
        opens(&location, &fixture).await;
    }
}

#[tokio::test]
async fn postgres_of_every_schema_opens() {
    let server = match PostgresServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    for fixture in fixtures("postgres") {
        let location = server.database().unwrap();
        let Location::Postgres(url) = &location else {
            unreachable!()
        };
        let loaded = Command::new(server.programs().join("psql"))
            .args([
                "--quiet",
                "--no-psqlrc",
                "--set",
                "ON_ERROR_STOP=1",
                "--file",
            ])
            .arg(&fixture)
            .arg(url)
            .output()
            .unwrap();
        assert!(
            loaded.status.success(),
            "{}",
            String::from_utf8_lossy(&loaded.stderr)
        );
        opens(&location, &fixture).await;
    }
}

#[tokio::test]
#[ignore = "writes tests/fixtures, for a new schema"]
async fn write_fixtures() {
    let name = format!("schema-{}.sql", newest_schema());
    let scratch = scratch("picket-store-").unwrap();
    let path = scratch.path().join("picket.db");
    let store = open(&Location::Sqlite(path.clone())).await.unwrap();
    data::fill(&*store).await;
    store.close().await;
    let mut file = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    std::fs::write(folder("sqlite").join(&name), dump(&mut file).await).unwrap();

    let server = PostgresServer::start().expect("PostgreSQL");
    let location = server.database().unwrap();
    let store = open(&location).await.unwrap();
    data::fill(&*store).await;
    store.close().await;
    let Location::Postgres(url) = &location else {
        unreachable!()
    };
    let dumped = Command::new(server.programs().join("pg_dump"))
        .args([
            "--inserts",
            "--no-owner",
            "--no-privileges",
            "--dbname",
            url,
        ])
        .output()
        .unwrap();
    assert!(
        dumped.status.success(),
        "{}",
        String::from_utf8_lossy(&dumped.stderr)
    );
    // What newer versions of psql alone understand.
    let text = String::from_utf8(dumped.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.contains("restrict "));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    std::fs::write(folder("postgres").join(&name), text).unwrap();
}

/// Tables, rows, then indexes and triggers: what `.dump` of the sqlite3 shell gives.
async fn dump(file: &mut SqliteConnection) -> String {
    let mut text = String::new();
    let parts = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL \
         ORDER BY type <> 'table', rowid";
    let parts: Vec<(String, String, String)> =
        sqlx::query_as(parts).fetch_all(&mut *file).await.unwrap();
    let columns = "SELECT name FROM pragma_table_info($1) ORDER BY cid";
    for (kind, name, sql) in parts {
        text.push_str(&sql);
        text.push_str(";\n");
        if kind != "table" {
            continue;
        }
        let columns: Vec<String> = sqlx::query_scalar(columns)
            .bind(&name)
            .fetch_all(&mut *file)
            .await
            .unwrap();
        let values: Vec<String> = columns
            .iter()
            .map(|column| format!("quote(\"{column}\")"))
            .collect();
        let rows = format!("SELECT {} FROM {name}", values.join(" || ', ' || "));
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_all(&mut *file)
            .await
            .unwrap();
        for row in rows {
            text.push_str(&format!("INSERT INTO {name} VALUES ({row});\n"));
        }
    }
    text
}
