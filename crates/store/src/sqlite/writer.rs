//! The one task that writes.
//!
//! Units of work wait in a queue. Those that wait together share one commit, and
//! with it one wait for the disk: each in a savepoint of its own, so that one
//! which fails takes back its own changes alone. Nobody is answered before the
//! commit.

use super::SqliteLink;
use crate::changes::Board;
use crate::db::{Link, Work, sql};
use crate::error::{Result, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Units of work that may wait; whoever comes next waits to be let in.
const QUEUE: usize = 256;
/// Units of work that share a commit, at most.
const GROUP: usize = 64;

/// Answers the caller, once it is known whether the commit succeeded.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;
/// A unit of work, given the connection, or why there is none.
type Job = Box<dyn for<'c> FnOnce(Result<&'c mut SqliteLink>) -> Work<'c, Done> + Send>;

enum Done {
    /// To be committed.
    Well(Answer),
    /// To be taken back.
    Badly(Answer),
}

pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub fn start(link: SqliteLink, board: Board) -> Writer {
        let (jobs, queue) = mpsc::channel(QUEUE);
        Writer {
            jobs: Mutex::new(Some(jobs)),
            task: Mutex::new(Some(tokio::spawn(serve(link, queue, board)))),
        }
    }

    /// Runs a unit of work and waits for its commit. Whoever stops waiting does
    /// not stop it.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteLink) -> Work<'c, T> + Send + 'static,
    {
        let jobs = self.jobs.lock().await.clone().ok_or(StoreError::Closed)?;
        let (answer, answered) = oneshot::channel::<Result<T>>();
        let job: Job = Box::new(move |link| {
            Box::pin(async move {
                let result = match link {
                    Ok(link) => work(link).await,
                    Err(error) => Err(error),
                };
                // A caller that waits no longer needs no answer.
                Ok(match result {
                    Ok(value) => Done::Well(Box::new(move |committed| {
                        let _ = answer.send(committed.map(|()| value));
                    })),
                    Err(error) => Done::Badly(Box::new(move |_| {
                        let _ = answer.send(Err(error));
                    })),
                })
            })
        });
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes no more work, and waits for what was taken.
    pub async fn close(&self) {
        self.jobs.lock().await.take();
        if let Some(task) = self.task.lock().await.take() {
            // It can only have ended.
            let _ = task.await;
        }
    }
}

async fn serve(mut link: SqliteLink, mut queue: mpsc::Receiver<Job>, board: Board) {
    while let Some(first) = queue.recv().await {
        let mut answers = Vec::new();
        let committed = group(&mut link, first, &mut queue, &mut answers).await;
        match committed {
            Ok(()) => {
                for change in link.notices.drain(..) {
                    board.tell(change);
                }
                answers.into_iter().for_each(|answer| answer(Ok(())));
            }
            Err(error) => {
                // The transaction may be open still, or gone with the error.
                let _ = link.execute(sql("taking back a commit", "ROLLBACK")).await;
                link.notices.clear();
                let why = error.to_string();
                answers
                    .into_iter()
                    .for_each(|answer| answer(Err(not_committed(&why))));
            }
        }
    }
    super::close(link).await;
}

/// The first unit of work, those that wait behind it, and their commit.
async fn group(
    link: &mut SqliteLink,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<()> {
    if let Err(error) = link.execute(sql("beginning", "BEGIN IMMEDIATE")).await {
        let (Done::Well(answer) | Done::Badly(answer)) = first(Err(error)).await?;
        answer(Ok(()));
        return Ok(());
    }
    let mut next = Some(first);
    while let Some(job) = next {
        one(link, job, answers).await?;
        next = if answers.len() < GROUP {
            queue.try_recv().ok()
        } else {
            None
        };
    }
    link.execute(sql("committing", "COMMIT")).await?;
    Ok(())
}

async fn one(link: &mut SqliteLink, job: Job, answers: &mut Vec<Answer>) -> Result<()> {
    link.execute(sql("beginning", "SAVEPOINT work")).await?;
    let told_before = link.notices.len();
    match job(Ok(link)).await? {
        Done::Well(answer) => answers.push(answer),
        Done::Badly(answer) => {
            link.notices.truncate(told_before);
            let undone = link.execute(sql("taking back", "ROLLBACK TO work")).await;
            answer(Ok(()));
            undone?;
        }
    }
    link.execute(sql("ending", "RELEASE work")).await?;
    Ok(())
}

/// What everybody in a group is told whose commit failed.
fn not_committed(why: &str) -> StoreError {
    StoreError::Database {
        doing: "committing",
        source: sqlx::Error::Protocol(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::changes::Change;
    use crate::db::{Backend, Link, One, sql};
    use crate::error::{Result, StoreError};
    use crate::sqlite::SqliteBackend;

    async fn add(link: &mut impl Link, name: &str) -> Result<()> {
        let insert = "INSERT INTO bundle_scopes (scope, latest) VALUES ($1, 1)";
        link.execute(sql("adding", insert).bind(name)).await?;
        link.announce(Change::Bundles).await
    }

    async fn scopes(store: &SqliteBackend) -> String {
        let read = sql("reading", "SELECT scope FROM bundle_scopes ORDER BY scope");
        let rows = store
            .read()
            .await
            .unwrap()
            .fetch::<One<String>>(read)
            .await
            .unwrap();
        rows.into_iter().map(|One(scope)| scope).collect()
    }

    async fn scratch() -> (tempfile::TempDir, SqliteBackend) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteBackend::open(&folder.path().join("picket.db")).await;
        (folder, store.unwrap())
    }

    #[tokio::test]
    async fn a_failure_takes_back_its_own_work_alone() {
        let (_folder, store) = scratch().await;
        let mut changes = store.changes();
        // They wait together, so they share a commit.
        let well = |name| store.write(move |link| Box::pin(async move { add(link, name).await }));
        let badly = store.write(|link| {
            Box::pin(async move {
                add(link, "b").await?;
                Err::<(), _>(StoreError::Closed)
            })
        });
        let (a, b, c) = tokio::join!(well("a"), badly, well("c"));
        assert!(a.is_ok() && b.is_err() && c.is_ok());
        assert_eq!(scopes(&store).await, "ac");
        store.close().await;
        // What was taken back is not told.
        let mut told = 0;
        while changes.next().await.is_some() {
            told += 1;
        }
        assert_eq!(told, 2);
    }

    #[tokio::test]
    async fn a_group_whose_commit_fails_is_told_so() {
        let (_folder, store) = scratch().await;
        let mut changes = store.changes();
        let well = store.write(|link| Box::pin(async move { add(link, "a").await }));
        // Ends the transaction under the others: the savepoint cannot be released.
        let saboteur = store.write(|link| {
            Box::pin(async move { link.execute(sql("spoiling", "ROLLBACK")).await.map(|_| ()) })
        });
        let (a, b) = tokio::join!(well, saboteur);
        assert!(matches!(a, Err(StoreError::Database { .. })), "{a:?}");
        assert!(b.is_err());
        assert_eq!(scopes(&store).await, "");
        // And the next one is served.
        store
            .write(|link| Box::pin(async move { add(link, "d").await }))
            .await
            .unwrap();
        assert_eq!(scopes(&store).await, "d");
        assert_eq!(changes.next().await, Some(Change::Bundles));
    }

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_and_what_was_taken_is_ended() {
        let (_folder, store) = scratch().await;
        let (begun, beginning) = tokio::sync::oneshot::channel();
        let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
        let work = store.write(|link| {
            Box::pin(async move {
                let _ = begun.send(());
                let _ = wait.await;
                add(link, "a").await
            })
        });
        // Polled until it has begun, then dropped.
        tokio::select! {
            _ = work => panic!("it cannot be done yet"),
            begun = beginning => begun.unwrap(),
        }
        go_on.send(()).unwrap();
        assert_eq!(
            store
                .write(|link| Box::pin(async move { add(link, "b").await }))
                .await
                .ok(),
            Some(())
        );
        assert_eq!(scopes(&store).await, "ab");
        store.close().await;
        let late = store
            .write(|link| Box::pin(async move { add(link, "c").await }))
            .await;
        assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    }
}
