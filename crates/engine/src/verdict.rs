//! What an evaluation says.

/// A rule's place in [`crate::Program::rules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

impl RuleIndex {
    /// As an index of a slice.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The rules that an event matches, and those it leaves open. Each list is
/// sorted and names a rule once; all other rules do not match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// These match.
    pub matched: Vec<RuleIndex>,
    /// These may match: a value that decides was unknown or cut off.
    pub undecided: Vec<RuleIndex>,
}

impl Verdicts {
    /// Forgets both lists, keeping their memory.
    pub fn clear(&mut self) {
        self.matched.clear();
        self.undecided.clear();
    }
}
