//! From the bytes of a feed to indicators.

mod csv;
mod misp;
mod pattern;
mod plain;
mod stix;

use serde::Deserialize;

use crate::indicator::{Fault, Indicator};
use crate::limits::Limits;
use crate::report::Report;

/// How a feed is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One indicator a line; `#` and `;` begin comments; lines of a hosts file, too.
    Plain,
    /// Columns with names, which may stand in a comment, as abuse.ch writes them.
    Csv(Columns),
    /// A STIX 2.1 bundle.
    Stix,
    /// A MISP event, or a list of them as its API answers.
    Misp,
}

/// Which columns of a CSV feed are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The column of the indicator.
    pub value: String,
    /// The column of the time until which it holds, if there is one.
    #[serde(default)]
    pub until: Option<String>,
}

/// The file as a whole cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Larger than [`Limits::bytes`].
    #[error("{0} bytes, more than the limit of {1}")]
    Large(u64, u64),
    /// Not the format's JSON.
    #[error("not JSON of this format: {0}")]
    Json(String),
    /// A column that the feed's header does not have.
    #[error("no column `{0}` in the header")]
    NoColumn(String),
}

/// Where parsers put what they find.
struct Sink<'a> {
    limits: &'a Limits,
    now: i64,
    take: &'a mut dyn FnMut(Indicator),
    report: Report,
}

impl Sink<'_> {
    fn taken(&mut self, line: u64, found: Result<Indicator, Fault>) {
        match found {
            Ok(indicator) => {
                self.report.taken += 1;
                (self.take)(indicator);
            }
            Err(fault) => self.bad(line, fault),
        }
    }

    fn bad(&mut self, line: u64, fault: Fault) {
        self.report.bad(line, fault, self.limits.named);
    }

    /// Whether `line` is beyond the limit, which is then remembered.
    fn cut(&mut self, line: u64) -> bool {
        let over = line > self.limits.lines;
        self.report.cut |= over;
        over
    }

    /// Whether the indicator's time is over, which is counted.
    fn expired(&mut self, until: Option<&str>) -> Result<bool, Fault> {
        let Some(until) = until.map(str::trim).filter(|until| !until.is_empty()) else {
            return Ok(false);
        };
        let over = seconds(until).ok_or(Fault::Time)? <= self.now;
        self.report.expired += u64::from(over);
        Ok(over)
    }
}

/// Reads a whole feed; each indicator goes to `take`. `now` is in seconds since
/// 1970: what expired before it is left out.
///
/// # Errors
/// If the file as a whole cannot be read; bad lines are in the [`Report`].
pub fn parse(
    format: &Format,
    bytes: &[u8],
    limits: &Limits,
    now: i64,
    take: &mut dyn FnMut(Indicator),
) -> Result<Report, ParseError> {
    let size = bytes.len() as u64;
    if size > limits.bytes {
        return Err(ParseError::Large(size, limits.bytes));
    }
    let mut sink = Sink {
        limits,
        now,
        take,
        report: Report::default(),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match format {
        Format::Plain => plain::parse(bytes, &mut sink),
        Format::Csv(columns) => csv::parse(columns, bytes, &mut sink)?,
        Format::Stix => stix::parse(bytes, &mut sink)?,
        Format::Misp => misp::parse(bytes, &mut sink)?,
    }
    Ok(sink.report)
}

/// The lines of a text with their numbers, until the limit.
fn lines<'a>(
    bytes: &'a [u8],
    sink: &mut Sink<'_>,
    mut each: impl FnMut(u64, &'a str, &mut Sink<'_>),
) {
    for (line, text) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        if sink.cut(line) {
            // The piece after a last line feed is no line.
            sink.report.cut = line > sink.limits.lines + 1 || !text.is_empty();
            return;
        }
        if text.len() > sink.limits.line {
            sink.bad(line, Fault::Long);
            continue;
        }
        match std::str::from_utf8(text) {
            Ok(text) => each(line, text.trim(), sink),
            Err(_) => sink.bad(line, Fault::Text),
        }
    }
}

/// RFC 3339, a date with a time in UTC, a date, or seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds);
    }
    // Without a zone it is UTC; without a time, the day's beginning.
    let forms = [
        text.to_owned(),
        format!("{text}Z"),
        format!("{text}T00:00:00Z"),
    ];
    let mut times = forms
        .iter()
        .filter_map(|form| form.parse::<jiff::Timestamp>().ok());
    times.next().map(jiff::Timestamp::as_second)
}
