//! SQLite: one file, one writer task, a pool of readers.

pub(crate) mod backup;
mod link;
mod schema;
mod writer;

pub(crate) use link::SqliteLink;

use crate::changes::{Board, Changes};
use crate::db::{Backend, Work};
use crate::error::{Result, StoreError};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use writer::Writer;

/// Connections that read at the same time.
const READERS: u32 = 4;
/// How long a lock of another process (a backup) is waited for.
const BUSY: Duration = Duration::from_secs(30);
/// How soon somebody who opens a file that is being made comes again.
const COME_AGAIN: Duration = Duration::from_millis(20);
/// Memory for pages: of the writer, and of each reader. In KiB, which SQLite tells
/// from a number of pages by the sign.
const WRITER_CACHE: &str = "-65536";
const READER_CACHE: &str = "-16384";
/// Pages in the log before it is folded into the file: a page that changes often is
/// written once for all.
const LOG_PAGES: &str = "8192";

/// An open SQLite store.
pub(crate) struct SqliteBackend {
    readers: SqlitePool,
    writer: Writer,
    board: Board,
}

impl SqliteBackend {
    /// Opens the file, made if it is not there, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<SqliteBackend> {
        let place = format!("sqlite:{}", path.display());
        let open_error = |source| StoreError::Open {
            place: place.clone(),
            source,
        };
        // Made here, so that nobody else may read it; SQLite gives its side
        // files the same rights.
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|why| open_error(sqlx::Error::Io(why)))?;

        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged finding survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", LOG_PAGES)
            .disable_statement_logging();
        let connection = first_connection(&options, &place).await?;

        // They connect when they are first asked for something.
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(
                options
                    .pragma("cache_size", READER_CACHE)
                    .pragma("query_only", "ON"),
            );
        let board = Board::new();
        Ok(SqliteBackend {
            readers,
            writer: Writer::start(SqliteLink::writing(connection), board.clone()),
            board,
        })
    }
}

/// Connects, and brings the schema up to date. Of several who open a new file at once, one
/// changes it to write-ahead logging and makes the tables: SQLite tells the others that it
/// is locked, in places without waiting for [`BUSY`]. They come again.
async fn first_connection(options: &SqliteConnectOptions, place: &str) -> Result<SqliteConnection> {
    let until = tokio::time::Instant::now() + BUSY;
    loop {
        let opened = async {
            let open_error = |source| StoreError::Open {
                place: place.to_owned(),
                source,
            };
            let mut connection = options.connect().await.map_err(open_error)?;
            schema::bring_up_to_date(&mut connection, place).await?;
            Ok(connection)
        };
        match opened.await {
            Err(StoreError::Open { source, .. })
                if is_locked(&source) && tokio::time::Instant::now() < until => {}
            opened => return opened,
        }
        tokio::time::sleep(COME_AGAIN).await;
    }
}

/// SQLITE_BUSY, with any of its reasons (https://sqlite.org/rescode.html).
fn is_locked(why: &sqlx::Error) -> bool {
    let code = why.as_database_error().and_then(|said| said.code());
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

impl Backend for SqliteBackend {
    type Link = SqliteLink;

    async fn read(&self) -> Result<SqliteLink> {
        let connection = self.readers.acquire().await;
        connection
            .map(SqliteLink::reading)
            .map_err(|why| StoreError::of_database("waiting for a connection", why))
    }

    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteLink) -> Work<'c, T> + Send + 'static,
    {
        self.writer.run(work).await
    }

    fn changes(&self) -> Changes {
        self.board.listen()
    }

    async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
        self.board.close();
    }
}

/// Ends a connection in good order: SQLite then folds the log into the file.
async fn close(link: SqliteLink) {
    if let Some(connection) = link.into_connection() {
        // Nothing is lost if it fails: the log is read at the next start.
        let _ = connection.close().await;
    }
}
