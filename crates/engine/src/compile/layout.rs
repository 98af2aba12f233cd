//! Lays units out: their programs, and the postings that find them.

use crate::compile::choose::{Cover, Found, cover};
use crate::compile::frequency::Frequencies;
use crate::compile::normal::{Interner, Source, Tree};
use crate::compile::postings::{Postings, any_table, unique};
use crate::compile::stage::{Home, Stage};
use crate::index::grams::GramCounts;
use crate::run::code::{ACCEPT, Code, Instruction, Literal, NO_SLOT, Place, REJECT, Role};
use crate::run::common::CommonTable;
use crate::run::quick::Quick;
use crate::tables::{EVENT, LaneTable, Tables, Unit};
use picket_model::field::EventAttr;
use picket_model::{ClassSet, EventClass};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// A predicate at least this dear is remembered while its event is evaluated.
const REMEMBERED: u32 = 20;

/// What is being laid out.
struct Layout<'a> {
    interner: &'a Interner,
    rule_count: usize,
    instructions: Vec<Instruction>,
    slots: HashMap<(Place, u32), u32>,
    sources: BTreeMap<Source, Postings>,
    always: [Vec<u32>; 9],
    lane_always: [Vec<u32>; 4],
    any: [Vec<(u32, u32)>; 2],
    any_used: [ClassSet; 2],
    event_classes: BTreeMap<Source, ClassSet>,
    /// By rule: literals that all must hold, beyond what it is found by and what
    /// a face tells.
    asked: Vec<Vec<Literal>>,
}

/// What becomes a [`LaneTable`].
#[derive(Default)]
struct LaneSources {
    face: Vec<u16>,
    image: Vec<u16>,
    posted: Vec<u32>,
}

/// Makes the tables.
pub(crate) fn layout(
    units: Vec<(ClassSet, Tree)>,
    rule_count: usize,
    interner: Interner,
    frequencies: &Frequencies,
) -> Tables {
    let mut layout = Layout {
        interner: &interner,
        rule_count,
        instructions: Vec::new(),
        slots: HashMap::new(),
        sources: BTreeMap::new(),
        always: Default::default(),
        lane_always: Default::default(),
        any: Default::default(),
        any_used: Default::default(),
        event_classes: BTreeMap::new(),
        asked: Vec::new(),
    };
    let mut laid_out = Vec::with_capacity(units.len());
    for ((classes, tree), id) in units.into_iter().zip(0u32..) {
        laid_out.push(layout.unit(id, classes, tree, frequencies));
    }
    let common = layout.common(&mut laid_out);
    let slots = layout.slots.len();
    let instructions = std::mem::take(&mut layout.instructions);
    let mut tables = layout.tables(frequencies, &laid_out);
    tables.common = common;
    tables.units = laid_out.into();
    tables.rule_count = rule_count as u32;
    tables.code = Code {
        instructions: instructions.into(),
        constants: {
            let mut constants = interner.constants;
            constants.finish();
            constants
        },
        atoms: interner.atoms.into(),
        whole: interner.whole.into(),
        times: interner.times.into(),
        slots,
    };
    tables
}

impl Layout<'_> {
    fn unit(&mut self, id: u32, classes: ClassSet, tree: Tree, frequencies: &Frequencies) -> Unit {
        let mut unit = Unit {
            classes,
            shared: false,
            start: REJECT,
            after_found: REJECT,
            after_face: REJECT,
            after_image: REJECT,
            asks: 0,
        };
        if tree == Tree::Constant(false) {
            self.asked.push(Vec::new());
            return unit;
        }
        tree.literals(&mut |literal| self.note(literal, classes));
        let cover = cover(&tree, self.interner, frequencies);
        let mut home = self.home(cover.as_ref(), &tree);
        let found_by = match &cover {
            Some(Cover { literals, .. }) if literals.len() == 1 => {
                Some(Tree::Literal(literals[0].literal))
            }
            _ => None,
        };
        match cover {
            Some(cover) => {
                unit.shared = may_be_found_twice(&cover);
                self.post(id, classes, &cover);
            }
            None => match home.0 {
                Some(role) => self.lane_always[role as usize].push(id),
                None if (id as usize) < self.rule_count => {
                    for class in classes.iter() {
                        self.always[class as usize].push(id);
                    }
                }
                // A body that asks for no image is asked of every process.
                None => {
                    self.lane_always[Role::Element as usize].push(id);
                    home.0 = Some(Role::Element);
                }
            },
        }
        let mut parts: Vec<(Stage, u32, Tree)> = match tree {
            Tree::And(parts) => parts,
            Tree::Constant(_) => Vec::new(),
            tree => vec![tree],
        }
        .into_iter()
        .map(|part| {
            let stage = match &found_by {
                Some(literal) if *literal == part => Stage::Found,
                _ => home.stage(&part, self.interner),
            };
            (stage, self.cost(&part), part)
        })
        .collect();
        parts.sort_by_key(|&(stage, cost, _)| (stage, cost));
        // Where each part begins; the program ends after the last.
        let mut begins = Vec::with_capacity(parts.len() + 1);
        let mut at = self.instructions.len() as u32;
        for (.., part) in &parts {
            begins.push(at);
            at += part.size() as u32;
        }
        begins.push(ACCEPT);
        for ((.., part), places) in parts.iter().zip(begins.windows(2)) {
            self.emit(part, places[0], places[1], REJECT);
        }
        let late = parts
            .iter()
            .filter(|(stage, ..)| *stage >= Stage::Image)
            .filter_map(|(.., part)| match part {
                Tree::Literal(literal) if can_be_common(*literal) => Some(*literal),
                _ => None,
            });
        self.asked.push(late.collect());
        let after = |last: Stage| begins[parts.partition_point(|&(stage, ..)| stage <= last)];
        unit.start = begins[0];
        unit.after_found = after(Stage::Found);
        unit.after_face = after(Stage::Face);
        unit.after_image = after(Stage::Image);
        unit
    }

    /// Notes what a unit looks at.
    fn note(&mut self, literal: Literal, classes: ClassSet) {
        let list = match literal.place {
            Place::ProcessAncestors => 0,
            Place::ActorAncestors => 1,
            _ => return,
        };
        self.any_used[list] = self.any_used[list].union(classes);
    }

    /// Whose process a unit is found by, as far as that is one.
    fn home(&self, cover: Option<&Cover>, tree: &Tree) -> Home {
        let Some(cover) = cover else {
            return Home(self.only_role(tree));
        };
        let mut roles = cover
            .literals
            .iter()
            .map(|found| found.literal.place.role());
        let first = roles.next().flatten();
        Home(first.filter(|_| roles.all(|other| other == first)))
    }

    /// The role whose image the tree's parts ask for most, if they ask for any.
    fn only_role(&self, tree: &Tree) -> Option<Role> {
        let parts = match tree {
            Tree::And(parts) => &parts[..],
            tree => std::slice::from_ref(tree),
        };
        Role::ALL
            .into_iter()
            .map(|role| {
                let home = Home(Some(role));
                let asks = |part: &&Tree| {
                    part.has_literals() && home.stage(part, self.interner) < Stage::Rest
                };
                (parts.iter().filter(asks).count(), role)
            })
            .filter(|(count, _)| *count > 0)
            .max_by_key(|(count, _)| *count)
            .map(|(_, role)| role)
    }

    fn post(&mut self, id: u32, classes: ClassSet, cover: &Cover) {
        for Found { literal, patterns } in &cover.literals {
            let place = match literal.place {
                Place::ProcessAncestors => {
                    self.any[0].push((literal.id, id));
                    continue;
                }
                Place::ActorAncestors => {
                    self.any[1].push((literal.id, id));
                    continue;
                }
                place => place,
            };
            let source = self.interner.atoms[literal.id as usize].source;
            let role = place.role().map_or(EVENT, |role| role as usize);
            let in_exec_only = matches!(place, Place::Process | Place::Parent);
            if in_exec_only && !classes.contains(EventClass::ProcessExec) {
                // There is no such process: the literal is false.
                continue;
            }
            if role == EVENT {
                let used = self.event_classes.entry(source).or_default();
                *used = used.union(classes);
            }
            let asks = self.instructions.len() as u32;
            let instruction = self.instruction(*literal, ACCEPT, REJECT);
            self.instructions.push(instruction);
            let postings = self.sources.entry(source).or_default();
            postings.posted[role].push(id);
            for pattern in patterns {
                postings.add(pattern, id, role, asks);
            }
        }
    }

    fn cost(&self, part: &Tree) -> u32 {
        let mut cost = 0;
        part.literals(&mut |literal| {
            cost += match literal.place {
                Place::ProcessAncestors | Place::ActorAncestors | Place::NotBefore => 2,
                Place::Whole => 5000,
                _ => self.interner.atoms[literal.id as usize].test.cost(),
            }
        });
        cost
    }

    /// Emits a part at its place, with the places to go on at.
    fn emit(&mut self, part: &Tree, at: u32, then: u32, otherwise: u32) {
        match part {
            Tree::And(parts) | Tree::Or(parts) => {
                let all = matches!(part, Tree::And(_));
                let mut order: Vec<&Tree> = parts.iter().collect();
                order.sort_by_key(|part| self.cost(part));
                let mut at = at;
                for (number, part) in order.iter().enumerate() {
                    let next = at + part.size() as u32;
                    let last = number + 1 == order.len();
                    match (all, last) {
                        (_, true) => self.emit(part, at, then, otherwise),
                        (true, false) => self.emit(part, at, next, otherwise),
                        (false, false) => self.emit(part, at, then, next),
                    }
                    at = next;
                }
            }
            Tree::Literal(literal) => {
                let instruction = self.instruction(*literal, then, otherwise);
                self.instructions.push(instruction);
            }
            // Constants have been folded away; a lone one has no instruction.
            Tree::Constant(_) => {}
        }
    }

    fn instruction(&mut self, literal: Literal, then: u32, otherwise: u32) -> Instruction {
        let (source, quick) = match self.interner.atoms.get(literal.id as usize) {
            Some(atom) if is_atom(literal) => (atom.source, atom.quick),
            // Not read: the literal is no atom.
            _ => (Source::Event(EventAttr::Status), Quick::PREPARED),
        };
        Instruction {
            literal,
            source,
            quick,
            slot: self.slot(literal),
            then,
            otherwise,
        }
    }

    /// Gives the literals that most rules ask for a bit each.
    fn common(&mut self, units: &mut [Unit]) -> CommonTable {
        let mut counts: HashMap<Literal, usize> = HashMap::new();
        for literal in self.asked.iter().take(self.rule_count).flatten() {
            *counts.entry(*literal).or_default() += 1;
        }
        let mut literals: Vec<(usize, Literal)> = counts
            .into_iter()
            .map(|(literal, count)| (count, literal))
            .filter(|(count, _)| *count > 1)
            .collect();
        literals.sort_by_key(|&(count, literal)| (Reverse(count), literal));
        literals.truncate(CommonTable::MOST);
        let bits: HashMap<Literal, u32> = (0..)
            .zip(&literals)
            .map(|(number, &(_, literal))| (literal, 1 << number))
            .collect();
        for (unit, asked) in units.iter_mut().zip(&self.asked).take(self.rule_count) {
            let bit = |literal| bits.get(literal).copied().unwrap_or(0);
            unit.asks = asked.iter().map(bit).fold(0, |all, bit| all | bit);
        }
        CommonTable {
            literals: literals
                .into_iter()
                .map(|(_, literal)| self.instruction(literal, ACCEPT, REJECT))
                .collect(),
        }
    }

    fn slot(&mut self, literal: Literal) -> u32 {
        if !is_atom(literal) || self.interner.atoms[literal.id as usize].test.cost() < REMEMBERED {
            return NO_SLOT;
        }
        let next = self.slots.len() as u32;
        *self
            .slots
            .entry((literal.place, literal.id))
            .or_insert(next)
    }

    fn tables(self, frequencies: &Frequencies, units: &[Unit]) -> Tables {
        let mut tables = Tables::default();
        let mut lanes: [LaneSources; 4] = Default::default();
        let mut event_sources: [Vec<u16>; 9] = Default::default();
        let mut sources = Vec::with_capacity(self.sources.len());
        let none = GramCounts::new();
        for ((source, postings), number) in self.sources.into_iter().zip(0u16..) {
            let counts = frequencies.grams(source).unwrap_or(&none);
            for (role, lane) in lanes.iter_mut().enumerate() {
                if !postings.posted[role].is_empty() {
                    let sources = if source.is_of_face() {
                        &mut lane.face
                    } else {
                        &mut lane.image
                    };
                    sources.push(number);
                    lane.posted.extend_from_slice(&postings.posted[role]);
                }
            }
            if let Some(classes) = self.event_classes.get(&source) {
                for class in classes.iter() {
                    event_sources[class as usize].push(number);
                }
            }
            sources.push(postings.table(source, counts, units));
        }
        tables.sources = sources.into();
        for ((lane, sources), always) in tables.lanes.iter_mut().zip(lanes).zip(self.lane_always) {
            *lane = LaneTable {
                face_sources: sources.face.into(),
                image_sources: sources.image.into(),
                always: always.into(),
                posted: unique(sources.posted),
            };
        }
        for class in EventClass::ALL {
            let class = class as usize;
            tables.event_sources[class] = std::mem::take(&mut event_sources[class]).into();
        }
        tables.always = self.always.map(Into::into);
        for ((table, pairs), used_in) in tables.any.iter_mut().zip(self.any).zip(self.any_used) {
            *table = any_table(pairs, used_in);
        }
        tables
    }
}

/// Lanes name a unit once, but there are several, and events have none.
fn may_be_found_twice(cover: &Cover) -> bool {
    match &cover.literals[..] {
        [only] if only.literal.place == Place::Event => only.patterns.len() > 1,
        literals => literals.len() > 1,
    }
}

/// Whether a literal can be asked once for many rules, before anything is known of
/// an event's ancestors.
fn can_be_common(literal: Literal) -> bool {
    is_atom(literal) && literal.place != Place::Element
}

/// Whether a literal's number counts atoms.
fn is_atom(literal: Literal) -> bool {
    literal.place.role().is_some() || literal.place == Place::Event
}
