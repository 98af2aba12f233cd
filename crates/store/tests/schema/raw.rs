//! The database, past the store.

use picket_store::Location;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

/// Every table's columns, but for what only one database shows.
const SQLITE_COLUMNS: &str = "SELECT m.name || '.' || c.name FROM sqlite_master m \
     JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1";
const POSTGRES_COLUMNS: &str = "SELECT (table_name || '.' || column_name) COLLATE \"C\" \
     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1";

pub enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    pub async fn connect(location: &Location) -> Raw {
        match location {
            Location::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                Raw::Sqlite(options.connect().await.unwrap())
            }
            Location::Postgres(url) => Raw::Postgres(PgConnection::connect(url).await.unwrap()),
        }
    }

    /// Runs statements that the test wrote.
    pub async fn run(&mut self, statements: &str) -> Result<(), String> {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements));
        let done = match self {
            Raw::Sqlite(connection) => statements.execute(connection).await.map(|_| ()),
            Raw::Postgres(connection) => statements.execute(connection).await.map(|_| ()),
        };
        done.map_err(|why| why.to_string())
    }

    pub async fn numbers(&mut self, query: &'static str) -> Vec<i64> {
        let query = sqlx::raw_sql(query);
        match self {
            Raw::Sqlite(connection) => {
                let rows = query.fetch_all(connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Raw::Postgres(connection) => {
                let rows = query.fetch_all(connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    pub async fn columns(&mut self) -> Vec<String> {
        match self {
            Raw::Sqlite(connection) => {
                sqlx::query_scalar(SQLITE_COLUMNS)
                    .fetch_all(connection)
                    .await
            }
            Raw::Postgres(connection) => {
                sqlx::query_scalar(POSTGRES_COLUMNS)
                    .fetch_all(connection)
                    .await
            }
        }
        .unwrap()
    }

    /// As one does who owns the database and wants to change its past.
    pub async fn lift_audit_guard(&mut self) {
        let lift = match self {
            Raw::Sqlite(_) => "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete",
            Raw::Postgres(_) => "ALTER TABLE audit DISABLE TRIGGER USER",
        };
        self.run(lift).await.unwrap();
    }
}
