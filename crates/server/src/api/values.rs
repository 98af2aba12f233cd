//! Values that many resources share: times, ids, versions, pages.

use super::problem::{Code, Problem};
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use picket_store::{Micros, PageSize, Uuid, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::str::FromStr;
use utoipa::{PartialSchema, ToSchema};

/// A time: RFC 3339 outside, microseconds inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) Micros);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Time, String> {
        text.parse::<Timestamp>()
            .map(|time| Time(time.as_microsecond()))
            .map_err(|_| format!("{text:?} is no time such as 2026-11-26T08:00:00Z"))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(time) => time.fmt(f),
            // Before the year -9999 or after 9999: no clock was right there.
            Err(_) => Timestamp::UNIX_EPOCH.fmt(f),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::DateTime,
            )))
            .description(Some("A time, as RFC 3339 has it, in UTC."))
            .into()
    }
}

impl ToSchema for Time {}

/// Now.
pub(crate) fn now() -> Micros {
    Timestamp::now().as_microsecond()
}

/// An id in a path. What is no id is an id of nothing.
pub(crate) fn id(what: &str, text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Problem::not_found(what, text))
}

/// Which version of what: an entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ETag {
    pub(crate) id: Uuid,
    pub(crate) version: i64,
}

pub(crate) fn bad_etag() -> Problem {
    Problem::new(
        Code::Stale,
        "If-Match is not an ETag of this server: send the one that came with what you have read",
    )
}

impl ETag {
    /// Refuses a tag of another thing of the same name: the old one was deleted.
    pub(crate) fn expect(self, id: Uuid) -> Result<i64, Problem> {
        if self.id == id {
            return Ok(self.version);
        }
        let why = "what you have read was deleted, and another has its name: read it again";
        Err(Problem::new(Code::Stale, why))
    }

    /// As response headers.
    pub(crate) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&self.to_string()) {
            headers.insert(header::ETAG, value);
        }
        headers
    }
}

impl std::fmt::Display for ETag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}.{}\"", self.id.simple(), self.version)
    }
}

impl FromStr for ETag {
    type Err = ();

    fn from_str(text: &str) -> Result<ETag, ()> {
        let inside = text
            .trim()
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let (id, version) = inside.and_then(|text| text.split_once('.')).ok_or(())?;
        Ok(ETag {
            id: id.parse().map_err(|_| ())?,
            version: version.parse().map_err(|_| ())?,
        })
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<u32>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
}

/// Rows on a page if nobody says how many.
const USUAL_PAGE: u32 = 100;

/// A page's size.
pub(crate) fn page_size(limit: Option<u32>) -> Result<PageSize, Problem> {
    Ok(PageSize::new(limit.unwrap_or(USUAL_PAGE))?)
}

/// As many as the store gives at once.
pub(crate) fn most() -> Result<PageSize, Problem> {
    Ok(PageSize::new(limits::MAX_PAGE)?)
}

/// Some rows of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows.
    pub(crate) items: Vec<T>,
    /// `cursor` of the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// A cursor: its parts, in a form that nobody is tempted to make up.
pub(crate) fn cursor(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(parts.join("\n"))
}

/// A cursor's parts.
pub(crate) fn parts<const N: usize>(cursor: &str) -> Result<[String; N], Problem> {
    let bad = || Problem::new(Code::BadRequest, "cursor: it is none that this server gave");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let parts: Vec<String> = text.split('\n').map(str::to_owned).collect();
    parts.try_into().map_err(|_| bad())
}

/// One part of a cursor.
pub(crate) fn part<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::new(Code::BadRequest, "cursor: it is none that this server gave"))
}

/// A cursor that is one value.
pub(crate) fn single<T: FromStr>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    cursor
        .map(|cursor| {
            let [text] = parts::<1>(cursor)?;
            part(&text)
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went_out() {
        let tag = ETag {
            id: picket_store::new_id(),
            version: 7,
        };
        assert_eq!(tag.to_string().parse(), Ok(tag));
        assert!("\"7\"".parse::<ETag>().is_err());
        let time: Time = "2026-11-26T08:00:00.000001Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-26T08:00:00.000001Z");
        assert!("yesterday".parse::<Time>().is_err());
        let [a, b] = parts::<2>(&cursor(&["1", "x"])).unwrap();
        assert_eq!((a.as_str(), b.as_str()), ("1", "x"));
        assert!(parts::<1>(&cursor(&["1", "x"])).is_err());
        assert!(parts::<1>("ä").is_err());
    }
}
