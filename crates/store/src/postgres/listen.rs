//! Hears of changes that any replica made, this one too.

use super::link::CHANNEL;
use crate::changes::{Board, Change};
use crate::error::{Result, StoreError};
use sqlx::postgres::{PgListener, PgPool};
use std::time::Duration;
use tokio::task::AbortHandle;

/// Between two tries to reach a database that does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Listens from before it returns.
pub(super) async fn start(pool: &PgPool, board: Board, place: &str) -> Result<AbortHandle> {
    let listener = connect(pool).await.map_err(|source| StoreError::Open {
        place: place.to_owned(),
        source,
    })?;
    Ok(tokio::spawn(serve(listener, board)).abort_handle())
}

async fn connect(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn serve(mut listener: PgListener, board: Board) {
    loop {
        match listener.try_recv().await {
            Ok(Some(notice)) => board.tell(Change::of_name(notice.payload())),
            // The connection broke; it is made anew by the next call. What was
            // told meanwhile is lost.
            Ok(None) => board.tell(Change::Unknown),
            Err(sqlx::Error::PoolClosed) => return,
            Err(_) => {
                board.tell(Change::Unknown);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
