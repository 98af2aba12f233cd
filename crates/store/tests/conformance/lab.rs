//! Empty databases for cases.

use picket_store::testing::{PostgresServer, scratch, skipped};
use picket_store::{Cause, Location, Micros, PageSize, Store, open};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The time at which every case begins: an hour of 2026.
pub const NOW: Micros = 1_790_000_000_000_000;
/// A second.
pub const SECOND: Micros = 1_000_000;

/// Where cases get their databases from.
pub struct Lab {
    server: Option<PostgresServer>,
    folder: tempfile::TempDir,
    files: AtomicU32,
}

/// One case's database.
pub struct Case {
    pub store: Arc<dyn Store>,
    location: Location,
}

impl Lab {
    pub fn sqlite() -> Lab {
        Lab {
            server: None,
            folder: scratch("picket-store-").expect("a scratch folder"),
            files: AtomicU32::new(0),
        }
    }

    /// None, said aloud, where there is no PostgreSQL.
    pub fn postgres() -> Option<Lab> {
        match PostgresServer::start() {
            Ok(server) => Some(Lab {
                server: Some(server),
                ..Lab::sqlite()
            }),
            Err(why) => {
                skipped(&why);
                None
            }
        }
    }

    pub fn location(&self) -> Location {
        match &self.server {
            Some(server) => server.database().expect("a database"),
            None => {
                let number = self.files.fetch_add(1, Ordering::Relaxed);
                Location::Sqlite(self.folder.path().join(format!("{number}.db")))
            }
        }
    }

    pub async fn run(&self, name: &str, case: impl AsyncFn(&Case)) {
        println!("case: {name}");
        let location = self.location();
        let store = open(&location).await.expect("the store opens");
        let test = Case { store, location };
        case(&test).await;
        test.store.close().await;
    }
}

impl Case {
    /// A second replica on the same database. SQLite has one server: the same one.
    pub async fn replica(&self) -> Arc<dyn Store> {
        match &self.location {
            Location::Sqlite(_) => Arc::clone(&self.store),
            other => open(other).await.expect("the store opens"),
        }
    }
}

pub fn cause(actor: &str) -> Cause {
    Cause {
        actor: actor.to_owned(),
        reason: "for the test".to_owned(),
        at: NOW,
    }
}

pub fn page(rows: u32) -> PageSize {
    PageSize::new(rows).expect("a page size")
}

/// A hash that stands for a secret of this name.
pub fn secret(name: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..name.len()].copy_from_slice(name.as_bytes());
    hash
}
