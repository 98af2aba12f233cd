//! Playbooks: what is done about findings and issues by itself.
//!
//! ```text
//! digest ─ trigger ─► jobs ─► worker ─► steps ─┬─ template ─► http, mail
//!           (same transaction)   │             └─ issues, hosts
//!                                └─► playbook_runs, playbook_steps, audit
//! ```
//! A run goes on after a server's death where it was: a step that was done is not done
//! again, one that is in doubt is, under the same idempotency key.

mod about;
mod format;
mod host;
mod http;
mod mail;
mod steps;
mod template;
mod trigger;
mod worker;

pub use format::Playbook;
pub(crate) use steps::Shown;
pub(crate) use worker::run;

use crate::api::Metrics;
use crate::config;
use crate::intake::ProjectBook;
use about::About;
use mail::Mailer;
use picket_outputs::read_secret;
use picket_store::{DefinitionFilter, Kind, Micros, PageSize, Store, Uuid, limits};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use steps::Hands;
use trigger::{Book, Order};

/// Playbooks, and what their steps reach.
pub(crate) struct Playbooks {
    hands: Hands,
    book: Arc<RwLock<Arc<Book>>>,
    counters: Counters,
}

/// What is counted, among the server's metrics.
struct Counters(Arc<Metrics>);

impl Counters {
    fn suppressed(&self) {
        self.0.playbook_suppressed();
    }

    fn step(&self, done: bool) {
        self.0.playbook_step(done);
    }
}

/// The playbooks that run now, for whoever digests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Triggers(Arc<RwLock<Arc<Book>>>);

impl Triggers {
    /// As they are now.
    pub(crate) fn now(&self) -> Arc<Book> {
        let book = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&book)
    }
}

fn parse_id(text: &str) -> Option<Uuid> {
    text.parse().ok()
}

impl Playbooks {
    /// Reads the files that the configuration names.
    pub(crate) async fn new(
        store: Arc<dyn Store>,
        config: &config::Playbooks,
        issues: config::Issues,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Playbooks> {
        let mut secrets = BTreeMap::new();
        for (name, file) in &config.secrets {
            secrets.insert(name.clone(), read_secret(file)?);
        }
        let mailer = match &config.smtp {
            None => None,
            Some(smtp) => {
                let password = smtp
                    .log_in
                    .as_ref()
                    .map(|(_, file)| read_secret(file))
                    .transpose()?;
                Some(Mailer::new(smtp, password).map_err(std::io::Error::other)?)
            }
        };
        let client = http::Client::new(config.allow_private)?;
        let playbooks = Playbooks {
            hands: Hands {
                store,
                client,
                mailer,
                secrets,
                issues,
            },
            book: Arc::default(),
            counters: Counters(metrics),
        };
        // Before the first finding is digested.
        playbooks.read_book().await.map_err(std::io::Error::other)?;
        Ok(playbooks)
    }

    /// For whoever digests.
    pub(crate) fn triggers(&self) -> Triggers {
        Triggers(Arc::clone(&self.book))
    }

    /// Reads what runs now.
    pub(crate) async fn read_book(&self) -> picket_store::Result<()> {
        let store = &*self.hands.store;
        let projects = ProjectBook::read(store).await?;
        let filter = DefinitionFilter {
            kind: Some(Kind::Playbook),
            ..DefinitionFilter::default()
        };
        let mut book = Book::default();
        let mut after = None;
        loop {
            let size = PageSize::new(limits::MAX_PAGE)?;
            let page = store.definitions(&filter, after, size).await?;
            for one in page.items {
                match Playbook::parse(&one.content.body) {
                    Ok(playbook) => book.add(
                        (one.id, one.version, &one.name),
                        one.content.stage,
                        &playbook,
                        |name| projects.id(name),
                    ),
                    // The API checks them before they are stored.
                    Err(why) => tracing::error!(playbook = one.name, why, "it cannot run"),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        *self.book.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
        Ok(())
    }

    /// What each step would do about an issue or a finding. It does nothing.
    pub(crate) async fn dry_run(
        &self,
        name: &str,
        playbook: &Playbook,
        about: (Option<Uuid>, Option<Uuid>),
        now: Micros,
    ) -> picket_store::Result<Vec<Shown>> {
        let event = match about.0 {
            Some(_) => format::Event::IssueOpened,
            None => format::Event::Finding,
        };
        let store = &*self.hands.store;
        let about = About::read(store, name, event.name(), None, about).await?;
        let steps = playbook.steps.iter();
        Ok(steps
            .map(|step| self.hands.show(step, &about, now))
            .collect())
    }

    /// Goes on with a run whose step was approved.
    pub(crate) async fn resume(&self, run: Uuid, now: Micros) -> picket_store::Result<()> {
        let run = run.to_string();
        let key = format!("run:{run}");
        let job = Order::Resume { run }.job(Some(key), now);
        self.hands.store.add_job(job, now).await.map(|_| ())
    }
}
