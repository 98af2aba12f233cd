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
