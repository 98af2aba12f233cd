//! Findings from the wire into the store, each once.

use super::Shared;
use super::{Counters, now};
use crate::intake::{Origin, ProjectBook, read};
use picket_proto::fleet::wire::Refused;
use picket_proto::fleet::{MAX_FINDINGS, wire};
use picket_store::{Delivered, limits};
use serde_json::Value;
use tonic::Status;

/// Stores what a message brings; gives the answer once it is committed. Whatever is
/// wrong with one finding is told, and holds up no other.
pub(super) async fn deliver(
    shared: &Shared,
    from: &Origin<'_>,
    book: &ProjectBook,
    message: wire::Findings,
) -> Result<wire::Stored, Status> {
    if message.ocsf.len() > MAX_FINDINGS {
        return Err(Status::invalid_argument(format!(
            "more than {MAX_FINDINGS} findings in one message"
        )));
    }
    let mut refused = Vec::new();
    let mut findings = Vec::with_capacity(message.ocsf.len());
    for json in &message.ocsf {
        match parse(json).and_then(|(uid, value)| read(value, from, book).map_err(|why| (uid, why)))
        {
            Ok(finding) => findings.push(finding),
            Err((uid, why)) => refused.push(refusal(uid, why)),
        }
    }
    let uids: Vec<String> = findings.iter().map(|finding| finding.uid.clone()).collect();
    // The semaphore is never closed.
    let _turn = shared.deliveries.acquire().await;
    let delivered = shared
        .store
        .store_findings(findings, now())
        .await
        .map_err(|why| super::service::refused(&why))?;
    let counters = &shared.counters;
    for (uid, delivered) in uids.into_iter().zip(delivered) {
        match delivered {
            Delivered::New(_) => Counters::add(&counters.findings, 1),
            Delivered::Known => Counters::add(&counters.findings_known, 1),
            Delivered::Refused(why) => refused.push(refusal(uid, why)),
        }
    }
    Counters::add(&counters.findings_refused, refused.len() as u64);
    Ok(wire::Stored {
        lane: message.lane,
        last: message.last,
        refused,
    })
}

type Unreadable = (String, &'static str);

fn parse(json: &[u8]) -> Result<(String, Value), Unreadable> {
    if json.len() > limits::MAX_FINDING_JSON {
        return Err((String::new(), "its JSON is too long"));
    }
    let value: Value =
        serde_json::from_slice(json).map_err(|_| (String::new(), "it is no JSON"))?;
    let uid = value.pointer("/finding_info/uid").and_then(Value::as_str);
    let uid = uid.unwrap_or_default().to_owned();
    Ok((uid, value))
}

fn refusal(uid: String, why: &str) -> Refused {
    Refused {
        uid: super::heartbeats::text(&uid, limits::MAX_FINDING_UID),
        why: why.to_owned(),
    }
}
