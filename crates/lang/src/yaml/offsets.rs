//! Where the bytes of a scalar's text stand in its source.
//!
//! YAML folds lines, strips indentation and unescapes, and the parser tells
//! only where a scalar begins and ends. The text it made is held against the
//! source again, character by character: what is in the source only
//! (indentation, quotes, line folds) is passed over.

use saphyr_parser::ScalarStyle;
use std::ops::Range;

/// The bytes of `raw` that `range` of `text` came from.
pub(super) fn locate(
    text: &str,
    raw: &str,
    style: ScalarStyle,
    range: Range<usize>,
) -> Range<usize> {
    let mut aligner = Aligner::new(raw, style);
    let mut found: Option<Range<usize>> = None;
    for (at, c) in text.char_indices() {
        let Some(here) = aligner.next(c) else { break };
        if at >= range.end && found.is_some() {
            break;
        }
        if at + c.len_utf8() > range.start {
            let start = found.map_or(here.start, |found| found.start);
            found = Some(if at < range.end {
                start..here.end
            } else {
                here.start..here.start
            });
        }
    }
    // Past the last character: where the text ends in the source.
    found.unwrap_or_else(|| {
        let end = aligner.at.min(raw.len());
        end..end
    })
}

struct Aligner<'r> {
    raw: &'r str,
    style: ScalarStyle,
    at: usize,
    /// Indentation of a block scalar's lines: its first line's own is not in `raw`.
    at_line_start: bool,
}

impl<'r> Aligner<'r> {
    fn new(raw: &'r str, style: ScalarStyle) -> Aligner<'r> {
        let mut at = 0;
        if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            let quote = if style == ScalarStyle::SingleQuoted {
                '\''
            } else {
                '"'
            };
            // Anchors and tags stand before the quote.
            while raw[at..].starts_with(['&', '!']) {
                let rest = raw[at..].find(char::is_whitespace).unwrap_or(0);
                let space = raw[at + rest..].len() - raw[at + rest..].trim_start().len();
                if rest + space == 0 {
                    break;
                }
                at += rest + space;
            }
            at += usize::from(raw[at..].starts_with(quote));
        }
        Aligner {
            raw,
            style,
            at,
            at_line_start: false,
        }
    }

    /// The source bytes that gave the text's next character.
    fn next(&mut self, wanted: char) -> Option<Range<usize>> {
        loop {
            let rest = &self.raw[self.at..];
            let c = rest.chars().next()?;
            let start = self.at;
            if self.style == ScalarStyle::DoubleQuoted && c == '\\' {
                let (length, breaks_line) = escape_length(rest);
                self.at += length;
                if breaks_line {
                    // `\` before a line break: nothing, and the next line's indentation too.
                    self.at += leading_blanks(&self.raw[self.at..]);
                    continue;
                }
                return Some(start..self.at);
            }
            if self.style == ScalarStyle::SingleQuoted && rest.starts_with("''") {
                self.at += 2;
                return Some(start..self.at);
            }
            if wanted == ' ' || wanted == '\n' {
                if let Some(range) = self.fold(wanted) {
                    return Some(range);
                }
            }
            self.at += c.len_utf8();
            if c == wanted {
                self.at_line_start = c == '\n';
                return Some(start..self.at);
            }
            // In the source only: indentation, a carriage return, a folded break.
        }
    }

    /// White space that a line fold made of line breaks, or that stands as it is.
    fn fold(&mut self, wanted: char) -> Option<Range<usize>> {
        let rest = &self.raw[self.at..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let after = &rest[blanks..];
        let breaks_here = after.starts_with('\n') || after.starts_with("\r\n");
        let start = self.at;
        if wanted == ' ' && !breaks_here {
            return None;
        }
        match self.style {
            ScalarStyle::Literal => None,
            // Trailing blanks of a folded block's line are kept as they are.
            ScalarStyle::Folded if blanks > 0 => None,
            _ if wanted == ' ' => {
                self.at += blanks + after.find('\n')? + 1;
                self.at += leading_blanks(&self.raw[self.at..]);
                Some(start..start + 1)
            }
            // n + 1 breaks in the source are n in the text: pass over the first.
            _ if breaks_here => {
                self.at += blanks + after.find('\n')? + 1;
                Some(start..self.at)
            }
            _ => None,
        }
    }
}

fn leading_blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// Bytes of the escape that `rest` begins with, and whether it escapes a line break.
fn escape_length(rest: &str) -> (usize, bool) {
    let Some(kind) = rest[1..].chars().next() else {
        return (1, false);
    };
    let length = match kind {
        'x' => 4,
        'u' => 6,
        'U' => 10,
        '\r' => return (rest.find('\n').map_or(2, |at| at + 1), true),
        '\n' => return (2, true),
        _ => 1 + kind.len_utf8(),
    };
    let length = length.min(rest.len());
    // A malformed escape does not get here; stay on character boundaries all the same.
    (
        (length..=rest.len())
            .find(|&at| rest.is_char_boundary(at))
            .unwrap_or(rest.len()),
        false,
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnostics::Sink;
    use crate::limits::Limits;
    use crate::yaml::{Node, Value, load};

    /// Every `<word>` of the value must be found at the same word of the source.
    fn words_are_found(yaml: &str) {
        let mut sink = Sink::new(1, 10);
        let documents = load(0, yaml, &Limits::default(), &mut sink);
        assert_eq!(sink.finish(), vec![], "{yaml}");
        let Value::Map(pairs) = &documents[0].value else {
            panic!("{yaml}");
        };
        let node: &Node<'_> = &pairs[0].1;
        let text = node.as_text().expect(yaml).to_owned();
        let mut words = 0;
        for (at, _) in text.match_indices('<') {
            let end = at + text[at..].find('>').expect(yaml) + 1;
            let span = node.locate(at..end);
            assert_eq!(&yaml[span.range()], &text[at..end], "in {yaml:?}: {text:?}");
            words += 1;
        }
        assert!(words > 0);
        let end = node.locate(text.len()..text.len());
        assert!(end.end <= yaml.len() && end.start <= end.end);
    }

    #[test]
    fn every_style() {
        for yaml in [
            "a: x <b> y <c>\n",
            "a: x <b>\n  <c>   <d>\n\n\n  <e>\n",
            "a: 'it''s <b> ''<c>'''\n",
            "a: 'x <b>\n\n   <c>\n   <d> '\n",
            "a: \"\\\"<b>\\\" \\u00e9<c> \\x41 <d>\\n<e>\"\n",
            "a: \"x \\\n   <b> y\n   <c>\\\n  <d>\"\n",
            "a: |\n  x <b>\n    <c>\n\n  <d>\n",
            "a: |2-\n    <b>\n   <c>\n",
            "a: >\n  x <b>\n  <c> y\n\n  <d>\n    <e>\n  <f>\n",
            "a: >-\n  é€ <b>   z\n  <c>\n",
            "a: &n !!str 'x <b>'\n",
            "a: &n\n  'x <b>'\n",
            "a: 'x <b>\r\n  <c>'\r\n",
            "a: |\r\n  x <b>\r\n  <c>\r\n",
            "\u{feff}a: é <b>\n",
        ] {
            words_are_found(yaml);
        }
    }
}
