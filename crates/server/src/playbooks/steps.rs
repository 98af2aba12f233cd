//! Doing one step: what it sends, made of the issue and the finding.

use super::about::{About, time};
use super::format::{Action, Playbook, Step};
use super::host::HostOrder;
use super::http::{Client, Failure, Outgoing};
use super::mail::Mailer;
use super::template::render;
use crate::config::Issues;
use crate::digest::Facts;
use picket_outputs::Signer;
use picket_store::{Cause, FindingRow, IssueOpening, Micros, Run, Store, Uuid};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Who does steps, in the audit log and at issues.
pub(super) const ACTOR: &str = "system:playbooks";
/// In place of a secret, where people look.
const MASK: &str = "***";

/// What steps reach.
pub(super) struct Hands {
    pub store: Arc<dyn Store>,
    pub client: Client,
    pub mailer: Option<Mailer>,
    /// By name.
    pub secrets: BTreeMap<String, String>,
    /// How long people have for issues that are opened.
    pub issues: Issues,
}

/// A step, as it would be done.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// What it does.
    pub(super) action: String,
    /// Whether somebody would have to approve it first.
    pub(super) needs_approval: bool,
    /// What it would send or do, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub(super) would: Option<Value>,
    /// Why it would fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
}

/// A step that is made ready: what it sends.
enum Ready {
    Request(Outgoing),
    Mail {
        to: Vec<String>,
        subject: String,
        text: String,
    },
    Note(Uuid, String),
    Label(Uuid, Vec<String>),
    Open(Box<IssueOpening>),
    Host(Box<HostOrder>),
}

impl Hands {
    fn secret(&self, name: &str) -> Result<&str, Failure> {
        let found = self.secrets.get(name).map(String::as_str);
        found.ok_or_else(|| {
            Failure::for_good(format!(
                "there is no secret {name:?}: [playbooks.secrets] names files with secrets"
            ))
        })
    }

    /// Does a step; what came of it.
    pub(super) async fn step(
        &self,
        run: &Run,
        number: i64,
        step: &Step,
        about: &About,
        now: Micros,
    ) -> Result<String, Failure> {
        let key = format!("{}:{number}", run.id);
        match self.ready(step, about, &key, now)? {
            Ready::Request(request) => self.client.send(request).await,
            Ready::Mail { to, subject, text } => match &self.mailer {
                None => Err(Failure::for_good("there is no [playbooks.smtp]")),
                Some(mailer) => {
                    let patience = Duration::from_secs(step.timeout_seconds.into());
                    mailer.send(&to, &subject, &text, &key, patience).await
                }
            },
            Ready::Note(issue, text) => {
                let cause = self.cause(run, now);
                let noted = self.store.add_issue_note(issue, &text, &cause).await;
                noted.map(|_| "noted".to_owned()).map_err(of_store)
            }
            Ready::Label(issue, labels) => {
                let cause = self.cause(run, now);
                let labelled = self.store.label_issue(issue, &labels, &cause).await;
                labelled.map(|_| "labelled".to_owned()).map_err(of_store)
            }
            Ready::Open(opening) => {
                let cause = self.cause(run, now);
                let opened = self.store.open_issue(*opening, &cause).await;
                let told = |change: picket_store::IssueChange| format!("issue {}", change.issue.id);
                opened.map(told).map_err(of_store)
            }
            Ready::Host(order) => {
                let cause = self.cause(run, now);
                let patience = Duration::from_secs(step.timeout_seconds.into());
                order.carry_out(&*self.store, &key, patience, &cause).await
            }
        }
    }

    /// Shows a step, and does nothing.
    pub(super) fn show(&self, step: &Step, about: &About, now: Micros) -> Shown {
        let ready = self.ready(step, about, "dry-run:0", now);
        let (would, fault) = match ready {
            Ok(ready) => (Some(self.masked(step, ready)), None),
            Err(failure) => (None, Some(failure.why)),
        };
        Shown {
            action: step.action.name().to_owned(),
            needs_approval: step.needs_approval(),
            would,
            fault,
        }
    }

    fn masked(&self, step: &Step, ready: Ready) -> Value {
        match ready {
            Ready::Request(request) => {
                let secret = |name: &str| {
                    let name = name.to_ascii_lowercase();
                    name == "authorization" || name == "webhook-signature"
                };
                let headers: BTreeMap<String, String> = request
                    .headers
                    .into_iter()
                    .map(|(name, value)| match secret(&name) {
                        true => (name, MASK.to_owned()),
                        false => (name, value),
                    })
                    .collect();
                let url = match step.action {
                    Action::Slack { .. } => MASK.to_owned(),
                    _ => request.url,
                };
                let body = serde_json::from_str(&request.body);
                let body = body.unwrap_or(Value::String(request.body));
                json!({"method": request.method, "url": url, "headers": headers, "body": body})
            }
            Ready::Mail { to, subject, text } => {
                json!({"to": to, "subject": subject, "text": text})
            }
            Ready::Note(issue, text) => json!({"issue": issue.to_string(), "note": text}),
            Ready::Label(issue, labels) => json!({"issue": issue.to_string(), "labels": labels}),
            Ready::Open(opening) => json!({"title": opening.title, "host": opening.host}),
            Ready::Host(order) => order.shown(),
        }
    }

    fn opening(&self, row: &FindingRow, ocsf: &Value, projects: Vec<Uuid>) -> IssueOpening {
        let facts = Facts::of(ocsf);
        let columns = &row.columns;
        IssueOpening {
            fingerprint: columns.fingerprint.clone(),
            severity: columns.severity,
            title: facts.title,
            rule: columns.rule.clone(),
            host: columns.host.clone(),
            namespace: facts.namespace,
            image: columns.image.clone(),
            first_seen: columns.time,
            last_seen: columns.time,
            due_after: self.issues.due_after(columns.severity),
            projects,
            findings: vec![row.id],
        }
    }

    fn cause(&self, run: &Run, now: Micros) -> Cause {
        Cause {
            actor: ACTOR.to_owned(),
            reason: format!("playbook {}, run {}", run.name, run.id),
            at: now,
        }
    }

    fn ready(&self, step: &Step, about: &About, key: &str, now: Micros) -> Result<Ready, Failure> {
        let timeout = Duration::from_secs(step.timeout_seconds.into());
        let fill = |field: &str, text: &str| {
            render(text, &about.values).map_err(|why| Failure::for_good(format!("{field}: {why}")))
        };
        let json = || ("content-type".to_owned(), "application/json".to_owned());
        let idempotency = || ("idempotency-key".to_owned(), key.to_owned());
        Ok(match &step.action {
            Action::Webhook { url, secret } => {
                let secret = self.secret(secret)?;
                let body = event(about, key, now).to_string();
                let mut headers = signed(secret, key, now, &body);
                headers.push((
                    "content-type".to_owned(),
                    "application/cloudevents+json".to_owned(),
                ));
                headers.push(idempotency());
                Ready::Request(Outgoing {
                    method: "POST",
                    url: url.clone(),
                    headers,
                    body,
                    timeout,
                })
            }
            Action::Slack { url_secret, text } => Ready::Request(Outgoing {
                method: "POST",
                url: self.secret(url_secret)?.to_owned(),
                headers: vec![json(), idempotency()],
                body: json!({"text": fill("text", text)?}).to_string(),
                timeout,
            }),
            Action::Email { to, subject, text } => Ready::Mail {
                to: to.clone(),
                subject: fill("subject", subject)?,
                text: fill("text", text)?,
            },
            Action::Ticket {
                method,
                url,
                headers,
                authorization_secret,
                body,
            } => {
                let mut sent: Vec<(String, String)> = headers.clone().into_iter().collect();
                if !headers
                    .keys()
                    .any(|name| name.eq_ignore_ascii_case("content-type"))
                {
                    sent.push(json());
                }
                sent.push(idempotency());
                if let Some(secret) = authorization_secret {
                    sent.push(("authorization".to_owned(), self.secret(secret)?.to_owned()));
                }
                Ready::Request(Outgoing {
                    method: match method.as_str() {
                        "PUT" => "PUT",
                        "PATCH" => "PATCH",
                        _ => "POST",
                    },
                    url: url.clone(),
                    headers: sent,
                    body: fill("body", body)?,
                    timeout,
                })
            }
            Action::Note { text } => Ready::Note(issue_of(about)?, fill("text", text)?),
            Action::Label { labels } => Ready::Label(issue_of(about)?, labels.clone()),
            Action::OpenIssue {} => {
                let (row, ocsf) = about
                    .finding
                    .as_ref()
                    .ok_or_else(|| Failure::for_good("the finding is there no more"))?;
                Ready::Open(Box::new(self.opening(row, ocsf, about.projects.clone())))
            }
            Action::Command(command) => Ready::Host(Box::new(HostOrder::of(command, about)?)),
        })
    }
}

fn issue_of(about: &About) -> Result<Uuid, Failure> {
    let issue = about.issue.as_ref().map(|issue| issue.id);
    issue.ok_or_else(|| Failure::for_good("the issue is there no more"))
}

pub(super) fn of_store(why: picket_store::StoreError) -> Failure {
    match why {
        picket_store::StoreError::NotFound { .. } | picket_store::StoreError::Invalid { .. } => {
            Failure::for_good(why.to_string())
        }
        why => Failure::for_now(why.to_string()),
    }
}

/// As CloudEvents 1.0 has it, structured.
fn event(about: &About, key: &str, now: Micros) -> Value {
    let values = &about.values;
    let kind = values["event"].as_str().unwrap_or_default();
    let subject = about
        .issue
        .as_ref()
        .map(|issue| format!("issues/{}", issue.id));
    let finding = || {
        let (row, _) = about.finding.as_ref()?;
        Some(format!("findings/{}", row.id))
    };
    json!({
        "specversion": "1.0",
        "id": key,
        "source": "/picket/playbooks",
        "type": format!("dev.picket.{kind}"),
        "time": time(now),
        "subject": subject.or_else(finding).unwrap_or_default(),
        "datacontenttype": "application/json",
        "data": values,
    })
}

/// The headers that sign it.
fn signed(secret: &str, key: &str, now: Micros, body: &str) -> Vec<(String, String)> {
    let seconds = now.div_euclid(1_000_000);
    let headers = Signer::new(secret).headers(key, seconds, body);
    headers.map(|(name, value)| (name.to_owned(), value)).into()
}

/// What each step of a playbook does, by name.
pub(super) fn names(playbook: &Playbook) -> Vec<String> {
    let steps = playbook.steps.iter();
    steps.map(|step| step.action.name().to_owned()).collect()
}
