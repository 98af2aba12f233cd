//! Conditions in normal form: negations at the leaves, equal predicates once.
//!
//! De Morgan's laws hold in Kleene's logic too, so a rule and its exceptions
//! become one tree of *and*, *or* and literals.

use crate::compile::pattern::{Piece, pieces};
use crate::naive::{Node, PreparedTest};
use crate::regexes::LazyRegex;
use crate::run::code::{Literal, Place, Role};
use crate::run::faces;
use crate::run::quick::{Constants, Quick};
use picket_lang::ir::{Expr, Predicate, Rule, Test, TextTest};
use picket_model::field::{EventAttr, Field, ProcessAttr, ProcessList, Subject};
use std::collections::HashMap;
use std::sync::Arc;

/// Where a value is read from, whoever's process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// An attribute of a process.
    Process(ProcessAttr),
    /// An attribute of the event.
    Event(EventAttr),
}

impl Source {
    /// Whether it is a part of what a process looks like ([`crate::run::faces`]).
    pub(crate) fn is_of_face(self) -> bool {
        matches!(self, Source::Process(attr) if faces::ATTRIBUTES.contains(&attr))
    }

    /// Whether it is the same for as long as the process keeps its image.
    pub(crate) fn is_of_image(self) -> bool {
        matches!(self, Source::Process(attr) if attr != ProcessAttr::Pid)
    }
}

/// A test of a source, shared by all rules that have it.
#[derive(Debug)]
pub(crate) struct Atom {
    /// What it reads.
    pub source: Source,
    /// What must hold.
    pub test: PreparedTest,
    /// The same for ordinary values.
    pub quick: Quick,
}

impl Atom {
    /// What it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Source>() + self.test.memory()
    }
}

/// A condition in normal form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Literal(Literal),
    Constant(bool),
}

/// Everything the trees refer to, each once.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    /// Tests.
    pub atoms: Vec<Atom>,
    /// What each atom can be found by.
    pub pieces: Vec<Vec<Piece>>,
    /// Bodies of `any LIST (…)` that speak of their element only.
    pub bodies: Vec<Tree>,
    /// `any LIST (…)` that speak of more: evaluated as they are written.
    pub whole: Vec<Node>,
    /// The constants of quick tests.
    pub constants: Constants,
    /// Times at which exceptions expire.
    pub times: Vec<i64>,
    atom_ids: HashMap<String, u32>,
    body_ids: HashMap<String, u32>,
    regexes: HashMap<(String, bool), Arc<LazyRegex>>,
}

impl Interner {
    /// A rule with its exceptions: the condition, and none of them unexpired
    /// and true.
    pub(crate) fn rule(&mut self, rule: &Rule) -> Tree {
        let mut parts = vec![self.expr(&rule.condition, false, false)];
        for exception in &rule.exceptions {
            let not_excepted = self.expr(&exception.condition, true, false);
            parts.push(match exception.expires_ns {
                None => not_excepted,
                Some(expires_ns) => {
                    self.times.push(expires_ns);
                    let id = self.times.len() as u32 - 1;
                    let expired = Literal::new(Place::NotBefore, id, false);
                    or(vec![Tree::Literal(expired), not_excepted])
                }
            });
        }
        and(parts)
    }

    fn expr(&mut self, expr: &Expr, negated: bool, in_body: bool) -> Tree {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => {
                let all = matches!(expr, Expr::And(_)) != negated;
                let parts = parts
                    .iter()
                    .map(|part| self.expr(part, negated, in_body))
                    .collect();
                if all { and(parts) } else { or(parts) }
            }
            Expr::Not(part) => self.expr(part, !negated, in_body),
            Expr::Predicate(predicate) => self.predicate(predicate, negated, in_body),
            Expr::Any(list, body) => Tree::Literal(self.any(*list, body, negated)),
        }
    }

    fn any(&mut self, list: ProcessList, body: &Expr, negated: bool) -> Literal {
        if !speaks_of_element_only(body) {
            let any = Expr::Any(list, Box::new(body.clone()));
            self.whole.push(Node::new(&any));
            return Literal::new(Place::Whole, self.whole.len() as u32 - 1, negated);
        }
        let tree = self.expr(body, false, true);
        let key = format!("{tree:?}");
        let next = self.bodies.len() as u32;
        let id = *self.body_ids.entry(key).or_insert(next);
        if id == next {
            self.bodies.push(tree);
        }
        let place = match list {
            ProcessList::ProcessAncestors => Place::ProcessAncestors,
            ProcessList::ActorAncestors => Place::ActorAncestors,
        };
        Literal::new(place, id, negated)
    }

    fn predicate(&mut self, predicate: &Predicate, negated: bool, in_body: bool) -> Tree {
        let (source, place) = match predicate.field {
            Field::Event(attr) => (Source::Event(attr), Place::Event),
            Field::Process(subject, attr) => {
                let role = match subject {
                    Subject::Process => Role::Process,
                    Subject::Parent => Role::Parent,
                    Subject::Actor => Role::Actor,
                    Subject::Element if in_body => Role::Element,
                    // Outside a list there is no element: absent, so false.
                    Subject::Element => return Tree::Constant(negated),
                };
                (Source::Process(attr), Place::of(role))
            }
        };
        match &predicate.test {
            // Each pattern of an `allof` may hold of another element.
            Test::Text(text) if text.all && text.patterns.len() > 1 => {
                let parts = text
                    .patterns
                    .iter()
                    .map(|pattern| {
                        let one = Test::Text(TextTest {
                            how: text.how,
                            ignore_case: text.ignore_case,
                            patterns: vec![pattern.clone()],
                            all: false,
                        });
                        self.literal(source, place, &one, negated)
                    })
                    .collect();
                if negated { or(parts) } else { and(parts) }
            }
            test => self.literal(source, place, test, negated),
        }
    }

    fn literal(&mut self, source: Source, place: Place, test: &Test, negated: bool) -> Tree {
        let key = format!("{source:?}{test:?}");
        let next = self.atoms.len() as u32;
        let id = *self.atom_ids.entry(key).or_insert(next);
        if id == next {
            let regexes = &mut self.regexes;
            let prepared = PreparedTest::with_regexes(test, &mut |pattern, ignore_case| {
                regexes
                    .entry((pattern.to_owned(), ignore_case))
                    .or_insert_with(|| Arc::new(LazyRegex::new(pattern, ignore_case)))
                    .clone()
            });
            let pieces = pieces(test);
            self.atoms.push(Atom {
                source,
                test: prepared,
                quick: self.constants.add(test, &pieces),
            });
            self.pieces.push(pieces);
        }
        Tree::Literal(Literal::new(place, id, negated))
    }
}

/// True if the body's fields are its element's and no list stands inside.
fn speaks_of_element_only(body: &Expr) -> bool {
    match body {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().all(speaks_of_element_only),
        Expr::Not(part) => speaks_of_element_only(part),
        Expr::Predicate(predicate) => {
            matches!(predicate.field, Field::Process(Subject::Element, _))
        }
        Expr::Any(..) => false,
    }
}

/// *And*, with what is constant taken out.
fn and(parts: Vec<Tree>) -> Tree {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Tree::Constant(true) => {}
            Tree::Constant(false) => return Tree::Constant(false),
            Tree::And(inner) => flat.extend(inner),
            part => flat.push(part),
        }
    }
    match flat.len() {
        0 => Tree::Constant(true),
        1 => flat.swap_remove(0),
        _ => Tree::And(flat),
    }
}

/// *Or*, with what is constant taken out.
fn or(parts: Vec<Tree>) -> Tree {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Tree::Constant(false) => {}
            Tree::Constant(true) => return Tree::Constant(true),
            Tree::Or(inner) => flat.extend(inner),
            part => flat.push(part),
        }
    }
    match flat.len() {
        0 => Tree::Constant(false),
        1 => flat.swap_remove(0),
        _ => Tree::Or(flat),
    }
}

impl Tree {
    /// Calls `each` on every literal.
    pub(crate) fn literals(&self, each: &mut dyn FnMut(Literal)) {
        match self {
            Tree::And(parts) | Tree::Or(parts) => {
                parts.iter().for_each(|part| part.literals(each));
            }
            Tree::Literal(literal) => each(*literal),
            Tree::Constant(_) => {}
        }
    }

    /// False for constants, which are all that is left without literals.
    pub(crate) fn has_literals(&self) -> bool {
        !matches!(self, Tree::Constant(_))
    }

    /// How many instructions it takes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Tree::And(parts) | Tree::Or(parts) => parts.iter().map(Tree::size).sum(),
            Tree::Literal(_) => 1,
            Tree::Constant(_) => 0,
        }
    }
}
