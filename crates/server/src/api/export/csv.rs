//! Comma-separated values: RFC 4180, and safe to open in a spreadsheet.
//!
//! What an attacker named a file or a container stands in a cell, and spreadsheets take a
//! cell that begins with `=` for a formula. Such a cell gets an apostrophe in front, and
//! so does one that has an apostrophe there already: whoever reads the file by a program
//! takes one leading apostrophe away and has what was there.

use std::fmt::{Display, Write};

/// What a cell shall not begin with.
const ODD: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', '\''];

/// Adds a line.
pub(super) fn line<'c>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = &'c dyn Display>) {
    let mut text = String::new();
    for (column, value) in cells.into_iter().enumerate() {
        if column > 0 {
            out.push(b',');
        }
        text.clear();
        // Writing to a String does not fail.
        let _ = write!(text, "{value}");
        cell(out, &text);
    }
    out.extend_from_slice(b"\r\n");
}

fn cell(out: &mut Vec<u8>, text: &str) {
    let is_odd = text.starts_with(ODD);
    if !is_odd && !text.contains([',', '"', '\r', '\n']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    if is_odd {
        out.push(b'\'');
    }
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(lines: &[Vec<String>]) -> String {
        let mut out = Vec::new();
        for cells in lines {
            line(&mut out, cells.iter().map(|cell| cell as &dyn Display));
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_stand_as_the_rfc_has_them() {
        let lines = [["plain", "a,b", "say \"hi\"", "two\r\nlines", ""].map(str::to_owned)];
        assert_eq!(
            written(&lines.map(Vec::from)),
            "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\",\r\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for odd in ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", "'=1"] {
            let text = written(&[vec![odd.to_owned()]]);
            assert_eq!(text, format!("\"'{odd}\"\r\n"));
        }
    }

    /// By another's reader.
    fn read(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes());
        let records = reader.records().map(Result::unwrap);
        let cells = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
        records.map(cells).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            lines in prop::collection::vec(
                prop::collection::vec("[=+@',\"\r\n\t \\-a-zé]{0,6}", 2), 0..6),
        ) {
            let found = read(&written(&lines));
            for cell in found.iter().flatten() {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell:?}");
            }
            let bare = |cell: &String| cell.strip_prefix('\'').unwrap_or(cell).to_owned();
            let found: Vec<Vec<String>> =
                found.iter().map(|cells| cells.iter().map(bare).collect()).collect();
            prop_assert_eq!(found, lines);
        }
    }
}
