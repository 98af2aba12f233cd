//! PostgreSQL: a pool, transactions, notices by LISTEN and NOTIFY.

mod link;
mod listen;
mod schema;
mod teller;

pub(crate) use link::PostgresLink;

use crate::changes::{Board, Changes};
use crate::db::{Backend, Work};
use crate::error::{Result, StoreError};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor};
use std::str::FromStr;
use std::time::Duration;
use teller::Teller;
use tokio::task::AbortHandle;

/// Connections of one replica.
const CONNECTIONS: u32 = 16;
/// How long a free one is waited for.
const ACQUIRE: Duration = Duration::from_secs(10);

/// An open PostgreSQL store.
pub(crate) struct PostgresBackend {
    pool: PgPool,
    board: Board,
    listener: AbortHandle,
    teller: Teller,
}

impl PostgresBackend {
    /// Connects, and brings the schema up to date.
    pub async fn open(url: &str) -> Result<PostgresBackend> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| StoreError::Open {
                place: place(url),
                source,
            })?
            .application_name("picket")
            .disable_statement_logging();
        let place = place_of(&options);
        let open_error = |source| StoreError::Open {
            place: place.clone(),
            source,
        };
        // Not from the pool, which would try for long, and then say that it took long.
        let mut connection = options.connect().await.map_err(open_error)?;
        schema::bring_up_to_date(&mut connection, &place).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            // Compiling a statement takes longer than any of ours.
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute("SET jit = off").await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(open_error)?;
        let board = Board::new();
        let listener = listen::start(&pool, board.clone(), &place).await?;
        Ok(PostgresBackend {
            teller: Teller::start(pool.clone()),
            pool,
            board,
            listener,
        })
    }
}

/// Which database a URL names, without what is secret in it.
pub(crate) fn place(url: &str) -> String {
    match PgConnectOptions::from_str(url) {
        Ok(options) => place_of(&options),
        Err(_) => "postgres:".to_owned(),
    }
}

fn place_of(options: &PgConnectOptions) -> String {
    format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or(options.get_username()),
    )
}

impl Backend for PostgresBackend {
    type Link = PostgresLink;

    async fn read(&self) -> Result<PostgresLink> {
        let connection = self.pool.acquire().await;
        connection
            .map(PostgresLink::reading)
            .map_err(|why| StoreError::of_database("waiting for a connection", why))
    }

    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PostgresLink) -> Work<'c, T> + Send + 'static,
    {
        let transaction = self.pool.begin().await;
        let mut link = transaction
            .map(PostgresLink::writing)
            .map_err(|why| StoreError::of_database("beginning", why))?;
        // Dropped without a commit, the transaction takes itself back.
        let value = work(&mut link).await?;
        if link.commit().await? {
            self.teller.tell();
        }
        Ok(value)
    }

    fn changes(&self) -> Changes {
        self.board.listen()
    }

    async fn close(&self) {
        self.listener.abort();
        self.teller.stop();
        self.pool.close().await;
        self.board.close();
    }
}

impl Drop for PostgresBackend {
    fn drop(&mut self) {
        self.listener.abort();
        self.teller.stop();
    }
}
