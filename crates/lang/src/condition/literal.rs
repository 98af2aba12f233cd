//! Strings, numbers and ranges as conditions and lists write them.

use std::ops::Range;

/// Why a string's inside cannot be read.
pub(super) struct BadEscape {
    /// Bytes of the string's inside.
    pub(super) span: Range<usize>,
}

/// The text between the quotes, with JSON's escapes resolved (RFC 8259
/// section 7). `each` is told, for every character made, where it came from.
pub(super) fn unescape(
    inside: &str,
    each: &mut dyn FnMut(char, Range<usize>),
) -> Result<(), BadEscape> {
    let mut at = 0;
    while let Some(c) = inside[at..].chars().next() {
        let start = at;
        at += c.len_utf8();
        if c != '\\' {
            each(c, start..at);
            continue;
        }
        let kind = inside[at..].chars().next();
        at += kind.map_or(0, char::len_utf8);
        let plain = match kind {
            Some('"') => '"',
            Some('\\') => '\\',
            Some('/') => '/',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (c, length) = unicode(&inside[start..]).ok_or(BadEscape {
                    span: start..(start + 6).min(inside.len()),
                })?;
                at = start + length;
                c
            }
            _ => return Err(BadEscape { span: start..at }),
        };
        each(plain, start..at);
    }
    Ok(())
}

/// The character of `\uXXXX`, or of two of them that are a surrogate pair, and
/// the bytes it takes.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let first = unit(0)?;
    if let Some(c) = char::from_u32(first.into()) {
        return Some((c, 6));
    }
    let pair = [first, unit(6)?];
    let c = char::decode_utf16(pair).next()?.ok()?;
    Some((c, 12))
}

/// Where bytes of a string constant's value stand in its token.
pub(crate) fn within_string(token: &str, range: Range<usize>) -> Range<usize> {
    if let Some(raw) = token.strip_prefix("r\"") {
        let end = raw.len().saturating_sub(1);
        return 2 + range.start.min(end)..2 + range.end.min(end);
    }
    let inside = token
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or("");
    let mut made = 0;
    let mut found: Option<Range<usize>> = None;
    let mut each = |c: char, from: Range<usize>| {
        let (start, end) = (made, made + c.len_utf8());
        made = end;
        if end > range.start && start < range.end.max(range.start + 1) {
            let first = found.as_ref().map_or(from.start, |found| found.start);
            found = Some(first..from.end);
        }
    };
    // The token was read before; an error cannot come up now.
    let _ = unescape(inside, &mut each);
    let found = found.unwrap_or(inside.len()..inside.len());
    found.start + 1..found.end + 1
}

/// A string constant for this value.
pub(crate) fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A decimal, `0x` or `0o` number.
pub(crate) fn parse_number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (digits, radix) = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
        (Some(hex), _) => (hex, 16),
        (_, Some(octal)) => (octal, 8),
        _ => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// `8000..8999` or `8000-8999`.
pub(crate) fn parse_range(text: &str) -> Option<(i64, i64)> {
    if let Some((from, to)) = text.split_once("..") {
        return Some((parse_number(from)?, parse_number(to)?));
    }
    // The first byte may be a sign.
    let dash = 1 + text.get(1..)?.find('-')?;
    Some((
        parse_number(&text[..dash])?,
        parse_number(&text[dash + 1..])?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges() {
        assert_eq!(parse_number("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_number("0o755"), Some(0o755));
        assert_eq!(parse_number("-0x10"), Some(-16));
        for bad in ["", "-", "0x", "1a", "9223372036854775808", "+1", "--1"] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
        assert_eq!(parse_range("8000..8999"), Some((8000, 8999)));
        assert_eq!(parse_range("8000-8999"), Some((8000, 8999)));
        assert_eq!(parse_range("-5..-1"), Some((-5, -1)));
        assert_eq!(parse_range("-5--1"), Some((-5, -1)));
        assert_eq!(parse_range("é-"), None);
        assert_eq!(parse_range("5"), None);
    }

    #[test]
    fn places_inside_a_string_lead_back_to_the_token() {
        let token = r#""a\\b\u00e9c""#;
        // value: a \ b é c
        let at = |range| &token[within_string(token, range)];
        assert_eq!(at(0..1), "a");
        assert_eq!(at(1..2), r"\\");
        assert_eq!(at(3..5), r"\u00e9");
        assert_eq!(at(5..6), "c");
        assert_eq!(at(6..6), "");
        assert_eq!(within_string(r#"r"a\d""#, 1..3), 3..5);
    }
}
