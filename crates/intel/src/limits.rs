//! What a feed may ask of us.

/// Bounds on what comes from a feed. The defaults hold feeds of a few million lines.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one file.
    pub bytes: u64,
    /// Lines of a text file, or objects of a JSON one. What comes after is not read.
    pub lines: u64,
    /// Bytes of one line, or of one JSON object.
    pub line: usize,
    /// Bad lines that a report names; the rest are only counted.
    pub named: usize,
    /// Files of a directory.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            lines: 5_000_000,
            line: 64 << 10,
            named: 20,
            files: 1_000,
        }
    }
}

/// Indicators of all kinds in one index.
pub(crate) const INDICATORS: usize = 16_000_000;
/// Shorter prefixes than these hold too much of the internet to be an indicator.
pub(crate) const WIDEST_V4: u8 = 8;
pub(crate) const WIDEST_V6: u8 = 16;
