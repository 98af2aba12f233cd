//! Findings as text for people.
//!
//! Every value that comes from an event or a rule goes through
//! [`Escaped`]: a command line must not be able to move the reader's cursor,
//! recolour the screen or turn the reading direction round.

mod escape;
mod finding;
mod particulars;
mod response;
mod time;
mod tree;

#[cfg(test)]
mod tests;

pub use escape::Escaped;
pub use finding::{FindingText, finding};
pub use time::Timestamp;

use crate::datum::Datum;

/// A text as far as it is known: `?` for an unknown one, `…` after a cut one.
fn shown<T: AsRef<str>>(datum: &Datum<T>) -> Option<String> {
    match datum {
        Datum::Absent => None,
        Datum::Unknown => Some("?".to_owned()),
        Datum::Truncated(text) => Some(format!("{}…", Escaped(text.as_ref()))),
        Datum::Known(text) => Some(Escaped(text.as_ref()).to_string()),
    }
}

/// The same for what prints itself without surprises.
fn printed<T: std::fmt::Display>(datum: Datum<T>) -> Option<String> {
    match datum {
        Datum::Absent => None,
        Datum::Unknown => Some("?".to_owned()),
        Datum::Truncated(value) | Datum::Known(value) => Some(value.to_string()),
    }
}
