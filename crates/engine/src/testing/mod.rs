//! Rules and events made from bytes, for property tests and fuzzing: whatever
//! the bytes, the compiled program must say what the reference says.

mod events;
mod rules;

use crate::fold::Folder;
use crate::naive::Evaluator;
use crate::{CompileOptions, Program, Scratch, Verdicts};
use picket_lang::ir::{Expr, Rule};
use picket_model::Event;

/// A source of choices; when the bytes are used up, every choice is the first.
#[derive(Debug, Clone)]
pub struct Choices<'b> {
    bytes: &'b [u8],
}

impl<'b> Choices<'b> {
    /// Choices made by these bytes.
    pub fn new(bytes: &'b [u8]) -> Choices<'b> {
        Choices { bytes }
    }

    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(first) % below.max(1)
    }

    /// True once in `of` times.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A text with much in common with other such texts.
    pub fn text(&mut self) -> String {
        let words = self.below(7);
        let text: String = (0..words).map(|_| self.pick(WORDS)).collect();
        // Some are too long to be remembered, and hold what rules look for many times.
        if words == 6 && self.one_in(4) {
            return text.repeat(5 + self.below(100));
        }
        text
    }

    /// Rules. Some ask for more of the same than the one before.
    pub fn rules(&mut self, most: usize) -> Vec<Rule> {
        let count = 1 + self.below(most);
        let mut rules: Vec<Rule> = Vec::with_capacity(count);
        for number in 0..count {
            let mut rule = rules::rule(self, number);
            if let (Some(last), true) = (rules.last(), self.one_in(3)) {
                rule.condition = Expr::And(vec![last.condition.clone(), rule.condition]);
            }
            rules.push(rule);
        }
        rules
    }

    /// Events that share some of their processes.
    pub fn events(&mut self, most: usize) -> Vec<Event> {
        events::events(self, most)
    }
}

/// What texts and patterns are made of.
pub(crate) const WORDS: &[&str] = &[
    "bash",
    "/",
    "a",
    "ab",
    "curl ",
    "usr/bin/",
    "BASH",
    "Bash",
    " -e",
    "nginx",
    ".so",
    "é",
    "É",
    "straße",
    "\u{17F}",
    "\u{212A}",
    "k",
    "S",
    "http://",
    "-",
    "İ",
    "x1",
    "\\",
    "*",
    "日本",
    "Σ",
    "longer-word-of-text",
    "Longer-Word",
    "zz",
    "\n",
    "0",
];

/// Compiles rules made from the bytes and evaluates events made from them, by
/// the program and by the reference. Panics where they differ.
pub fn agree(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let rules = choices.rules(12);
    let events = choices.events(12);
    let sample = if choices.one_in(2) { &events[..] } else { &[] };
    let reference = Evaluator::new(&rules);
    let program = Program::compile_with(rules, &CompileOptions { sample });
    let mut scratch = Scratch::new();
    let mut folder = Folder::default();
    let (mut expected, mut found) = (Verdicts::default(), Verdicts::default());
    // The second time the caches answer.
    for event in events.iter().chain(&events) {
        reference.evaluate(event, &mut folder, &mut expected);
        program.evaluate(event, &mut scratch, &mut found);
        assert_eq!(
            expected,
            found,
            "reference (left) and program differ on {event:#?} with {:#?}",
            expected
                .matched
                .iter()
                .chain(&expected.undecided)
                .chain(&found.matched)
                .chain(&found.undecided)
                .map(|&rule| program.rule(rule))
                .collect::<Vec<_>>()
        );
        for (rule, index) in program.rules().iter().zip(0..) {
            let index = crate::RuleIndex(index);
            let expected = if expected.matched.contains(&index) {
                crate::Truth::True
            } else if expected.undecided.contains(&index) {
                crate::Truth::Unknown
            } else {
                crate::Truth::False
            };
            let explanation = crate::explain(rule, event);
            assert_eq!(explanation.verdict, expected, "{explanation}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn program_and_reference_agree(
            bytes in proptest::collection::vec(any::<u8>(), 0..4000)
        ) {
            super::agree(&bytes);
        }
    }
}
