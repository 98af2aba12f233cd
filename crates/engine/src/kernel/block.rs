//! The block: everything in its place, as bytes.

use super::RuleProgram;
use super::ask::Ask;
use super::automaton::{self, Literal, Rows, Symbol};
use super::cover::{self, Cover, cover};
use super::intervals::{Intervals, Steps};
use super::layout::{
    ATOMS, Address, Automaton, LEAF_NOT, LIST_REGEX, LITERALS, List, Mask, Number, NumberTable,
    Program, Put, REGEXES, RULES, Regex, SOURCE_NEVER, SOURCES, SPACES, STEP_FALSE, STEP_TRUE,
    Space, Step, TABLE_BYTES, TEXTS, Tables, Text, TextTable, UNITS,
};
use super::lower::{Interner, Leaf, Tree};
use super::regex;
use super::units::Units;
use regex_syntax::hir::Hir;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// The rules are more than one block holds.
#[derive(Debug)]
pub(super) struct Full;

/// Puts everything together.
pub(super) fn write(
    interner: &Interner,
    units: &Units,
    programs: &[RuleProgram],
) -> Result<Vec<u8>, Full> {
    if programs.len() > RULES {
        return Err(Full);
    }
    let numbers = AtomNumbers::new(&interner.atoms, units)?;
    let mut block = Block::new();
    let mut tables = block.header();
    texts(&mut block, &mut tables, &interner.atoms, &numbers)?;
    values(&mut block, &mut tables, &interner.atoms, &numbers)?;
    filing(&mut block, &mut tables, interner, units, programs, &numbers)?;
    conditions(&mut block, &mut tables, units, programs, &numbers)?;
    block.finish(tables)
}

/// Atoms as the kernel numbers them: those of images first, then, in words of
/// their own, those of events. (Each is spread to programs of another level.)
struct AtomNumbers {
    of: Vec<u16>,
    count: usize,
}

impl AtomNumbers {
    fn new(atoms: &[Ask], units: &Units) -> Result<AtomNumbers, Full> {
        let mut of_images = vec![false; atoms.len()];
        for tree in &units.trees {
            tree.leaves(&mut |leaf| of_images[leaf.index] = true);
        }
        let images = of_images.iter().filter(|image| **image).count();
        let first_event = images.next_multiple_of(64);
        let count = first_event + atoms.len() - images;
        if count > ATOMS {
            return Err(Full);
        }
        let (mut image, mut event) = (0, first_event);
        let of = of_images
            .iter()
            .map(|&is_image| {
                let next = if is_image { &mut image } else { &mut event };
                *next += 1;
                (*next - 1) as u16
            })
            .collect();
        Ok(AtomNumbers { of, count })
    }
}

/// Which source an atom's knowledge depends on.
fn source(ask: &Ask) -> usize {
    match ask {
        Ask::TextExists(text) => *text as usize,
        Ask::Literals { text, folded, .. } => usize::from(*folded) * TEXTS + *text as usize,
        Ask::Regexes { text, .. } => 2 * TEXTS + *text as usize,
        Ask::NumberExists(number) | Ask::Number(number, _) => 3 * TEXTS + *number as usize,
        Ask::Mask(_) => 3 * TEXTS + Number::Capabilities as usize,
        Ask::Address(Address::Dst, ..) => 3 * TEXTS + Number::DstIp4 as usize,
        Ask::Address(Address::Src, ..) => 3 * TEXTS + Number::SrcIp4 as usize,
        Ask::Never(_) => SOURCE_NEVER,
    }
}

/// A growing block. Sections are counted in units of what they hold.
struct Block {
    bytes: Vec<u8>,
}

impl Block {
    fn new() -> Block {
        Block { bytes: Vec::new() }
    }

    /// Leaves room for the header, which is written last.
    fn header(&mut self) -> Tables {
        self.bytes.resize(Tables::SIZE, 0);
        EMPTY
    }

    fn section<T: Put>(&mut self, items: &[T]) -> Result<u32, Full> {
        let start = self.bytes.len().next_multiple_of(T::SIZE);
        if start + items.len() * T::SIZE > TABLE_BYTES {
            return Err(Full);
        }
        self.bytes.resize(start, 0);
        items.iter().for_each(|item| item.put(&mut self.bytes));
        Ok((start / T::SIZE) as u32)
    }

    fn list(&mut self, entries: &[u16]) -> Result<List, Full> {
        if entries.is_empty() {
            return Ok(List { at: 0, len: 0 });
        }
        Ok(List {
            at: self.section(entries)?,
            len: entries.len() as u32,
        })
    }

    fn lists(&mut self, lists: &[Vec<u16>]) -> Result<u32, Full> {
        let lists = lists
            .iter()
            .map(|entries| self.list(entries))
            .collect::<Result<Vec<_>, _>>()?;
        self.section(&lists)
    }

    fn automaton(&mut self, rows: &Rows) -> Result<Automaton, Full> {
        Ok(Automaton {
            classes: self.section(&rows.classes[..])?,
            rows: self.section(&rows.next)?,
            accepts: self.section(&rows.accepts)?,
            start: rows.start,
            accepting: rows.accepting,
            shift: rows.shift as u16,
            anchor: rows.anchor.into(),
        })
    }

    fn finish(mut self, mut tables: Tables) -> Result<Vec<u8>, Full> {
        tables.used = self.bytes.len() as u32;
        let mut head = Vec::with_capacity(Tables::SIZE);
        tables.put(&mut head);
        self.bytes[..Tables::SIZE].copy_from_slice(&head);
        Ok(self.bytes)
    }
}

const NO_AUTOMATON: Automaton = Automaton {
    classes: 0,
    rows: 0,
    accepts: 0,
    start: 0,
    accepting: 0,
    shift: 0,
    anchor: 0,
};

const NO_NUMBERS: NumberTable = NumberTable {
    bounds: 0,
    count: 0,
    lists: 0,
    exists: 0,
};

const NO_LIST: List = List { at: 0, len: 0 };

const EMPTY: Tables = Tables {
    version: 0,
    used: 0,
    texts: [TextTable {
        exact: NO_AUTOMATON,
        folded: NO_AUTOMATON,
        regexes: NO_LIST,
        always: NO_LIST,
        exists: 0,
        reserved: 0,
    }; TEXTS],
    numbers: [NO_NUMBERS; super::layout::NUMBERS],
    addresses: [NO_NUMBERS; super::layout::ADDRESSES],
    utf8: NO_AUTOMATON,
    atom_sources: 0,
    atom_lists: 0,
    literal_lists: 0,
    source_lists: 0,
    unit_lists: [0; SPACES],
    space_lists: 0,
    regexes: 0,
    programs: 0,
    units: 0,
    rules: 0,
    kinds: 0,
    masks: 0,
    mask_count: 0,
    protected_units: [0; 4],
    always_unit_words: 0,
    always_rule_words: 0,
    always_units: [0; UNITS / 64],
    absent_units: [0; UNITS / 64],
    always_rules: [0; RULES / 64],
};

/// The literals of one text, each with the atoms it makes true and the regexes
/// it is part of.
#[derive(Default)]
struct TextLiterals {
    literals: Vec<Literal>,
    lists: Vec<Vec<u16>>,
    ids: HashMap<Literal, usize>,
}

impl TextLiterals {
    fn add(&mut self, literal: Literal, entry: u16) {
        let next = self.literals.len();
        let id = *self.ids.entry(literal.clone()).or_insert(next);
        if id == next {
            self.literals.push(literal);
            self.lists.push(Vec::new());
        }
        self.lists[id].push(entry);
    }
}

/// A regex of one text, with the atoms it makes true.
struct TextRegex<'a> {
    text: Text,
    hir: &'a Hir,
    atoms: Vec<u16>,
    always: bool,
}

fn texts(
    block: &mut Block,
    tables: &mut Tables,
    atoms: &[Ask],
    numbers: &AtomNumbers,
) -> Result<(), Full> {
    let mut exact: Vec<TextLiterals> = Vec::new();
    let mut folded: Vec<TextLiterals> = Vec::new();
    exact.resize_with(TEXTS, TextLiterals::default);
    folded.resize_with(TEXTS, TextLiterals::default);
    let mut regexes: Vec<TextRegex<'_>> = Vec::new();
    let mut regex_ids: HashMap<(Text, String), usize> = HashMap::new();
    for (ask, &atom) in atoms.iter().zip(&numbers.of) {
        match ask {
            Ask::TextExists(text) => tables.texts[*text as usize].exists = u32::from(atom) + 1,
            Ask::Literals {
                text,
                folded: is_folded,
                literals,
            } => {
                let set = if *is_folded { &mut folded } else { &mut exact };
                for literal in literals {
                    set[*text as usize].add(literal.clone(), atom);
                }
            }
            Ask::Regexes { text, regexes: own } => {
                for (hir, needs) in own {
                    let next = regexes.len();
                    let id = *regex_ids.entry((*text, format!("{hir:?}"))).or_insert(next);
                    if id == next {
                        if next >= REGEXES {
                            return Err(Full);
                        }
                        regexes.push(TextRegex {
                            text: *text,
                            hir,
                            atoms: Vec::new(),
                            always: needs.is_none(),
                        });
                        for need in needs.iter().flatten() {
                            let literal = need.bytes().map(Symbol::Byte).collect();
                            folded[*text as usize].add(literal, LIST_REGEX | id as u16);
                        }
                    }
                    regexes[id].atoms.push(atom);
                }
            }
            _ => {}
        }
    }
    let mut literal_lists: Vec<Vec<u16>> = Vec::new();
    for &text in Text::ALL {
        let at = text as usize;
        tables.texts[at].exact = literals(block, text, false, &exact[at], &mut literal_lists)?;
        tables.texts[at].folded = literals(block, text, true, &folded[at], &mut literal_lists)?;
        let of = |always: bool| -> Vec<u16> {
            let own = regexes.iter().enumerate();
            own.filter(|(_, regex)| regex.text == text && (!always || regex.always))
                .map(|(id, _)| id as u16)
                .collect()
        };
        tables.texts[at].regexes = block.list(&of(false))?;
        tables.texts[at].always = block.list(&of(true))?;
    }
    if literal_lists.len() > LITERALS {
        return Err(Full);
    }
    tables.literal_lists = block.lists(&literal_lists)?;
    let mut written = Vec::new();
    for regex in &regexes {
        // Those that do not fit have been turned into what the kernel cannot tell.
        let rows = regex::rows(regex.text, regex.hir).map_err(|_| Full)?;
        written.push(Regex {
            automaton: block.automaton(&rows)?,
            reserved: 0,
            atoms: block.list(&regex.atoms)?,
        });
    }
    tables.regexes = block.section(&written)?;
    if !regexes.is_empty() {
        tables.utf8 = block.automaton(&regex::no_utf8().map_err(|_| Full)?)?;
    }
    Ok(())
}

/// The automaton of a text's literals, which are numbered on from those of the
/// texts before.
fn literals(
    block: &mut Block,
    text: Text,
    folded: bool,
    own: &TextLiterals,
    lists: &mut Vec<Vec<u16>>,
) -> Result<Automaton, Full> {
    if own.literals.is_empty() {
        return Ok(NO_AUTOMATON);
    }
    let first = lists.len();
    let mut found = automaton::build(text, folded, &own.literals).ok_or(Full)?;
    for literal in 0..own.literals.len() {
        // With a literal everything is found that it ends with.
        let mut list = Vec::new();
        let mut next = Some(literal);
        while let Some(at) = next {
            list.extend(&own.lists[at]);
            next = found.within[at];
        }
        list.sort_unstable();
        list.dedup();
        lists.push(list);
    }
    if lists.len() > LITERALS {
        return Err(Full);
    }
    for accepts in &mut found.rows.accepts {
        *accepts += first as u16;
    }
    block.automaton(&found.rows)
}

/// Numbers, addresses and sets.
fn values(
    block: &mut Block,
    tables: &mut Tables,
    atoms: &[Ask],
    numbers: &AtomNumbers,
) -> Result<(), Full> {
    let all = || atoms.iter().zip(numbers.of.iter().copied());
    for &number in Number::ALL {
        let mut tests: Vec<(u16, Vec<RangeInclusive<u64>>)> = Vec::new();
        for (ask, atom) in all() {
            match ask {
                Ask::NumberExists(own) if *own == number => {
                    tables.numbers[number as usize].exists = u32::from(atom) + 1;
                }
                Ask::Number(own, ranges) if *own == number => tests.push((atom, ranges.clone())),
                Ask::Address(address, v4, _) if number == ipv4(*address) => {
                    tests.push((atom, v4.clone()));
                }
                _ => {}
            }
        }
        let table = number_table(block, &tests)?;
        let exists = tables.numbers[number as usize].exists;
        tables.numbers[number as usize] = NumberTable { exists, ..table };
    }
    for &address in Address::ALL {
        let tests: Vec<(u16, Vec<RangeInclusive<u128>>)> = all()
            .filter_map(|(ask, atom)| match ask {
                Ask::Address(own, _, v6) if *own == address => Some((atom, v6.clone())),
                _ => None,
            })
            .collect();
        let mut table = number_table(block, &tests)?;
        // Whether there is one is the IPv4 table's to say.
        table.exists = tables.numbers[ipv4(address) as usize].exists;
        tables.addresses[address as usize] = table;
    }
    let masks: Vec<Mask> = all()
        .filter_map(|(ask, atom)| match ask {
            Ask::Mask(any) => Some(Mask {
                any: *any,
                atom: atom.into(),
                reserved: 0,
            }),
            _ => None,
        })
        .collect();
    tables.masks = block.section(&masks)?;
    tables.mask_count = masks.len() as u32;
    Ok(())
}

fn ipv4(address: Address) -> Number {
    match address {
        Address::Dst => Number::DstIp4,
        Address::Src => Number::SrcIp4,
    }
}

/// The search of a table ends after fourteen steps.
const MOST_BOUNDS: usize = (1 << 14) - 1;

/// A bound as the kernel compares it.
trait Bound: Steps {
    type Put: Put;

    fn bound(self) -> Self::Put;
}

impl Bound for u64 {
    type Put = u64;

    fn bound(self) -> u64 {
        self
    }
}

impl Bound for u128 {
    /// The upper half first.
    type Put = [u64; 2];

    fn bound(self) -> [u64; 2] {
        [(self >> 64) as u64, self as u64]
    }
}

fn number_table<T: Bound>(
    block: &mut Block,
    tests: &[(u16, Vec<RangeInclusive<T>>)],
) -> Result<NumberTable, Full> {
    if tests.is_empty() {
        return Ok(NO_NUMBERS);
    }
    let intervals = Intervals::new(tests);
    if intervals.bounds.len() > MOST_BOUNDS {
        return Err(Full);
    }
    let bounds: Vec<T::Put> = intervals.bounds.iter().map(|bound| bound.bound()).collect();
    Ok(NumberTable {
        bounds: block.section(&bounds)?,
        count: bounds.len() as u32,
        lists: block.lists(&intervals.holds)?,
        exists: 0,
    })
}

/// Which programs are filed under what.
fn filing(
    block: &mut Block,
    tables: &mut Tables,
    interner: &Interner,
    units: &Units,
    programs: &[RuleProgram],
    numbers: &AtomNumbers,
) -> Result<(), Full> {
    let atoms = &interner.atoms;
    let mut under_atoms = vec![Vec::new(); numbers.count];
    let mut under_sources = vec![Vec::new(); SOURCES];
    let mut under_units = vec![vec![Vec::new(); units.trees.len()]; SPACES];
    let mut under_spaces = vec![Vec::new(); SPACES];

    let atom_weight = |leaf: Leaf| cover::weight(&atoms[leaf.index]);
    let covers: Vec<Option<Cover>> = units
        .trees
        .iter()
        .map(|tree| cover(tree, &atom_weight))
        .collect();
    for (unit, own) in covers.iter().enumerate() {
        let Some(own) = own else {
            tables.always_units[unit / 64] |= 1 << (unit % 64);
            continue;
        };
        for leaf in &own.leaves {
            under_atoms[usize::from(numbers.of[leaf.index])].push(unit as u16);
            under_sources[source(&atoms[leaf.index])].push(unit as u16);
        }
    }
    // One that always has to be asked still seldom holds.
    const ASKED_ALWAYS: u64 = 5_000;
    let weight = |leaf: Leaf| match leaf.space {
        Space::Atom => atom_weight(leaf),
        space => {
            let own = covers[leaf.index].as_ref();
            Some(cover::unit_weight(
                space,
                own.map_or(ASKED_ALWAYS, |own| own.weight),
            ))
        }
    };
    for (rule, program) in programs.iter().enumerate() {
        let Some(own) = cover(&program.tree, &weight) else {
            tables.always_rules[rule / 64] |= 1 << (rule % 64);
            continue;
        };
        for leaf in own.leaves {
            if leaf.space == Space::Atom {
                under_atoms[usize::from(numbers.of[leaf.index])].push(rule as u16);
                under_sources[source(&atoms[leaf.index])].push(rule as u16);
            } else {
                under_units[leaf.space as usize][leaf.index].push(rule as u16);
                under_spaces[leaf.space as usize].push(rule as u16);
            }
        }
    }
    for unit in units.of_nobody() {
        tables.absent_units[unit / 64] |= 1 << (unit % 64);
    }
    tables.always_unit_words = words(&tables.always_units);
    tables.always_rule_words = words(&tables.always_rules);
    let mut sources = vec![SOURCE_NEVER as u8; numbers.count];
    for (ask, &atom) in atoms.iter().zip(&numbers.of) {
        sources[usize::from(atom)] = source(ask) as u8;
    }
    tables.atom_sources = block.section(&sources)?;
    tables.atom_lists = block.lists(&under_atoms)?;
    dedup(&mut under_sources);
    tables.source_lists = block.lists(&under_sources)?;
    for (space, lists) in under_units.iter().enumerate() {
        tables.unit_lists[space] = block.lists(lists)?;
    }
    dedup(&mut under_spaces);
    tables.space_lists = block.lists(&under_spaces)?;
    Ok(())
}

fn dedup(lists: &mut [Vec<u16>]) {
    for list in lists {
        list.sort_unstable();
        list.dedup();
    }
}

/// Which words of the set are not empty.
fn words(set: &[u64]) -> u64 {
    set.iter()
        .enumerate()
        .filter(|(_, word)| **word != 0)
        .fold(0, |words, (at, _)| words | 1 << at)
}

/// The programs and their steps.
fn conditions(
    block: &mut Block,
    tables: &mut Tables,
    units: &Units,
    programs: &[RuleProgram],
    numbers: &AtomNumbers,
) -> Result<(), Full> {
    let mut written = Vec::new();
    for tree in &units.trees {
        written.push(Program {
            code: block.section(&steps(tree, numbers)?)?,
            kinds: u32::MAX,
            policies: 0,
        });
    }
    for program in programs {
        tables.kinds |= program.kinds;
        written.push(Program {
            code: block.section(&steps(&program.tree, numbers)?)?,
            kinds: program.kinds,
            policies: program.policies,
        });
    }
    tables.programs = block.section(&written)?;
    tables.units = units.trees.len() as u32;
    tables.rules = programs.len() as u32;
    tables.protected_units = units
        .protects
        .map(|unit| unit.map_or(0, |unit| unit as u32 + 1));
    Ok(())
}

/// A condition as steps. They are made from the last to the first, so that each
/// knows where to go on.
fn steps(tree: &Tree, numbers: &AtomNumbers) -> Result<Vec<Step>, Full> {
    let mut made = Made {
        steps: Vec::new(),
        numbers,
    };
    match tree {
        Tree::Constant(value) => {
            let end = if *value { STEP_TRUE } else { STEP_FALSE };
            made.steps.push(Step {
                leaf: Space::Process as u16,
                index: 0,
                yes: end,
                no: end,
            });
        }
        tree => {
            made.tree(tree, STEP_TRUE, STEP_FALSE);
        }
    }
    let Some(last) = made.steps.len().checked_sub(1) else {
        return Err(Full);
    };
    if last >= usize::from(STEP_FALSE) {
        return Err(Full);
    }
    made.steps.reverse();
    for step in &mut made.steps {
        for target in [&mut step.yes, &mut step.no] {
            if *target < STEP_FALSE {
                *target = last as u16 - *target;
            }
        }
    }
    Ok(made.steps)
}

struct Made<'n> {
    steps: Vec<Step>,
    numbers: &'n AtomNumbers,
}

impl Made<'_> {
    /// Adds a tree's steps; gives the one to begin with.
    fn tree(&mut self, tree: &Tree, yes: u16, no: u16) -> u16 {
        match tree {
            Tree::Constant(true) => yes,
            Tree::Constant(false) => no,
            Tree::All(parts) => parts
                .iter()
                .rev()
                .fold(yes, |next, part| self.tree(part, next, no)),
            Tree::Any(parts) => parts
                .iter()
                .rev()
                .fold(no, |next, part| self.tree(part, yes, next)),
            Tree::Leaf(leaf) => {
                let index = match leaf.space {
                    Space::Atom => self.numbers.of[leaf.index],
                    _ => leaf.index as u16,
                };
                let negated = if leaf.negated { LEAF_NOT } else { 0 };
                self.steps.push(Step {
                    leaf: leaf.space as u16 | negated,
                    index,
                    yes,
                    no,
                });
                (self.steps.len() - 1).min(usize::from(STEP_FALSE)) as u16
            }
        }
    }
}
