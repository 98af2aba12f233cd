//! A value as far as it is known: the base of three-valued evaluation.

/// One attribute of an event or process, with how much of it is known.
///
/// The rule language evaluates predicates by Kleene's strong logic; this type
/// carries the reason a predicate may be neither true nor false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Datum<T> {
    /// The event has no such thing: every predicate on it is false.
    #[default]
    Absent,
    /// There is a value, but it could not be read or has not arrived yet:
    /// every predicate on it is unknown.
    Unknown,
    /// The value's beginning; the rest was cut off. A predicate is decided
    /// where the beginning alone decides it, and unknown otherwise.
    Truncated(T),
    /// The whole value.
    Known(T),
}

impl<T> Datum<T> {
    /// The value or its known beginning.
    pub fn value(&self) -> Option<&T> {
        match self {
            Datum::Known(value) | Datum::Truncated(value) => Some(value),
            Datum::Absent | Datum::Unknown => None,
        }
    }

    /// The value, only if it is whole.
    pub fn known(&self) -> Option<&T> {
        match self {
            Datum::Known(value) => Some(value),
            _ => None,
        }
    }

    /// True unless the event has no such thing.
    pub fn is_present(&self) -> bool {
        !matches!(self, Datum::Absent)
    }

    /// The same knowledge about a borrowed value.
    pub fn as_ref(&self) -> Datum<&T> {
        match self {
            Datum::Absent => Datum::Absent,
            Datum::Unknown => Datum::Unknown,
            Datum::Truncated(value) => Datum::Truncated(value),
            Datum::Known(value) => Datum::Known(value),
        }
    }

    /// The same knowledge about a converted value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Datum<U> {
        match self {
            Datum::Absent => Datum::Absent,
            Datum::Unknown => Datum::Unknown,
            Datum::Truncated(value) => Datum::Truncated(convert(value)),
            Datum::Known(value) => Datum::Known(convert(value)),
        }
    }
}

impl<T> From<T> for Datum<T> {
    fn from(value: T) -> Self {
        Datum::Known(value)
    }
}

impl<T> From<Option<T>> for Datum<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Datum::Absent, Datum::Known)
    }
}
