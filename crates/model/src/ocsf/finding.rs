//! Detection Findings out.

use super::attack::attacks;
use super::tree::{Leaf, Tree};
use super::write::{event_tree, push_product};
use super::{NS_PER_MS, category_uid, type_uid};
use crate::datum::Datum;
use crate::errno;
use crate::event::Event;
use crate::finding::{Decision, Disposition, Finding, Mechanism, Outcome, Withheld};
use crate::rule::RuleInfo;
use crate::severity::Severity;
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// The finding as an OCSF Detection Finding, written without an intermediate value.
pub fn finding_to_json(finding: &Finding) -> FindingJson<'_> {
    FindingJson(finding)
}

/// A finding as an OCSF Detection Finding; [`Display`](fmt::Display) gives the
/// JSON on one line.
///
/// `evidences[0]` is the whole event, just as [`EventJson`](super::EventJson)
/// writes it: it can be taken out and matched again. Times are the event's, so
/// that a replay writes what the live run wrote. What the rule says of itself
/// beyond OCSF stands in `ext.rule`, what became of the match in
/// `ext.responses`, one object a policy.
#[derive(Debug, Clone, Copy)]
pub struct FindingJson<'a>(&'a Finding);

impl Serialize for FindingJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        finding_tree(self.0).serialize(serializer)
    }
}

impl fmt::Display for FindingJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

const DETECTION_FINDING: u32 = 2004;
const CREATE: u32 = 1;

fn finding_tree(finding: &Finding) -> Tree<'_> {
    let (rule, event) = (&*finding.rule, &*finding.event);
    let uid = finding.uid();
    let time_ms = event.time_ns.div_euclid(NS_PER_MS);
    let disposition = finding.disposition();
    let mut tree = Tree::new();
    tree.push("class_uid", DETECTION_FINDING);
    tree.push("class_name", "Detection Finding");
    tree.push("activity_id", CREATE);
    tree.push("activity_name", "Create");
    tree.push("type_uid", type_uid(DETECTION_FINDING, CREATE));
    tree.push("category_uid", category_uid(DETECTION_FINDING));
    tree.push("time", time_ms);
    tree.push("severity_id", rule.severity.id());
    tree.push("severity", caption(rule.severity));
    let (action_id, action) = action(finding, disposition);
    tree.push("action_id", action_id);
    tree.push("action", action);
    tree.push("disposition_id", disposition.id());
    tree.push("disposition", disposition.name());
    tree.push("is_alert", true);
    tree.push("metadata.uid", uid.clone());
    tree.push("metadata.correlation_uid", Leaf::Shown(&event.uid));
    push_product(&mut tree);
    tree.push("metadata.profiles", vec!["security_control".to_owned()]);

    push_info(rule, uid, time_ms, &mut tree);
    push_device(event, &mut tree);
    tree.push("evidences", vec![event_tree(event)]);
    push_rule(rule, &mut tree);
    if !finding.decisions.is_empty() {
        let responses: Vec<Tree<'_>> = finding.decisions.iter().map(response).collect();
        tree.push("ext.responses", responses);
    }
    tree
}

fn push_info<'a>(rule: &'a RuleInfo, uid: String, time_ms: i64, tree: &mut Tree<'a>) {
    tree.push("finding_info.uid", uid);
    tree.push("finding_info.title", &*rule.title);
    if !rule.description.is_empty() {
        tree.push("finding_info.desc", &*rule.description);
    }
    tree.push("finding_info.created_time", time_ms);
    tree.push("finding_info.analytic.uid", &*rule.id);
    tree.push("finding_info.analytic.name", &*rule.title);
    tree.push("finding_info.analytic.type_id", 1u32);
    tree.push("finding_info.analytic.type", "Rule");
    tree.push_some("finding_info.analytic.category", rule.category.as_deref());
    let attacks = attacks(&rule.tags);
    if !attacks.is_empty() {
        tree.push("finding_info.attacks", attacks);
    }
}

fn push_device<'a>(event: &'a Event, tree: &mut Tree<'a>) {
    let hostname = event.host.hostname.known();
    tree.push_some("device.hostname", hostname.map(|name| &**name));
}

fn push_rule<'a>(rule: &'a RuleInfo, tree: &mut Tree<'a>) {
    let lists = [
        ("ext.rule.tags", &rule.tags),
        ("ext.rule.projects", &rule.projects),
        ("ext.rule.false_positives", &rule.false_positives),
        ("ext.rule.references", &rule.references),
    ];
    tree.push_some("ext.rule.category", rule.category.as_deref());
    tree.push_some("ext.rule.author", rule.author.as_deref());
    for (path, texts) in lists {
        if !texts.is_empty() {
            tree.push(path, texts.as_slice());
        }
    }
    if rule.outputs.issue {
        tree.push("ext.rule.issue", true);
    }
    if !rule.origin.file.is_empty() {
        tree.push("ext.rule.file", &*rule.origin.file);
        tree.push("ext.rule.line", rule.origin.line);
    }
}

/// OCSF captions begin with a capital letter.
fn caption(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

/// `Denied` only where the operation is known not to have gone through. A killed
/// process whose operation was carried out, or may have been, is `Unknown`:
/// OCSF leaves the word to the disposition then.
fn action(finding: &Finding, disposition: Disposition) -> (u32, &'static str) {
    let denied = finding.decisions.iter().any(|decision| {
        let Outcome::Acted {
            operation_completed,
            ..
        } = decision.outcome
        else {
            return false;
        };
        decision.mechanisms.contains(&Mechanism::KernelDeny)
            || operation_completed == Datum::Known(false)
    });
    match disposition {
        _ if denied => (2, "Denied"),
        Disposition::Blocked => (0, "Unknown"),
        Disposition::Logged => (1, "Allowed"),
    }
}

/// One policy's decision. `mode` is what the policy did at that moment; it is
/// left out where a check held the action back before the modes part.
fn response(decision: &Decision) -> Tree<'_> {
    let mut tree = Tree::new();
    tree.push("policy", &*decision.policy);
    let (mode, outcome) = match &decision.outcome {
        Outcome::Simulated => (Some("simulate"), "simulated"),
        Outcome::Acted { .. } => (Some("block"), "acted"),
        Outcome::Withheld(Withheld::BudgetExceeded | Withheld::Disarmed) => {
            (Some("simulate"), "withheld")
        }
        Outcome::Withheld(_) => (None, "withheld"),
        Outcome::Failed { .. } => (Some("block"), "failed"),
    };
    tree.push_some("mode", mode);
    tree.push("kill", decision.effects.kill);
    tree.push("deny", decision.effects.deny);
    tree.push("pid", decision.pid);
    let mechanisms: Vec<String> = decision
        .mechanisms
        .iter()
        .map(|mechanism| mechanism.name().to_owned())
        .collect();
    tree.push_some("mechanism", mechanisms.first().cloned());
    tree.push("mechanisms", mechanisms);
    tree.push("outcome", outcome);
    match &decision.outcome {
        Outcome::Simulated => {}
        Outcome::Acted {
            latency_ns,
            operation_completed,
        } => {
            push_datum("latency_ns", *latency_ns, &mut tree);
            push_datum("operation_completed", *operation_completed, &mut tree);
        }
        Outcome::Withheld(why) => {
            tree.push("reason", why.name());
            if let Withheld::Protected { entry } = why {
                tree.push("protected_by", &**entry);
            }
        }
        Outcome::Failed { errno } => match errno::name(*errno) {
            Some(name) => tree.push("error", name),
            None => tree.push("error", format!("E{errno}")),
        },
    }
    tree
}

/// `null` is "not known"; no key is "does not apply".
fn push_datum<'a, T: Into<Leaf<'a>>>(path: &'static str, datum: Datum<T>, tree: &mut Tree<'a>) {
    match datum {
        Datum::Absent => {}
        Datum::Unknown => tree.push(path, Leaf::Null),
        Datum::Truncated(value) | Datum::Known(value) => tree.push(path, value),
    }
}
