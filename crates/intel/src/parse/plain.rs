//! One indicator a line.

use super::{Sink, lines};
use crate::indicator::Indicator;

/// What hosts files send a listed name to.
const NOWHERE: [&str; 4] = ["0.0.0.0", "127.0.0.1", "::", "::1"];

pub(super) fn parse(bytes: &[u8], sink: &mut Sink<'_>) {
    lines(bytes, sink, |line, text, sink| {
        if text.starts_with(['#', ';']) {
            return;
        }
        // A `#` inside of a word is part of a URL.
        let mut words = text
            .split_whitespace()
            .take_while(|word| !word.starts_with(['#', ';']));
        let Some(first) = words.next() else { return };
        if let (true, Some(name)) = (NOWHERE.contains(&first), words.next()) {
            sink.taken(line, Indicator::detect(name));
            for name in words {
                sink.taken(line, Indicator::detect(name));
            }
            return;
        }
        sink.taken(line, Indicator::detect(first));
    });
}
