//! What a run is about: its issue and its finding, read for steps and templates.

use jiff::Timestamp;
use picket_store::{FindingRow, Issue, IssueFilter, Micros, PageSize, Store, StoreError, Uuid};
use serde_json::{Value, json};

/// What a run is about.
pub(super) struct About {
    pub issue: Option<Issue>,
    pub finding: Option<(FindingRow, Value)>,
    pub projects: Vec<Uuid>,
    /// The same, for templates.
    pub values: Value,
}

/// As RFC 3339 has it.
pub(super) fn time(at: Micros) -> String {
    Timestamp::from_microsecond(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

impl About {
    /// Reads it; parts that are not there any more are left out.
    pub(super) async fn read(
        store: &dyn Store,
        name: &str,
        event: &str,
        run: Option<Uuid>,
        (issue, finding): (Option<Uuid>, Option<Uuid>),
    ) -> picket_store::Result<About> {
        let gone = |why: &StoreError| matches!(why, StoreError::NotFound { .. });
        let issue = match issue {
            None => None,
            Some(id) => match store.issue(id).await {
                Ok(issue) => Some(issue),
                Err(why) if gone(&why) => None,
                Err(why) => return Err(why),
            },
        };
        let (mut finding_read, mut projects) = (None, Vec::new());
        if let Some(id) = finding {
            match store.finding(id).await {
                Ok(row) => {
                    let bodies = store.findings_ocsf(&[id]).await?;
                    let ocsf = bodies
                        .into_iter()
                        .next()
                        .map_or(Value::Null, |(_, ocsf)| ocsf);
                    projects = store.finding_projects(id).await?;
                    finding_read = Some((row, ocsf));
                }
                Err(why) if gone(&why) => {}
                Err(why) => return Err(why),
            }
        }
        let mut values = json!({"playbook": name, "event": event});
        if let Some(run) = run {
            values["run"] = run.to_string().into();
        }
        if let Some(issue) = &issue {
            values["issue"] = issue_value(issue);
        }
        if let Some((row, ocsf)) = &finding_read {
            values["finding"] = finding_value(row, ocsf);
        }
        Ok(About {
            issue,
            finding: finding_read,
            projects,
            values,
        })
    }

    /// A step has opened an issue of the finding: the steps after it see it.
    pub(super) async fn opened(&mut self, store: &dyn Store) -> picket_store::Result<()> {
        let Some((row, _)) = &self.finding else {
            return Ok(());
        };
        let filter = IssueFilter {
            fingerprints: vec![row.columns.fingerprint.value.clone()],
            ..IssueFilter::default()
        };
        let one = PageSize::new(1)?;
        let page = store.issues(&filter, None, one).await?;
        if let Some(issue) = page.items.into_iter().next() {
            self.values["issue"] = issue_value(&issue);
            self.issue = Some(issue);
        }
        Ok(())
    }
}

fn issue_value(issue: &Issue) -> Value {
    json!({
        "id": issue.id.to_string(),
        "status": issue.status.name(),
        "severity": issue.severity.name(),
        "title": issue.title,
        "rule": issue.rule,
        "host": issue.host,
        "namespace": issue.namespace,
        "image": issue.image,
        "count": issue.count,
        "first_seen": time(issue.first_seen),
        "last_seen": time(issue.last_seen),
        "due_at": time(issue.due_at),
    })
}

fn finding_value(row: &FindingRow, ocsf: &Value) -> Value {
    let columns = &row.columns;
    json!({
        "id": row.id.to_string(),
        "uid": row.uid,
        "time": time(columns.time),
        "severity": columns.severity.name(),
        "rule": columns.rule,
        "host": columns.host,
        "container": columns.container,
        "image": columns.image,
        "user": columns.user,
        "process": columns.process,
        "ocsf": ocsf,
    })
}
