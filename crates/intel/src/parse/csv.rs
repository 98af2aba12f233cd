//! CSV with named columns.
//!
//! Each line stands for itself: a quote that is not closed spoils its own line
//! and not the rest of the file, at the price that no value holds a line feed.

use super::{Columns, ParseError, Sink, lines};
use crate::indicator::{Fault, Indicator};

struct Header {
    value: usize,
    until: Option<usize>,
}

pub(super) fn parse(
    columns: &Columns,
    bytes: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), ParseError> {
    let mut header = None;
    lines(bytes, sink, |line, text, sink| {
        let (comment, text) = match text.strip_prefix('#') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        if text.is_empty() {
            return;
        }
        let Some(header) = &header else {
            // Comments before the header are prose; anything else that is not
            // the header is a line that nobody can read.
            match fields(text).and_then(|fields| find(columns, &fields)) {
                Some(found) => header = Some(found),
                None if comment => {}
                None => sink.bad(line, Fault::Column),
            }
            return;
        };
        if !comment {
            row(header, line, text, sink);
        }
    });
    match header {
        Some(_) => Ok(()),
        None => Err(ParseError::NoColumn(columns.value.clone())),
    }
}

fn row(header: &Header, line: u64, text: &str, sink: &mut Sink<'_>) {
    let fields = fields(text);
    let Some(value) = fields.as_ref().and_then(|fields| fields.get(header.value)) else {
        return sink.bad(line, Fault::Column);
    };
    let until = header.until.and_then(|until| fields.as_ref()?.get(until));
    match sink.expired(until.map(String::as_str)) {
        Ok(true) => {}
        Ok(false) => sink.taken(line, detect(value)),
        Err(fault) => sink.bad(line, fault),
    }
}

/// `address:port`, as lists of command servers have it, counts as its address.
fn detect(value: &str) -> Result<Indicator, Fault> {
    match value.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            Indicator::detect(host)
        }
        _ => Indicator::detect(value),
    }
}

fn find(columns: &Columns, fields: &[String]) -> Option<Header> {
    let place = |name: &str| {
        fields
            .iter()
            .position(|field| field.eq_ignore_ascii_case(name))
    };
    let until = match &columns.until {
        Some(name) => Some(place(name)?),
        None => None,
    };
    Some(Header {
        value: place(&columns.value)?,
        until,
    })
}

/// The fields of a line; `None` if a quote is not closed.
fn fields(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let (field, after) = match rest.split_once(',') {
                Some((field, after)) => (field, Some(after)),
                None => (rest, None),
            };
            out.push(field.trim().to_owned());
            match after {
                Some(after) => rest = after,
                None => return Some(out),
            }
            continue;
        };
        let mut field = String::new();
        loop {
            let (part, after) = quoted.split_once('"')?;
            field.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    quoted = more;
                }
                None => {
                    quoted = after.trim_start();
                    break;
                }
            }
        }
        out.push(field.trim().to_owned());
        if quoted.is_empty() {
            return Some(out);
        }
        rest = quoted.strip_prefix(',')?;
    }
}
