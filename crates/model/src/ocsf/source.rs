//! Typed look-ups in a JSON object, that say where they failed.

use super::values::{elements, shortened, text_ref, wrong_type};
use super::write::SRC_HOSTNAME;
use crate::datum::Datum;
use crate::field::{Field, ProcessAttr, ProcessList};
use serde_json::{Map, Value};
use std::fmt;

/// Why a JSON text is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventError {
    /// Where, such as `process.ancestry[2].pid`; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl EventError {
    pub(super) fn whole(reason: impl Into<String>) -> EventError {
        EventError {
            path: String::new(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.path, self.reason)
        }
    }
}

impl std::error::Error for EventError {}

/// Where an object stands; written out only when an error needs it.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    up: Option<&'p Place<'p>>,
    name: &'p str,
    index: Option<usize>,
}

impl<'p> Place<'p> {
    pub(super) const ROOT: Place<'static> = Place {
        up: None,
        name: "",
        index: None,
    };

    pub(super) fn child(&'p self, name: &'p str) -> Place<'p> {
        Place {
            up: Some(self),
            name,
            index: None,
        }
    }

    pub(super) fn element(self, index: usize) -> Place<'p> {
        Place {
            index: Some(index),
            ..self
        }
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> EventError {
        EventError {
            path: self.to_string(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            write!(f, "{up}")?;
            if !up.name.is_empty() {
                f.write_str(".")?;
            }
        }
        f.write_str(self.name)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

/// Names of the fields that are not wholly known.
#[derive(Default)]
pub(super) struct Names {
    unknown: Vec<String>,
    truncated: Vec<String>,
}

impl Names {
    /// Reads the two lists of an event.
    pub(super) fn of_event(event: &Source<'_, '_>) -> Result<Names, EventError> {
        Ok(Names {
            unknown: event.names("unknown", event_name)?,
            truncated: event.names("truncated", event_name)?,
        })
    }

    /// Reads the two lists of a process inside a list.
    pub(super) fn of_element(element: &Source<'_, '_>) -> Result<Names, EventError> {
        Ok(Names {
            unknown: element.names("ext.unknown", element_name)?,
            truncated: element.names("ext.truncated", element_name)?,
        })
    }

    pub(super) fn is_unknown(&self, prefix: &str, name: &str) -> bool {
        holds(&self.unknown, prefix, name)
    }

    fn is_truncated(&self, prefix: &str, name: &str) -> bool {
        holds(&self.truncated, prefix, name)
    }

    /// True when a name begins so.
    pub(super) fn has_under(&self, prefix: &str) -> bool {
        let under = |names: &[String]| names.iter().any(|name| name.starts_with(prefix));
        under(&self.unknown) || under(&self.truncated)
    }
}

fn holds(names: &[String], prefix: &str, name: &str) -> bool {
    names
        .iter()
        .any(|known| known.strip_prefix(prefix) == Some(name))
}

/// The rule language's name for what an event's lists may name.
fn event_name(name: &str) -> Option<String> {
    let by_name = Field::from_name(name).is_some()
        || ProcessList::from_name(name).is_some()
        || ["process.parent_process", "actor.process", SRC_HOSTNAME].contains(&name);
    if by_name {
        return Some(name.to_owned());
    }
    match name {
        "process.ancestry" => return Some(ProcessList::ProcessAncestors.name().to_owned()),
        "actor.process.ancestry" => return Some(ProcessList::ActorAncestors.name().to_owned()),
        _ => {}
    }
    Field::all()
        .find(|field| field.json() == name)
        .map(|field| field.to_string())
}

fn element_name(name: &str) -> Option<String> {
    ProcessAttr::from_name(name).map(|attr| attr.name().to_owned())
}

/// One object of an event's JSON.
pub(super) struct Source<'j, 'p> {
    object: &'j Map<String, Value>,
    place: Place<'p>,
}

impl<'j, 'p> Source<'j, 'p> {
    pub(super) fn new(value: &'j Value, place: Place<'p>) -> Result<Source<'j, 'p>, EventError> {
        match value {
            Value::Object(object) => Ok(Source { object, place }),
            other => Err(wrong_type(&place, "an object", other)),
        }
    }

    /// An object without keys.
    pub(super) fn empty(place: Place<'p>, none: &'j Map<String, Value>) -> Source<'j, 'p> {
        Source {
            object: none,
            place,
        }
    }

    pub(super) fn place(&self) -> &Place<'p> {
        &self.place
    }

    /// The value at a dot-separated path; `null` is no value.
    pub(super) fn find(&self, path: &str) -> Result<Option<&'j Value>, EventError> {
        let mut object = self.object;
        let mut start = 0;
        loop {
            let rest = &path[start..];
            let (key, end) = match rest.find('.') {
                Some(dot) => (&rest[..dot], Some(start + dot)),
                None => (rest, None),
            };
            let value = match object.get(key) {
                None | Some(Value::Null) => return Ok(None),
                Some(value) => value,
            };
            match (end, value) {
                (None, value) => return Ok(Some(value)),
                (Some(end), Value::Object(inner)) => {
                    object = inner;
                    start = end + 1;
                }
                (Some(end), other) => {
                    return Err(wrong_type(
                        &self.place.child(&path[..end]),
                        "an object",
                        other,
                    ));
                }
            }
        }
    }

    /// The value at a path, as what `read` makes of it.
    pub(super) fn read<T>(
        &self,
        path: &str,
        read: impl FnOnce(&'j Value, Place<'_>) -> Result<T, EventError>,
    ) -> Result<Option<T>, EventError> {
        match self.find(path)? {
            Some(value) => read(value, self.place.child(path)).map(Some),
            None => Ok(None),
        }
    }

    /// The same, with how much of it is known.
    pub(super) fn datum<T>(
        &self,
        path: &str,
        names: &Names,
        prefix: &str,
        name: &str,
        read: impl FnOnce(&'j Value, Place<'_>) -> Result<T, EventError>,
    ) -> Result<Datum<T>, EventError> {
        Ok(mark(self.read(path, read)?, names, prefix, name))
    }

    fn names(
        &self,
        path: &str,
        resolve: fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, EventError> {
        let names = self.read(path, |value, place| {
            elements(value, place, |value, place| {
                let name = text_ref(value, place)?;
                let unheard = || place.error(format!("there is no field `{}`", shortened(name)));
                resolve(name).ok_or_else(unheard)
            })
        })?;
        Ok(names.unwrap_or_default())
    }
}

/// A value with what the lists of names say of it.
pub(super) fn mark<T>(value: Option<T>, names: &Names, prefix: &str, name: &str) -> Datum<T> {
    if names.is_unknown(prefix, name) {
        return Datum::Unknown;
    }
    match value {
        None => Datum::Absent,
        Some(value) if names.is_truncated(prefix, name) => Datum::Truncated(value),
        Some(value) => Datum::Known(value),
    }
}
