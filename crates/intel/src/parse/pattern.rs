//! STIX patterns of the simple kind: comparisons for equality, joined by OR.
//!
//! With OR each comparison is an indicator of its own. AND, FOLLOWEDBY, LIKE and
//! qualifiers narrow a pattern down: to take a part of it alone would list what
//! the author did not, so the whole pattern is not understood.

use crate::indicator::{Fault, Indicator};

/// The indicators of a pattern; `None` if it is not of the simple kind.
pub(super) fn read(pattern: &str) -> Option<Vec<Result<Indicator, Fault>>> {
    let mut out = Vec::new();
    let mut rest = pattern.trim();
    loop {
        rest = rest.strip_prefix('[')?;
        loop {
            let after = comparison(rest.trim_start(), &mut out)?.trim_start();
            match after.strip_prefix(']') {
                Some(after) => {
                    rest = after.trim_start();
                    break;
                }
                None => rest = or(after)?,
            }
        }
        if rest.is_empty() {
            return Some(out);
        }
        rest = or(rest)?;
    }
}

fn or(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("OR")?;
    let trimmed = rest.trim_start();
    (trimmed.len() < rest.len() || trimmed.starts_with('[')).then_some(trimmed)
}

/// `path = 'value'`; gives what comes after it.
fn comparison<'a>(text: &'a str, out: &mut Vec<Result<Indicator, Fault>>) -> Option<&'a str> {
    let (path, rest) = text.split_once('=')?;
    let rest = rest.trim_start().strip_prefix('\'')?;
    let mut value = String::new();
    let mut chars = rest.char_indices();
    let after = loop {
        match chars.next()? {
            (at, '\'') => break rest.get(at + 1..)?,
            (_, '\\') => value.push(chars.next()?.1),
            (_, other) => value.push(other),
        }
    };
    out.push(match path.trim() {
        "domain-name:value" => crate::domain::Domain::new(&value).map(Indicator::Domain),
        "ipv4-addr:value" | "ipv6-addr:value" => Indicator::prefix(&value),
        "url:value" => Indicator::url(&value),
        path => {
            let kind = path.strip_prefix("file:hashes.")?.trim_matches(['\'', '"']);
            let digits = match kind.to_ascii_uppercase().replace('-', "").as_str() {
                "SHA256" => 64,
                "SHA1" => 40,
                "MD5" => 32,
                _ => return None,
            };
            if value.len() == digits {
                Indicator::hash(&value)
            } else {
                Err(Fault::Hash)
            }
        }
    });
    Some(after)
}
