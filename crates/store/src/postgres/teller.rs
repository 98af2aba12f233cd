//! Tells other replicas of new findings: soon, not in the delivery's transaction.
//!
//! A transaction that notifies holds, while it commits, a lock that is one for the
//! whole server: deliveries would wait for the disk one after another. Changes that
//! people make are few, and are told in their own transactions.

use super::link::CHANNEL;
use crate::changes::Change;
use sqlx::postgres::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Between two notices: what is stored meanwhile is told by one.
const INTERVAL: Duration = Duration::from_millis(50);

/// Tells of findings.
pub(super) struct Teller {
    due: Arc<Notify>,
    task: AbortHandle,
}

impl Teller {
    pub fn start(pool: PgPool) -> Teller {
        let due = Arc::new(Notify::new());
        let task = tokio::spawn(serve(pool, Arc::clone(&due)));
        Teller {
            due,
            task: task.abort_handle(),
        }
    }

    /// There are new findings, committed.
    pub fn tell(&self) {
        self.due.notify_one();
    }

    pub fn stop(&self) {
        self.task.abort();
    }
}

async fn serve(pool: PgPool, due: Arc<Notify>) {
    loop {
        due.notified().await;
        // One that fails is made up for by the next: it says no more than "look".
        let _ = sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(Change::Findings.name())
            .execute(&pool)
            .await;
        tokio::time::sleep(INTERVAL).await;
    }
}
