//! By which predicates a unit is found: the cheapest set of literals one of
//! which is true, or unknown, whenever the unit is.

use crate::compile::frequency::Frequencies;
use crate::compile::normal::{Interner, Tree};
use crate::run::code::{Literal, Place};

/// What evaluating a candidate costs, in nanoseconds: only ratios matter.
const CANDIDATE: f64 = 40.0;

/// A set of literals that finds a unit.
#[derive(Debug, Clone)]
pub(crate) struct Cover {
    /// What it costs for each event.
    pub cost: f64,
    pub literals: Vec<Literal>,
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
            interner.patterns[literal.id as usize]
                .iter()
                .map(|pattern| {
                    let share = frequencies.share(place, atom.source, pattern);
                    CANDIDATE * share + frequencies.looking(pattern)
                })
                .sum()
        }
    };
    Some(Cover {
        cost,
        literals: vec![literal],
    })
}
