//! What single JSON values are read as.

use super::source::{EventError, Place};
use crate::text::Escaped;
use serde_json::Value;
use std::net::IpAddr;

/// OCSF `fingerprint.algorithm_id` of SHA-256.
pub(super) const SHA256_ID: u32 = 3;

pub(super) fn wrong_type(place: &Place<'_>, wanted: &str, found: &Value) -> EventError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    place.error(format!("expected {wanted}, found {found}"))
}

pub(super) fn text_ref<'j>(value: &'j Value, place: Place<'_>) -> Result<&'j str, EventError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&place, "a string", other)),
    }
}

pub(super) fn text<T: for<'t> From<&'t str>>(
    value: &Value,
    place: Place<'_>,
) -> Result<T, EventError> {
    text_ref(value, place).map(T::from)
}

pub(super) fn boolean(value: &Value, place: Place<'_>) -> Result<bool, EventError> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        other => Err(wrong_type(&place, "a boolean", other)),
    }
}

/// A whole number that fits.
pub(super) fn number<T>(value: &Value, place: Place<'_>) -> Result<T, EventError>
where
    T: TryFrom<u64> + TryFrom<i64>,
{
    let Value::Number(number) = value else {
        return Err(wrong_type(&place, "a whole number", value));
    };
    let unsigned = number.as_u64().map(|number| T::try_from(number).ok());
    let signed = || number.as_i64().map(|number| T::try_from(number).ok());
    match unsigned.or_else(signed) {
        Some(Some(fitting)) => Ok(fitting),
        Some(None) => Err(place.error(format!("{number} is out of range"))),
        None => Err(place.error(format!("expected a whole number, found {number}"))),
    }
}

/// OCSF user ids are strings; numbers are taken as well.
pub(super) fn user_id(value: &Value, place: Place<'_>) -> Result<u32, EventError> {
    match value {
        Value::String(text) => text
            .parse()
            .map_err(|_| place.error(format!("`{}` is no user id", shortened(text)))),
        other => number(other, place),
    }
}

/// An address; an IPv4-mapped one as the IPv4 address it stands for.
pub(super) fn address(value: &Value, place: Place<'_>) -> Result<IpAddr, EventError> {
    let text = text_ref(value, place)?;
    let address: Result<IpAddr, _> = text.parse();
    address
        .map(|address| address.to_canonical())
        .map_err(|_| place.error(format!("`{}` is no IP address", shortened(text))))
}

/// Each element of an array.
pub(super) fn elements<'j, T>(
    value: &'j Value,
    place: Place<'_>,
    mut read: impl FnMut(&'j Value, Place<'_>) -> Result<T, EventError>,
) -> Result<Vec<T>, EventError> {
    let Value::Array(values) = value else {
        return Err(wrong_type(&place, "an array", value));
    };
    let each = values.iter().enumerate();
    each.map(|(index, value)| read(value, place.element(index)))
        .collect()
}

pub(super) fn texts(value: &Value, place: Place<'_>) -> Result<Box<[Box<str>]>, EventError> {
    elements(value, place, text).map(Vec::into_boxed_slice)
}

/// What a message shows of a value from outside.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let end = text.char_indices().nth(MOST).map(|(end, _)| end);
    match end {
        Some(end) => format!("{}…", Escaped(&text[..end])),
        None => Escaped(text).to_string(),
    }
}
