//! What a digest needs of a finding, taken out of its OCSF once, when it comes in.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of one text; what is longer is cut, and whole in the OCSF.
const TEXT: usize = 512;
/// Ancestors, policies, tags: of each so many,
const ITEMS: usize = 16;
/// and bytes of each text of one. With these, facts always fit into
/// [`MAX_FACTS`](picket_store::limits::MAX_FACTS): nobody gets out of an issue by a
/// long name.
const ITEM: usize = 256;
/// OCSF's number of the algorithm.
const SHA256: u64 = 3;

/// What is known of one finding beside the columns that it is looked for by. All of it
/// is from the sensor's words. What does not apply, or was not known, is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    /// The rule's title.
    pub(crate) title: String,
    /// Whether the rule's matches open an issue, as the rule was when it matched.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) issue: bool,
    /// The rule's threat category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    /// The rule's tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// The Kubernetes namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// The pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<String>,
    /// The process that the finding is about: of an exec the new image, else the one
    /// that acted. Path, or name where there is no path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<String>,
    /// Of an exec, the parent by ppid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    /// Its ancestors, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ancestors: Vec<String>,
    /// SHA-256 of the process's executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// Where it connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) destination: Option<Destination>,
    /// The name that it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<String>,
    /// The file that was opened, made, renamed, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// What response policies made of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<PolicyFact>,
}

/// Where a process connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Destination {
    /// Its address.
    pub(crate) ip: String,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// The name under which this host's processes had asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<String>,
}

/// What one policy made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PolicyFact {
    /// The policy.
    pub(crate) name: String,
    /// `simulated`, `acted`, `withheld` or `failed`.
    pub(crate) outcome: String,
    /// Whether it asks for the process to be killed.
    pub(crate) kill: bool,
    /// Why it was withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Facts {
    /// Of a Detection Finding.
    pub(crate) fn of(finding: &Value) -> Facts {
        let evidence = finding.pointer("/evidences/0").unwrap_or(&Value::Null);
        let rule = finding.pointer("/ext/rule").unwrap_or(&Value::Null);
        // Of an exec it is the new image.
        let process = evidence
            .get("process")
            .or_else(|| evidence.pointer("/actor/process"))
            .unwrap_or(&Value::Null);
        let domain = text(evidence, "/query/hostname");
        let destination = text(evidence, "/dst_endpoint/ip").map(|ip| Destination {
            ip,
            port: evidence
                .pointer("/dst_endpoint/port")
                .and_then(Value::as_u64)
                .and_then(|port| port.try_into().ok()),
            domain: text(evidence, "/dst_endpoint/hostname"),
        });
        Facts {
            title: text(finding, "/finding_info/title").unwrap_or_default(),
            issue: rule.get("issue").and_then(Value::as_bool) == Some(true),
            category: text(rule, "/category"),
            tags: items(rule, "tags")
                .filter_map(|tag| Some(clip(tag.as_str()?, ITEM)))
                .collect(),
            namespace: text(evidence, "/container/ext/k8s/namespace"),
            pod: text(evidence, "/container/ext/k8s/pod"),
            process: image(process, TEXT),
            parent: process
                .get("parent_process")
                .and_then(|parent| image(parent, TEXT)),
            ancestors: items(process, "ancestry")
                .filter_map(|ancestor| image(ancestor, ITEM))
                .collect(),
            sha256: sha256(process),
            // Of a question it is the resolver that was asked: nobody cares.
            destination: destination.filter(|_| domain.is_none()),
            domain,
            file: text(evidence, "/file/path"),
            policies: finding
                .get("ext")
                .map(|ext| items(ext, "responses").map(policy).collect())
                .unwrap_or_default(),
        }
    }

    /// As they were stored; none for what is none.
    pub(crate) fn read(facts: &Value) -> Option<Facts> {
        Facts::deserialize(facts).ok()
    }

    /// As they are stored.
    pub(crate) fn written(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Cut between two characters; without control characters, each of which JSON would
/// write as six bytes.
fn clip(text: &str, bytes: usize) -> String {
    let mut clipped = String::with_capacity(text.len().min(bytes));
    for character in text.chars() {
        let character = if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        };
        if clipped.len() + character.len_utf8() > bytes {
            break;
        }
        clipped.push(character);
    }
    clipped
}

fn text_up_to(value: &Value, place: &str, bytes: usize) -> Option<String> {
    let text = value.pointer(place)?.as_str()?;
    (!text.is_empty()).then(|| clip(text, bytes))
}

fn text(value: &Value, place: &str) -> Option<String> {
    text_up_to(value, place, TEXT)
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    let items = value.get(name).and_then(Value::as_array);
    items.into_iter().flatten().take(ITEMS)
}

/// A process's executable: its path, or name where there is no path.
fn image(process: &Value, bytes: usize) -> Option<String> {
    text_up_to(process, "/file/path", bytes).or_else(|| text_up_to(process, "/name", bytes))
}

fn sha256(process: &Value) -> Option<String> {
    let hashes = process.pointer("/file/hashes")?.as_array()?;
    hashes
        .iter()
        .find(|hash| {
            hash.get("algorithm_id").and_then(Value::as_u64) == Some(SHA256)
                || hash.get("algorithm").and_then(Value::as_str) == Some("SHA-256")
        })
        .and_then(|hash| text(hash, "/value"))
}

fn policy(response: &Value) -> PolicyFact {
    let text = |place| text_up_to(response, place, ITEM);
    PolicyFact {
        name: text("/policy").unwrap_or_default(),
        outcome: text("/outcome").unwrap_or_default(),
        kill: response.get("kill").and_then(Value::as_bool) == Some(true),
        reason: text("/reason"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_exec_is_told_by_its_new_image() {
        let facts = Facts::of(&json!({
            "finding_info": {"title": "A web server started a shell"},
            "evidences": [{
                "process": {"name": "sh", "ancestry": [
                        {"name": "nginx", "file": {"path": "/usr/sbin/nginx"}}, {"name": "systemd"}],
                    "parent_process": {"file": {"path": "/usr/sbin/nginx"}},
                    "file": {"path": "/usr/bin/dash", "hashes": [
                        {"algorithm": "MD5", "value": "00"}, {"algorithm": "SHA-256", "value": "ab"}]}},
                "actor": {"process": {"file": {"path": "/usr/sbin/nginx"}}},
                "container": {"ext": {"k8s": {"namespace": "payments", "pod": "shop-0"}}},
            }],
            "ext": {
                "rule": {"issue": true, "category": "web_shell", "tags": ["attack.t1505.003"]},
                "responses": [{"policy": "stop", "outcome": "withheld", "kill": true, "reason": "protected"}],
            },
        }));
        let known = Facts {
            title: "A web server started a shell".to_owned(),
            issue: true,
            category: Some("web_shell".to_owned()),
            tags: vec!["attack.t1505.003".to_owned()],
            namespace: Some("payments".to_owned()),
            pod: Some("shop-0".to_owned()),
            process: Some("/usr/bin/dash".to_owned()),
            parent: Some("/usr/sbin/nginx".to_owned()),
            ancestors: vec!["/usr/sbin/nginx".to_owned(), "systemd".to_owned()],
            sha256: Some("ab".to_owned()),
            policies: vec![PolicyFact {
                name: "stop".to_owned(),
                outcome: "withheld".to_owned(),
                kill: true,
                reason: Some("protected".to_owned()),
            }],
            ..Facts::default()
        };
        assert_eq!(facts, known);
        assert_eq!(Facts::read(&facts.written()), Some(facts));
    }

    #[test]
    fn a_connection_has_a_destination_and_a_question_a_domain() {
        let of = |evidence: Value| Facts::of(&json!({"evidences": [evidence]}));
        let connect = of(json!({
            "actor": {"process": {"name": "curl", "ancestry": [{"name": "sh"}]}},
            "dst_endpoint": {"ip": "198.51.100.7", "port": 4444, "hostname": "c2.example"},
        }));
        assert_eq!(connect.process.as_deref(), Some("curl"));
        assert_eq!(connect.ancestors, ["sh"]);
        let destination = Destination {
            ip: "198.51.100.7".to_owned(),
            port: Some(4444),
            domain: Some("c2.example".to_owned()),
        };
        assert_eq!(connect.destination, Some(destination));
        let question = of(json!({
            "query": {"hostname": "x7f.example.net"}, "dst_endpoint": {"ip": "127.0.0.53", "port": 53},
        }));
        assert_eq!(question.domain.as_deref(), Some("x7f.example.net"));
        assert_eq!(question.destination, None);
    }

    #[test]
    fn the_longest_facts_can_be_stored() {
        for text in ["\"".repeat(4000), "\u{1}".repeat(4000), "é".repeat(4000)] {
            let process = json!({"name": text, "file": {"path": text}});
            let many = |item: &Value| json!(vec![item; 1000]);
            let response = json!({"policy": text, "outcome": text, "reason": text});
            let facts = Facts::of(&json!({
                "finding_info": {"title": text},
                "evidences": [{
                    "process": {"file": {"path": text}, "parent_process": process, "ancestry": many(&process)},
                    "file": {"path": text}, "query": {"hostname": text},
                    "container": {"ext": {"k8s": {"namespace": text, "pod": text}}},
                }],
                "ext": {"rule": {"category": text, "tags": many(&json!(text))}, "responses": many(&response)},
            }));
            assert_eq!((facts.ancestors.len(), facts.tags.len()), (ITEMS, ITEMS));
            let bytes = facts.written().to_string().len();
            assert!(bytes <= picket_store::limits::MAX_FACTS, "{bytes}");
        }
    }

    #[test]
    fn what_is_none_is_told() {
        assert_eq!(Facts::read(&Value::Null), None);
        assert_eq!(Facts::read(&json!({"ancestors": 5})), None);
        assert_eq!(Facts::read(&json!({})), Some(Facts::default()));
    }
}
