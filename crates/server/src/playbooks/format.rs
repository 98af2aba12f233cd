//! What a playbook is, and what is wrong with one.

use super::template;
use picket_model::severity::Severity;
use picket_store::limits::MAX_STEPS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Names in one part of a trigger, at most.
const MAX_NAMES: usize = 100;
/// Bytes of one of them, of a URL, of a header.
const MAX_TEXT: usize = 2048;
/// Bytes of a template.
const MAX_TEMPLATE: usize = 16 << 10;
/// Headers of a request.
const MAX_HEADERS: usize = 20;
/// Runs within an hour, at most.
const MAX_RUNS: u32 = 10_000;
/// Seconds that a step may take, at most.
const MAX_SECONDS: u32 = 60;
/// How often a step may be tried, at most.
const MAX_ATTEMPTS: u32 = 20;

/// A playbook: when it runs, and what it does, one step after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// When it runs.
    pub trigger: Trigger,
    /// Runs that may begin within an hour. Others are counted, and said.
    #[serde(default = "runs_per_hour")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub runs_per_hour: u32,
    /// What it does.
    pub steps: Vec<Step>,
}

fn runs_per_hour() -> u32 {
    60
}

/// When a playbook runs: every part that is given must hold; within a part, one of its
/// patterns. In a pattern `*` stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Upon one of these.
    pub on: Vec<Event>,
    /// That bad, or worse: `informational`, `low`, `medium`, `high` or `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Projects, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// Host names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Container images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// What sets a playbook off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A finding; of many of one fingerprint at once, one run.
    Finding,
    /// An issue was opened.
    IssueOpened,
    /// A resolved issue came back.
    IssueReopened,
    /// An issue got worse.
    IssueRaised,
}

impl Event {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Finding => "finding",
            Event::IssueOpened => "issue_opened",
            Event::IssueReopened => "issue_reopened",
            Event::IssueRaised => "issue_raised",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// How long it may take.
    #[serde(default = "timeout_seconds")]
    #[schema(minimum = 1, maximum = 60)]
    pub timeout_seconds: u32,
    /// How often it is tried, longer and longer apart.
    #[serde(default = "attempts")]
    #[schema(minimum = 1, maximum = 20)]
    pub attempts: u32,
    /// What happens to the steps after it if it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether somebody has to approve it first. Left out: of what changes a host, yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<bool>,
}

fn timeout_seconds() -> u32 {
    10
}

fn attempts() -> u32 {
    5
}

/// What a failure does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run ends.
    #[default]
    Stop,
    /// It goes on.
    Continue,
}

/// What a step does. Texts are templates: `{{ issue.title }}`, `{{ finding.host }}`,
/// `{{ finding.ocsf.severity_id }}`, `{{ playbook }}`, `{{ event }}`, `{{ run }}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// A CloudEvent (1.0, structured JSON) with the issue and the finding, signed as
    /// Standard Webhooks has it.
    Webhook {
        /// Where to.
        url: String,
        /// The name of the secret that signs it.
        secret: String,
    },
    /// A message to a Slack incoming webhook.
    Slack {
        /// The name of the secret that is the webhook's URL.
        url_secret: String,
        /// The message; a template.
        text: String,
    },
    /// A mail.
    Email {
        /// To whom.
        to: Vec<String>,
        /// Its subject; a template.
        subject: String,
        /// Its text; a template.
        text: String,
    },
    /// Any HTTP request, such as one that makes a ticket.
    Ticket {
        /// `POST`, `PUT` or `PATCH`.
        #[serde(default = "post")]
        method: String,
        /// Where to.
        url: String,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The name of the secret that is the `Authorization` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization_secret: Option<String>,
        /// Its body; a template. In JSON write `{{ issue.title | tojson }}`.
        body: String,
    },
    /// Something on the host of the finding.
    Command(HostCommand),
    /// A note at the issue.
    Note {
        /// What it says; a template.
        text: String,
    },
    /// Labels for the issue.
    Label {
        /// Which: they are added to those that it has.
        labels: Vec<String>,
    },
    /// An issue of the finding, where its rule opens none.
    OpenIssue {},
}

fn post() -> String {
    "POST".to_owned()
}

/// What is done on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HostCommand {
    /// Kill the process of the finding and everything that it has started.
    KillTree {},
    /// Collect what is known of the process of the finding.
    CollectForensics {},
    /// Take the executable of the process out of the way.
    QuarantineFile {},
    /// Cut the host off, except from the server.
    IsolateHost {
        /// For so long.
        lease_seconds: u32,
    },
}

impl Action {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Action::Webhook { .. } => "webhook",
            Action::Slack { .. } => "slack",
            Action::Email { .. } => "email",
            Action::Ticket { .. } => "ticket",
            Action::Command(HostCommand::KillTree {}) => "kill_tree",
            Action::Command(HostCommand::CollectForensics {}) => "collect_forensics",
            Action::Command(HostCommand::QuarantineFile {}) => "quarantine_file",
            Action::Command(HostCommand::IsolateHost { .. }) => "isolate_host",
            Action::Note { .. } => "note",
            Action::Label { .. } => "label",
            Action::OpenIssue {} => "open_issue",
        }
    }

    /// Whether it changes a host.
    pub const fn is_dangerous(&self) -> bool {
        matches!(self, Action::Command(command) if !matches!(command, HostCommand::CollectForensics {}))
    }
}

impl Step {
    /// Whether somebody has to approve it.
    pub fn needs_approval(&self) -> bool {
        self.approval.unwrap_or(self.action.is_dangerous())
    }
}

impl Playbook {
    /// From a playbook's body.
    pub fn parse(body: &str) -> Result<Playbook, String> {
        let playbook: Playbook = serde_json::from_str(body).map_err(|why| why.to_string())?;
        playbook.check()?;
        Ok(playbook)
    }

    /// As a playbook's body.
    pub fn to_body(&self) -> String {
        // Maps of strings always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Whether a step of it acts on hosts.
    pub fn acts_on_hosts(&self) -> bool {
        let mut actions = self.steps.iter().map(|step| &step.action);
        actions.any(|action| matches!(action, Action::Command(_)))
    }

    /// Refuses what cannot run, by the field that is wrong.
    pub fn check(&self) -> Result<(), String> {
        within("runs_per_hour", self.runs_per_hour, MAX_RUNS)?;
        bounded("description", &self.description, MAX_TEMPLATE)?;
        self.trigger.check()?;
        if self.steps.is_empty() || self.steps.len() > MAX_STEPS {
            return Err(format!("steps: 1 to {MAX_STEPS} are allowed"));
        }
        for (number, step) in self.steps.iter().enumerate() {
            step.check()
                .map_err(|why| format!("steps[{number}].{why}"))?;
            let needs_issue = matches!(step.action, Action::Note { .. } | Action::Label { .. });
            let opens = |step: &Step| matches!(step.action, Action::OpenIssue {});
            let has_issue = !self.trigger.on.contains(&Event::Finding)
                || self.steps.iter().take(number).any(opens);
            if needs_issue && !has_issue {
                return Err(format!(
                    "steps[{number}].action.{}: a finding has no issue yet: put open_issue before it",
                    step.action.name()
                ));
            }
        }
        Ok(())
    }
}

impl Trigger {
    fn check(&self) -> Result<(), String> {
        if self.on.is_empty() {
            return Err("trigger.on: it runs upon nothing".to_owned());
        }
        self.least()?;
        for (name, part) in [
            ("rules", &self.rules),
            ("projects", &self.projects),
            ("hosts", &self.hosts),
            ("images", &self.images),
        ] {
            if part.len() > MAX_NAMES {
                return Err(format!("trigger.{name}: at most {MAX_NAMES} are allowed"));
            }
            for pattern in part {
                bounded(&format!("trigger.{name}"), pattern, MAX_TEXT)?;
            }
        }
        Ok(())
    }

    /// The least severity.
    pub fn least(&self) -> Result<Severity, String> {
        match &self.severity {
            None => Ok(Severity::Informational),
            Some(name) => Severity::from_name(name).ok_or_else(|| {
                "trigger.severity: informational, low, medium, high or critical".to_owned()
            }),
        }
    }
}

impl Step {
    fn check(&self) -> Result<(), String> {
        within("timeout_seconds", self.timeout_seconds, MAX_SECONDS)?;
        within("attempts", self.attempts, MAX_ATTEMPTS)?;
        let name = self.action.name();
        let at = |field: &str| format!("action.{name}.{field}");
        match &self.action {
            Action::Webhook { url, secret } => {
                http_url(&at("url"), url)?;
                word(&at("secret"), secret)
            }
            Action::Slack { url_secret, text } => {
                word(&at("url_secret"), url_secret)?;
                is_template(&at("text"), text)
            }
            Action::Email { to, subject, text } => {
                if to.is_empty() || to.len() > MAX_NAMES {
                    return Err(format!("{}: 1 to {MAX_NAMES} addresses", at("to")));
                }
                for address in to {
                    address
                        .parse::<lettre::Address>()
                        .map_err(|why| format!("{}: {address:?}: {why}", at("to")))?;
                }
                is_template(&at("subject"), subject)?;
                is_template(&at("text"), text)
            }
            Action::Ticket {
                method,
                url,
                headers,
                authorization_secret,
                body,
            } => {
                if !matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
                    return Err(format!("{}: POST, PUT or PATCH", at("method")));
                }
                http_url(&at("url"), url)?;
                if headers.len() > MAX_HEADERS {
                    return Err(format!("{}: at most {MAX_HEADERS}", at("headers")));
                }
                for (name, value) in headers {
                    let place = at(&format!("headers.{name}"));
                    bounded(&place, value, MAX_TEXT)?;
                    let good = axum::http::HeaderName::try_from(name.as_str()).is_ok()
                        && axum::http::HeaderValue::try_from(value.as_str()).is_ok();
                    if !good || name.eq_ignore_ascii_case("authorization") {
                        return Err(format!(
                            "{place}: no header, or one that belongs into authorization_secret"
                        ));
                    }
                }
                if let Some(secret) = authorization_secret {
                    word(&at("authorization_secret"), secret)?;
                }
                is_template(&at("body"), body)
            }
            Action::Command(HostCommand::IsolateHost { lease_seconds }) => {
                within(&at("lease_seconds"), *lease_seconds, 7 * 24 * 3600)
            }
            Action::Command(_) | Action::OpenIssue {} => Ok(()),
            Action::Note { text } => is_template(&at("text"), text),
            Action::Label { labels } if labels.is_empty() => {
                Err(format!("{}: at least one", at("labels")))
            }
            Action::Label { labels } => {
                picket_store::check_labels(labels).map_err(|why| format!("{}: {why}", at("labels")))
            }
        }
    }
}

fn within(field: &str, value: u32, most: u32) -> Result<(), String> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{field}: 1 to {most}"))
}

fn bounded(field: &str, text: &str, most: usize) -> Result<(), String> {
    if text.len() <= most && !text.contains('\0') {
        return Ok(());
    }
    Err(format!("{field}: at most {most} bytes, and no NUL"))
}

fn word(field: &str, text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
        return Ok(());
    }
    Err(format!("{field}: 1 to 64 letters, digits and .-_"))
}

fn http_url(field: &str, text: &str) -> Result<(), String> {
    bounded(field, text, MAX_TEXT)?;
    let url: axum::http::Uri = text.parse().map_err(|why| format!("{field}: {why}"))?;
    let scheme = url.scheme_str().unwrap_or_default();
    let user = url.authority().is_some_and(|at| at.as_str().contains('@'));
    if matches!(scheme, "http" | "https") && url.host().is_some() && !user {
        return Ok(());
    }
    Err(format!(
        "{field}: an http or https URL, without a user in it"
    ))
}

fn is_template(field: &str, text: &str) -> Result<(), String> {
    bounded(field, text, MAX_TEMPLATE)?;
    template::check(text).map_err(|why| format!("{field}: {why}"))
}
