//! MISP events: the attributes that are meant for detection.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ParseError, Sink};
use crate::domain::Domain;
use crate::indicator::{Fault, Indicator};

/// As the API answers.
#[derive(Deserialize)]
struct Many<'a> {
    #[serde(borrow)]
    response: Vec<Wrapped<'a>>,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow, rename = "Event")]
    event: Event<'a>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "Attribute")]
    attributes: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "Object")]
    objects: Vec<Object<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default, rename = "Attribute")]
    attributes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attribute {
    r#type: String,
    value: String,
    #[serde(default)]
    to_ids: bool,
    #[serde(default)]
    deleted: bool,
}

pub(super) fn parse(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), ParseError> {
    // Not an untagged enum, which buffers, and raw values cannot come of a buffer.
    let wrong = |error: serde_json::Error| ParseError::Json(error.to_string());
    let events = match serde_json::from_slice::<Many<'_>>(bytes) {
        Ok(many) => many.response,
        Err(_) => vec![serde_json::from_slice::<Wrapped<'_>>(bytes).map_err(wrong)?],
    };
    let mut line = 0;
    for Wrapped { event } in &events {
        let inner = event.objects.iter().flat_map(|object| &object.attributes);
        for attribute in event.attributes.iter().chain(inner) {
            line += 1;
            if sink.cut(line) {
                return Ok(());
            }
            one(line, attribute.get(), sink);
        }
    }
    Ok(())
}

fn one(line: u64, text: &str, sink: &mut Sink<'_>) {
    if text.len() > sink.limits.line {
        return sink.bad(line, Fault::Long);
    }
    let Ok(attribute) = serde_json::from_str::<Attribute>(text) else {
        return sink.bad(line, Fault::Shape);
    };
    if attribute.deleted {
        sink.report.expired += 1;
        return;
    }
    let value = attribute.value.trim();
    // `a|b` pairs two values; which of them is the indicator, the type says.
    let (first, last) = value.split_once('|').unwrap_or((value, value));
    let domain = |text: &str| Domain::new(text).map(Indicator::Domain);
    let found = match attribute.r#type.as_str() {
        _ if !attribute.to_ids => None,
        "md5" | "sha1" | "sha256" => Some(Indicator::hash(value)),
        "filename|md5" | "filename|sha1" | "filename|sha256" => Some(Indicator::hash(last)),
        "ip-src" | "ip-dst" => Some(Indicator::prefix(value)),
        "ip-src|port" | "ip-dst|port" => Some(Indicator::prefix(first)),
        "domain" | "hostname" => Some(domain(value)),
        "hostname|port" | "domain|ip" => Some(domain(first)),
        "url" => Some(Indicator::url(value)),
        _ => None,
    };
    match found {
        Some(found) => sink.taken(line, found),
        None => sink.report.not_understood += 1,
    }
}
