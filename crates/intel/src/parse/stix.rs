//! STIX 2.1 bundles: their indicators.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ParseError, Sink, pattern};
use crate::indicator::Fault;

#[derive(Deserialize)]
struct Bundle<'a> {
    // Kept as text, so that one wrong object does not cost the others.
    #[serde(borrow, default)]
    objects: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Object {
    r#type: String,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    pattern_type: Option<String>,
    #[serde(default)]
    valid_until: Option<String>,
    #[serde(default)]
    revoked: bool,
}

pub(super) fn parse(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), ParseError> {
    let bundle: Bundle<'_> =
        serde_json::from_slice(bytes).map_err(|error| ParseError::Json(error.to_string()))?;
    for (line, object) in (1..).zip(bundle.objects) {
        if sink.cut(line) {
            break;
        }
        if object.get().len() > sink.limits.line {
            sink.bad(line, Fault::Long);
            continue;
        }
        match serde_json::from_str::<Object>(object.get()) {
            Ok(object) if object.r#type == "indicator" => indicator(line, &object, sink),
            // Bundles hold much else: that is no fault of theirs.
            Ok(_) => {}
            Err(_) => sink.bad(line, Fault::Shape),
        }
    }
    Ok(())
}

fn indicator(line: u64, object: &Object, sink: &mut Sink<'_>) {
    if object.revoked {
        sink.report.expired += 1;
        return;
    }
    match sink.expired(object.valid_until.as_deref()) {
        Ok(true) => return,
        Ok(false) => {}
        Err(fault) => return sink.bad(line, fault),
    }
    let Some(text) = &object.pattern else {
        return sink.bad(line, Fault::Shape);
    };
    let is_stix = object.pattern_type.as_deref().unwrap_or("stix") == "stix";
    match pattern::read(text).filter(|_| is_stix) {
        Some(found) => found.into_iter().for_each(|found| sink.taken(line, found)),
        None => sink.report.not_understood += 1,
    }
}
