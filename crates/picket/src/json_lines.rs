//! Events, one JSON object a line, in constant memory.

use picket_model::Event;
use picket_model::ocsf::{EventError, MAX_EVENT_BYTES, event_from_json};
use std::io::{self, BufRead, Read};

/// Reads events from lines; blank lines are passed over.
pub struct JsonLines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
}

/// One line that is not blank.
#[derive(Debug)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// What it holds.
    pub event: Result<Event, EventError>,
}

impl<R: BufRead> JsonLines<R> {
    /// Reads from the beginning.
    pub fn new(reader: R) -> JsonLines<R> {
        JsonLines {
            reader,
            buffer: Vec::new(),
            number: 0,
        }
    }

    /// The next line, or none at the end.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        // One byte more than an event may have, and the line's end.
        const MOST: usize = MAX_EVENT_BYTES + 2;
        loop {
            self.buffer.clear();
            let mut limited = self.reader.by_ref().take(MOST as u64);
            if limited.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.buffer.len() == MOST && !self.buffer.ends_with(b"\n") {
                self.reader.skip_until(b'\n')?;
            }
            let mut line = self.buffer.trim_ascii();
            if self.number == 1 {
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            }
            if !line.is_empty() {
                return Ok(Some(Line {
                    number: self.number,
                    event: event_from_json(line, self.number),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u64, Result<String, String>)> {
        let mut lines = JsonLines::new(text.as_bytes());
        let mut read = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let event = line.event.map(|event| event.uid.to_string());
            read.push((line.number, event.map_err(|error| error.to_string())));
        }
        read
    }

    #[test]
    fn lines_are_numbered_and_blank_ones_passed_over() {
        let event = r#"{"class_uid":4003,"activity_id":1}"#;
        let text = format!("\u{feff}{event}\r\n\n  \n{event}\nnot\n{event}");
        let lines = read(&text);
        let uids: Vec<_> = lines
            .iter()
            .map(|(number, event)| (*number, event.clone()))
            .collect();
        assert_eq!(uids[0], (1, Ok("line-1".to_owned())));
        assert_eq!(uids[1], (4, Ok("line-4".to_owned())));
        assert_eq!(uids[2].0, 5);
        assert!(uids[2].1.is_err());
        assert_eq!(uids[3], (6, Ok("line-6".to_owned())));
    }

    #[test]
    fn a_line_too_long_is_one_bad_line() {
        let event = r#"{"class_uid":4003,"activity_id":1}"#;
        let text = format!("{}\n{event}\n", "x".repeat(3 * MAX_EVENT_BYTES));
        let lines = read(&text);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            (1, Err(format!("longer than {MAX_EVENT_BYTES} bytes")))
        );
        assert_eq!(lines[1].0, 2);
    }
}
