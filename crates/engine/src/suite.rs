//! The tests inside rules, run through the compiled program, as a sensor would.

use crate::{Explanation, Program, Truth, Verdicts, explain};
use picket_lang::RuleTests;
use picket_lang::ir::Rule;

/// What one test gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// The rule's id.
    pub rule: String,
    /// The file it stands in.
    pub file: String,
    /// The line that the test starts on, from 1.
    pub line: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Whether the rule must match.
    pub expected: bool,
    /// What the rule says of the event.
    pub verdict: Truth,
    /// Whether that is what it must say. An undecided rule does not match.
    pub passed: bool,
    /// Of a failed test: what each predicate saw.
    pub explanation: Option<Explanation>,
}

/// Runs the tests of these rules, in their order.
pub fn run_tests(rules: Vec<Rule>, tests: &[RuleTests]) -> Vec<Tested> {
    let program = Program::compile(rules);
    let mut scratch = program.scratch();
    let mut verdicts = Verdicts::default();
    let mut results = Vec::new();
    for tests in tests {
        let mut rules = program.rules().iter();
        let Some(rule) = rules.find(|rule| rule.info.id == tests.rule) else {
            continue;
        };
        for test in &tests.tests {
            verdicts.clear();
            program.evaluate(&test.event, &mut scratch, &mut verdicts);
            let is_it = |list: &[crate::RuleIndex]| {
                list.iter()
                    .any(|&index| program.rule(index).info.id == tests.rule)
            };
            let verdict = if is_it(&verdicts.matched) {
                Truth::True
            } else if is_it(&verdicts.undecided) {
                Truth::Unknown
            } else {
                Truth::False
            };
            let passed = (verdict == Truth::True) == test.expected;
            results.push(Tested {
                rule: tests.rule.clone(),
                file: rule.info.origin.file.clone(),
                line: test.line,
                name: test.name.clone(),
                expected: test.expected,
                verdict,
                passed,
                explanation: (!passed).then(|| explain(rule, &test.event)),
            });
        }
    }
    results
}
