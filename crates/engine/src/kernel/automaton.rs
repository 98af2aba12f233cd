//! The automaton of a text's literals (Aho and Corasick's, every row full).
//!
//! A text is run through it as `ANCHOR text ANCHOR`, so that one automaton finds
//! what a text is, begins with, ends with and holds: `=` is a literal between
//! two anchors.

use super::layout::Text;
use std::collections::{BTreeMap, VecDeque};

/// A byte, or one of the text's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Symbol {
    /// An end.
    Anchor,
    /// A byte.
    Byte(u8),
}

/// What is looked for.
pub(super) type Literal = Vec<Symbol>;

/// Rows of next states, one column a class of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows {
    /// A byte's column.
    pub classes: Box<[u8; 256]>,
    /// The anchor's column.
    pub anchor: u8,
    /// States lie `1 << shift` entries apart.
    pub shift: u32,
    /// The next state by state and column.
    pub next: Vec<u16>,
    /// The state before the first byte: after the anchor.
    pub start: u16,
    /// This state and all after it accept.
    pub accepting: u16,
    /// For each accepting state, which literal (or 0, of a regex) it found.
    pub accepts: Vec<u16>,
}

/// The automaton and how its literals hang together.
#[derive(Debug)]
pub(super) struct Found {
    /// The automaton.
    pub rows: Rows,
    /// For each literal the longest other that it ends with: found with it.
    pub within: Vec<Option<usize>>,
}

#[derive(Debug, Default)]
struct State {
    next: BTreeMap<Symbol, usize>,
    /// The state of the longest proper suffix.
    fallback: usize,
    literal: Option<usize>,
    /// The literal of the nearest suffix that is one, itself included.
    nearest: Option<usize>,
}

/// Builds the automaton; none if it would take more states than a number of
/// sixteen bits can name. Literals are not empty and none comes twice.
pub(super) fn build(text: Text, folded: bool, literals: &[Literal]) -> Option<Found> {
    let (mut states, order) = trie(literals)?;
    let mut within = vec![None; literals.len()];
    for &at in &order {
        let fallback = states[at].fallback;
        if let Some(literal) = states[at].literal {
            within[literal] = states[fallback].nearest;
        }
        states[at].nearest = states[at].literal.or(states[fallback].nearest);
    }
    Some(Found {
        rows: rows(text, folded, &states, &order)?,
        within,
    })
}

/// The tree of the literals with its fallbacks, and its states in the order of
/// their depth, the root first.
fn trie(literals: &[Literal]) -> Option<(Vec<State>, Vec<usize>)> {
    let mut states = vec![State::default()];
    for (literal, symbols) in literals.iter().enumerate() {
        let mut at = 0;
        for &symbol in symbols {
            at = match states[at].next.get(&symbol) {
                Some(&next) => next,
                None => {
                    states.push(State::default());
                    let next = states.len() - 1;
                    states[at].next.insert(symbol, next);
                    next
                }
            };
        }
        states[at].literal = Some(literal);
    }
    if states.len() > usize::from(u16::MAX) {
        return None;
    }
    let mut order = vec![0];
    let mut queue = VecDeque::from([0]);
    while let Some(at) = queue.pop_front() {
        let children: Vec<(Symbol, usize)> =
            states[at].next.iter().map(|(s, n)| (*s, *n)).collect();
        for (symbol, child) in children {
            states[child].fallback = match at {
                0 => 0,
                _ => step(&states, states[at].fallback, symbol),
            };
            order.push(child);
            queue.push_back(child);
        }
    }
    Some((states, order))
}

fn step(states: &[State], from: usize, symbol: Symbol) -> usize {
    let mut at = from;
    loop {
        if let Some(&next) = states[at].next.get(&symbol) {
            return next;
        }
        if at == 0 {
            return 0;
        }
        at = states[at].fallback;
    }
}

fn rows(text: Text, folded: bool, states: &[State], order: &[usize]) -> Option<Rows> {
    let mut symbols: Vec<Symbol> = states
        .iter()
        .flat_map(|state| state.next.keys().copied())
        .collect();
    symbols.push(Symbol::Anchor);
    symbols.sort();
    symbols.dedup();
    // Column 0 is every byte that no literal has; the anchor sorts first.
    let columns = symbols.len() + 1;
    if columns > 256 {
        return None;
    }
    let shift = columns.next_power_of_two().trailing_zeros();
    let column = |symbol: Symbol| symbols.binary_search(&symbol).map_or(0, |at| at + 1);

    // Accepting states come last.
    let mut numbers = vec![0u16; states.len()];
    let silent = order.iter().filter(|&&at| states[at].nearest.is_none());
    let speaking = order.iter().filter(|&&at| states[at].nearest.is_some());
    for (number, &at) in silent.clone().chain(speaking.clone()).enumerate() {
        numbers[at] = number as u16;
    }
    let mut next = vec![0u16; states.len() << shift];
    // By depth, so that a fallback's row is there when it is copied.
    for &at in order {
        let from = usize::from(numbers[states[at].fallback]) << shift;
        let to = usize::from(numbers[at]) << shift;
        if at != 0 {
            next.copy_within(from..from + columns, to);
        }
        for (&symbol, &child) in &states[at].next {
            next[to + column(symbol)] = numbers[child];
        }
    }
    let anchor = column(Symbol::Anchor) as u8;
    let mut classes = Box::new([0u8; 256]);
    for byte in 0..=255u8 {
        let symbol = if folded {
            byte.to_ascii_lowercase()
        } else {
            byte
        };
        classes[usize::from(byte)] = column(Symbol::Byte(symbol)) as u8;
    }
    classes[0] = nul_column(text, &classes, anchor);
    Some(Rows {
        start: next[usize::from(numbers[0]) * (1 << shift) + usize::from(anchor)],
        classes,
        anchor,
        shift,
        next,
        accepting: silent.count() as u16,
        accepts: speaking
            .filter_map(|&at| states[at].nearest.map(|literal| literal as u16))
            .collect(),
    })
}

/// What a NUL is: it ends each argument, and where they are taken for a command
/// line it is the space between them. No other text has one.
pub(super) fn nul_column(text: Text, classes: &[u8; 256], anchor: u8) -> u8 {
    match text {
        Text::Args => anchor,
        Text::CmdLine => classes[usize::from(b' ')],
        _ => 0,
    }
}

#[cfg(test)]
impl Rows {
    /// The literals (or the regex) found in a text, as the kernel programs run it.
    pub(super) fn run(&self, text: &[u8], whole: bool) -> Vec<u16> {
        let mut found = Vec::new();
        let mut state = self.start;
        let columns = text
            .iter()
            .map(|byte| self.classes[usize::from(*byte)])
            .chain(whole.then_some(self.anchor));
        for column in columns {
            state = self.next[(usize::from(state) << self.shift) + usize::from(column)];
            if state >= self.accepting {
                found.push(self.accepts[usize::from(state - self.accepting)]);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Symbol::Anchor;

    fn literal(begin: bool, text: &str, end: bool) -> Literal {
        let mut symbols = Vec::new();
        symbols.extend(begin.then_some(Anchor));
        symbols.extend(text.bytes().map(Symbol::Byte));
        symbols.extend(end.then_some(Anchor));
        symbols
    }

    fn found(text: Text, folded: bool, literals: &[Literal], bytes: &str) -> Vec<usize> {
        let built = build(text, folded, literals).unwrap();
        let mut all = Vec::new();
        for hit in built.rows.run(bytes.as_bytes(), true) {
            let mut next = Some(usize::from(hit));
            while let Some(literal) = next {
                all.push(literal);
                next = built.within[literal];
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn the_four_ways_of_looking() {
        let literals = [
            literal(true, "bash", true),
            literal(true, "ba", false),
            literal(false, "sh", true),
            literal(false, "as", false),
            literal(true, "", true),
        ];
        let of = |text| found(Text::Name, false, &literals, text);
        assert_eq!(of("bash"), [0, 1, 2, 3]);
        assert_eq!(of("bash2"), [1, 3]);
        assert_eq!(of("dash"), [2, 3]);
        assert_eq!(of("sh"), [2]);
        assert!(of("BASH").is_empty());
        assert_eq!(of(""), [4]);
    }

    #[test]
    fn case_is_folded_where_asked() {
        let literals = [literal(false, "curl", false)];
        assert_eq!(found(Text::Path, true, &literals, "/CuRL/"), [0]);
        assert!(found(Text::Path, false, &literals, "/CuRL/").is_empty());
    }

    #[test]
    fn an_argument_is_a_text_of_its_own_and_a_command_line_is_one() {
        let literals = [
            literal(true, "-e", true),
            literal(false, "nc -e", false),
            literal(true, "", true),
        ];
        assert_eq!(found(Text::Args, false, &literals, "nc\0-e\0x"), [0]);
        assert_eq!(found(Text::Args, false, &literals, "nc\0\0x"), [2]);
        assert_eq!(found(Text::CmdLine, false, &literals, "nc\0-e\0x"), [1]);
    }

    #[test]
    fn every_literal_of_many_is_found_where_it_stands() {
        let words: Vec<String> = (0..300)
            .map(|n: u32| format!("{}{n}", "abc".repeat(n as usize % 4)))
            .collect();
        let literals: Vec<Literal> = words
            .iter()
            .map(|word| literal(false, word, false))
            .collect();
        let text = words.join("/");
        for n in [0usize, 1, 7, 150, 299] {
            let naive: Vec<usize> = (0..300).filter(|&m| words[n].contains(&words[m])).collect();
            assert_eq!(found(Text::Path, false, &literals, &words[n]), naive);
        }
        assert_eq!(found(Text::Path, false, &literals, &text).len(), 300);
    }
}
