//! Which playbooks run upon what: within a digest, without input or output.

use super::format::{Event, Playbook, Trigger};
use crate::projects::any;
use picket_model::severity::Severity;
use picket_store::{IssueChange, IssueEvent, NewJob, PendingFinding, Stage, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;

/// The queue of runs.
pub(crate) const QUEUE: &str = "playbooks";
/// A job of a run comes again until its steps have been tried as often as they may be.
pub(super) const TRIES: u32 = 10_000;

/// A playbook that runs, as a trigger knows it.
#[derive(Debug, Clone)]
struct Live {
    id: Uuid,
    version: i64,
    name: String,
    trigger: Trigger,
    least: Severity,
    projects: Vec<Uuid>,
}

/// All playbooks that run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book(Vec<Live>);

/// What a trigger looks at.
struct Seen<'s> {
    severity: Severity,
    rule: &'s str,
    host: &'s str,
    image: Option<&'s str>,
    projects: &'s [Uuid],
}

/// What a job says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Begin a run.
    Begin {
        playbook: String,
        version: i64,
        event: Event,
        #[serde(default)]
        issue: Option<String>,
        #[serde(default)]
        finding: Option<String>,
    },
    /// Go on with one.
    Resume { run: String },
    /// Nobody has approved its step in time.
    Expire { run: String, step: i64 },
}

impl Book {
    /// A playbook more; one that cannot run is left out.
    pub(super) fn add(
        &mut self,
        (id, version, name): (Uuid, i64, &str),
        stage: Stage,
        playbook: &Playbook,
        project: impl Fn(&str) -> Option<Uuid>,
    ) {
        let Ok(least) = playbook.trigger.least() else {
            return;
        };
        if stage == Stage::Draft {
            return;
        }
        let named = &playbook.trigger.projects;
        let projects: Vec<Uuid> = named.iter().filter_map(|name| project(name)).collect();
        // For projects that are all gone it runs upon nothing, not upon everything.
        if projects.is_empty() && !named.is_empty() {
            return;
        }
        self.0.push(Live {
            id,
            version,
            name: name.to_owned(),
            trigger: playbook.trigger.clone(),
            least,
            projects,
        });
    }

    /// Runs upon findings: of those of one fingerprint one.
    pub(crate) fn of_findings(&self, findings: &[PendingFinding]) -> Vec<NewJob> {
        let mut jobs = Vec::new();
        for live in self.on(Event::Finding) {
            let mut known = HashSet::new();
            for finding in findings {
                let columns = &finding.columns;
                let seen = Seen {
                    severity: columns.severity,
                    rule: &columns.rule,
                    host: &columns.host,
                    image: columns.image.as_deref(),
                    projects: &finding.projects,
                };
                let print = &columns.fingerprint.value;
                if live.holds(&seen) && known.insert(print) {
                    // While one waits, there is no second one of the same.
                    let key = format!("{}:{print}", live.id);
                    jobs.push(live.job(Event::Finding, None, Some(finding.id), key));
                }
            }
        }
        jobs
    }

    /// Runs upon issues.
    pub(crate) fn of_issues(&self, changes: &[IssueChange]) -> Vec<NewJob> {
        let mut jobs = Vec::new();
        for change in changes {
            let event = match change.event {
                IssueEvent::Opened => Event::IssueOpened,
                IssueEvent::Reopened => Event::IssueReopened,
                IssueEvent::Raised => Event::IssueRaised,
                IssueEvent::Counted => continue,
            };
            let issue = &change.issue;
            let seen = Seen {
                severity: issue.severity,
                rule: &issue.rule,
                host: &issue.host,
                image: issue.image.as_deref(),
                projects: &change.projects,
            };
            for live in self.on(event).filter(|live| live.holds(&seen)) {
                let key = format!(
                    "{}:{}:{}:{}",
                    live.id,
                    event.name(),
                    issue.id,
                    issue.version
                );
                let finding = change.findings.first().copied();
                jobs.push(live.job(event, Some(issue.id), finding, key));
            }
        }
        jobs
    }

    fn on(&self, event: Event) -> impl Iterator<Item = &Live> {
        let lives = self.0.iter();
        lives.filter(move |live| live.trigger.on.contains(&event))
    }
}

impl Live {
    fn holds(&self, seen: &Seen<'_>) -> bool {
        let part = |patterns: &[String], text: &str| patterns.is_empty() || any(patterns, text);
        let trigger = &self.trigger;
        seen.severity >= self.least
            && part(&trigger.rules, seen.rule)
            && part(&trigger.hosts, seen.host)
            && part(&trigger.images, seen.image.unwrap_or_default())
            && (self.projects.is_empty()
                || seen.projects.iter().any(|one| self.projects.contains(one)))
    }

    fn job(&self, event: Event, issue: Option<Uuid>, finding: Option<Uuid>, key: String) -> NewJob {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string());
        let order = Order::Begin {
            playbook: self.id.to_string(),
            version: self.version,
            event,
            issue: text(issue),
            finding: text(finding),
        };
        tracing::debug!(
            playbook = self.name,
            event = event.name(),
            "a playbook is to run"
        );
        order.job(Some(key), 0)
    }
}

impl Order {
    /// The job of it, from a time on.
    pub(super) fn job(&self, key: Option<String>, due_at: picket_store::Micros) -> NewJob {
        NewJob {
            queue: QUEUE.to_owned(),
            key,
            payload: json!(self),
            due_at,
            max_attempts: TRIES,
        }
    }
}
