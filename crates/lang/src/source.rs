//! Rule files as they were given, and places in them.

use std::ops::Range;

/// One rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in diagnostics, as it was given on the command line.
    pub name: String,
    /// What stands in it.
    pub bytes: Vec<u8>,
}

impl Source {
    /// A source from its name and contents.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Source {
        Source {
            name: name.into(),
            bytes: bytes.into(),
        }
    }
}

/// A range of bytes of one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceSpan {
    /// Index into the sources given to [`crate::check`].
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl SourceSpan {
    /// The bytes as a range.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// A place as people count: from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters (bytes, where the file is not UTF-8).
    pub column: u32,
}

/// Where each line of a source begins.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'s> {
    bytes: &'s [u8],
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(crate) fn new(bytes: &'s [u8]) -> Lines<'s> {
        let after_breaks = bytes
            .iter()
            .enumerate()
            .filter(|&(_, &byte)| byte == b'\n')
            .map(|(at, _)| at + 1);
        Lines {
            bytes,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Bytes of the whole source.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Index of the line that holds the byte, from 0.
    pub(crate) fn index(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset) - 1
    }

    /// The bytes of a line, its break included; empty past the last line.
    pub(crate) fn range(&self, line: usize) -> Range<usize> {
        let start = self.starts.get(line).copied().unwrap_or(self.bytes.len());
        let end = self
            .starts
            .get(line + 1)
            .copied()
            .unwrap_or(self.bytes.len());
        start..end
    }

    /// Line and column of a byte.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.bytes.len());
        let line = self.index(offset);
        let before = &self.bytes[self.range(line).start..offset];
        // Continuation bytes of UTF-8 begin no character.
        let column = before.iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
        Position {
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let lines = Lines::new("a\ndé€x\n".as_bytes());
        let at = |offset| {
            let position = lines.position(offset);
            (position.line, position.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (2, 1));
        assert_eq!(at(8), (2, 4));
        assert_eq!(at(10), (3, 1));
        assert_eq!(at(99), (3, 1));
    }
}
