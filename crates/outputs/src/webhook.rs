//! Signed webhooks: a batch of CloudEvents a request.
//!
//! The id is the same when a batch comes again.

use crate::config::To;
use crate::deliver::{Failure, Refused, Way};
use crate::http::Client;
use crate::record::Record;
use crate::signature::{Signer, read_secret};
use ring::digest;
use serde_json::{Value, json};
use std::io;

/// CloudEvents' name for what each one is.
const TYPE: &str = "dev.picket.finding";
/// CloudEvents 1.0.2, JSON Batch Format.
const KIND: &str = "application/cloudevents-batch+json; charset=utf-8";

pub(crate) struct Webhook {
    client: Client,
    signer: Signer,
}

impl Webhook {
    pub(crate) fn open(to: &To) -> io::Result<Webhook> {
        let file = to.secret_file.as_deref();
        let file = file.ok_or_else(|| io::Error::other("a webhook needs a secret_file"))?;
        Ok(Webhook {
            client: Client::new(&to.url, to.authorities.as_deref())?,
            signer: Signer::new(&read_secret(file)?),
        })
    }
}

fn event(record: &Record) -> Value {
    json!({
        "specversion": "1.0",
        "id": record.id,
        "source": format!("picket/{}", record.host),
        "type": TYPE,
        "subject": record.rule,
        "time": record.rfc3339(),
        "datacontenttype": "application/json",
        "data": record.ocsf,
    })
}

fn batch_id(records: &[Record]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for record in records {
        context.update(record.id.as_bytes());
        context.update(&[0]);
    }
    let hash = context.finish();
    let mut id = String::from("msg_");
    for byte in &hash.as_ref()[..16] {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

impl Way for Webhook {
    fn send(&mut self, records: &[Record]) -> Result<Option<Refused>, Failure> {
        let body = Value::Array(records.iter().map(event).collect()).to_string();
        let id = batch_id(records);
        let now = jiff::Timestamp::now().as_second();
        let headers = self.signer.headers(&id, now, &body);
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        self.client.post(KIND, &headers, &body)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::receiver;
    use crate::record::tests::record;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::hmac;

    #[test]
    fn a_receiver_verifies_the_signature_and_tells_a_batch_that_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "whsec_cGlja2V0LXNlY3JldA==\n").unwrap();
        let (url, got) = receiver(vec![(503, "later"), (204, "")]);
        let to = To {
            url,
            secret_file: Some(file),
            authorities: None,
        };
        let mut webhook = Webhook::open(&to).unwrap();
        let records = [record(1), record(2)];
        let failure = webhook.send(&records).unwrap_err();
        assert!(
            failure.again && failure.why == "HTTP 503 later",
            "{failure:?}"
        );
        assert_eq!(webhook.send(&records), Ok(None));
        let (first, second) = (got.recv().unwrap(), got.recv().unwrap());
        assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
        let signed = format!(
            "{}.{}.{}",
            second.header("webhook-id"),
            second.header("webhook-timestamp"),
            second.body
        );
        let signature = second
            .header("webhook-signature")
            .strip_prefix("v1,")
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"picket-secret");
        hmac::verify(
            &key,
            signed.as_bytes(),
            &STANDARD.decode(signature).unwrap(),
        )
        .unwrap();
        let events: Value = serde_json::from_str(&second.body).unwrap();
        assert_eq!(events[1]["id"], "f2");
        assert_eq!(events[1]["data"]["class_uid"], 2004);
        assert_eq!(second.header("content-type"), KIND);
    }
}
