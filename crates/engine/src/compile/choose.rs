//! By which predicates a unit is found: the cheapest set of literals one of
//! which is true, or unknown, whenever the unit is.

use crate::compile::frequency::Frequencies;
use crate::compile::normal::{Atom, Interner, Tree};
use crate::compile::pattern::Pattern;
use crate::run::code::{Literal, Place};

/// What evaluating a candidate costs.
const CANDIDATE: f64 = 40.0;
/// The share of events in which a face has to be looked at anew.
const NEW_FACES: f64 = 0.25;
/// The share of events in which a glob or regex holds, if nothing better is known.
const SELDOM: f64 = 0.05;

/// A set of literals that finds a unit.
#[derive(Debug, Clone)]
pub(crate) struct Cover {
    /// What it costs for each event, in nanoseconds: only ratios matter.
    pub cost: f64,
    pub literals: Vec<Found>,
}

/// A literal of a cover.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub literal: Literal,
    /// What it is found by; empty if a list of processes tells.
    pub patterns: Vec<Pattern>,
}

/// The cheapest cover; none if the unit can hold without any positive literal.
pub(crate) fn cover(tree: &Tree, interner: &Interner, frequencies: &Frequencies) -> Option<Cover> {
    match tree {
        Tree::Constant(_) => None,
        Tree::Literal(literal) => literal_cover(*literal, interner, frequencies),
        Tree::And(parts) => parts
            .iter()
            .filter_map(|part| cover(part, interner, frequencies))
            .min_by(|left, right| left.cost.total_cmp(&right.cost)),
        Tree::Or(parts) => {
            let mut all = Cover {
                cost: 0.0,
                literals: Vec::new(),
            };
            for part in parts {
                let mut one = cover(part, interner, frequencies)?;
                all.cost += one.cost;
                all.literals.append(&mut one.literals);
            }
            Some(all)
        }
    }
}

fn literal_cover(
    literal: Literal,
    interner: &Interner,
    frequencies: &Frequencies,
) -> Option<Cover> {
    if literal.negated {
        return None;
    }
    let mut patterns = Vec::new();
    let cost = match literal.place {
        Place::NotBefore | Place::Whole => return None,
        Place::ProcessAncestors | Place::ActorAncestors => {
            CANDIDATE * frequencies.any(literal.place, literal.id)
        }
        place => {
            let atom = &interner.atoms[literal.id as usize];
            if place != Place::Event && !atom.source.is_of_image() {
                return None;
            }
            let mut cost = 0.0;
            for piece in &interner.pieces[literal.id as usize] {
                let priced = piece.lists.iter().map(|list| {
                    let price = |pattern| price(literal, atom, pattern, frequencies);
                    (list.iter().map(price).sum::<f64>(), list)
                });
                let (least, list) = priced.min_by(|left, right| left.0.total_cmp(&right.0))?;
                cost += least;
                patterns.extend_from_slice(list);
            }
            cost
        }
    };
    Some(Cover {
        cost,
        literals: vec![Found { literal, patterns }],
    })
}

/// What it costs for each event to look for a pattern and to go on where it hits.
fn price(literal: Literal, atom: &Atom, pattern: &Pattern, frequencies: &Frequencies) -> f64 {
    let share = frequencies.share(literal.place, atom.source, pattern);
    let looking = frequencies.looking(pattern);
    if pattern.is_proof() {
        return looking + CANDIDATE * share;
    }
    // Where it hits, the literal itself is asked.
    let asking = f64::from(atom.test.cost());
    let holds = share.min(SELDOM);
    if atom.source.is_of_face() && literal.place != Place::Element {
        NEW_FACES * (looking + asking * share) + CANDIDATE * holds
    } else {
        looking + asking * share + CANDIDATE * holds
    }
}
