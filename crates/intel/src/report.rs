//! What became of a feed's lines.

use crate::indicator::Fault;

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Its number, from 1: of the line in text, of the object or attribute in JSON.
    pub line: u64,
    /// Why.
    pub fault: Fault,
}

/// What was taken of a feed, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Indicators taken, before doubles are merged.
    pub taken: u64,
    /// Lines or objects that are wrong.
    pub bad: u64,
    /// The first of them.
    pub named: Vec<Bad>,
    /// Indicators whose time is over.
    pub expired: u64,
    /// Right, but not of a kind that we match: patterns beyond simple
    /// comparison, attributes of other types or not meant for detection.
    pub not_understood: u64,
    /// The file goes on after the limit of lines.
    pub cut: bool,
}

impl Report {
    pub(crate) fn bad(&mut self, line: u64, fault: Fault, most: usize) {
        self.bad += 1;
        if self.named.len() < most {
            self.named.push(Bad { line, fault });
        }
    }

    /// Adds another file's figures to these. Its lines are not named here: they
    /// would be taken for lines of this file.
    pub fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.bad += other.bad;
        self.expired += other.expired;
        self.not_understood += other.not_understood;
        self.cut |= other.cut;
    }
}
