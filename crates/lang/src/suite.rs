//! The tests inside rules, ready to be evaluated.

use picket_model::Event;

/// The tests of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTests {
    /// The rule's id.
    pub rule: String,
    /// In the order they stand in.
    pub tests: Vec<RuleTest>,
}

/// One test: an event, and whether the rule must match it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// 1-based line it starts on.
    pub line: u32,
    /// Whether the rule must match.
    pub expected: bool,
    /// The event.
    pub event: Event,
}
