//! By which predicates a unit is found: the cheapest set of literals one of
//! which is true, or unknown, whenever the unit is.
//!
//! Costs are estimates in nanoseconds for each event; only ratios matter.

use crate::compile::frequency::Frequencies;
use crate::compile::normal::{Interner, Tree};
use crate::compile::pattern::Pattern;
use crate::run::code::{Literal, Place};

/// What taking up a candidate costs.
const CANDIDATE: f64 = 25.0;
/// How much of what else a candidate asks is really asked: the first answer that is
/// no ends it.
const ASKED: f64 = 0.3;
/// The share of events in which a face has to be looked at anew.
const NEW_FACES: f64 = 0.25;
/// The share of events in which a glob or regex holds, if nothing better is known.
const SELDOM: f64 = 0.05;

/// A set of literals that finds a unit.
#[derive(Debug, Clone)]
pub(crate) struct Cover {
    pub literals: Vec<Found>,
    /// What finding costs.
    finding: f64,
    /// The share of events in which it finds the unit.
    hits: f64,
    /// Whose face all its literals ask for, if that is one: what else asks for it is
    /// asked once for each face.
    face: Option<Place>,
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
        Tree::And(parts) => {
            let covers: Vec<Option<Cover>> = parts
                .iter()
                .map(|part| cover(part, interner, frequencies))
                .collect();
            (0..parts.len())
                .filter_map(|finder| best_of_and(parts, &covers, finder, interner))
                .min_by(|(left, _), (right, _)| left.total_cmp(right))
                .map(|(_, cover)| cover)
        }
        Tree::Or(parts) => {
            let mut covers = parts
                .iter()
                .map(|part| cover(part, interner, frequencies))
                .collect::<Option<Vec<Cover>>>()?
                .into_iter();
            let mut all = covers.next()?;
            for one in covers {
                all.literals.extend(one.literals);
                all.finding += one.finding;
                all.hits += one.hits;
                all.face = all.face.filter(|_| all.face == one.face);
            }
            Some(all)
        }
    }
}

/// One part of an *and* as its cover, and what the whole then costs.
fn best_of_and(
    parts: &[Tree],
    covers: &[Option<Cover>],
    finder: usize,
    interner: &Interner,
) -> Option<(f64, Cover)> {
    let mut cover = covers[finder].clone()?;
    let mut later = 0.0;
    for (at, part) in parts.iter().enumerate() {
        if at == finder {
            continue;
        }
        let cost = ASKED * cost(part, interner);
        if cover
            .face
            .is_some_and(|face| asks_face(part, face, interner))
        {
            cover.finding += NEW_FACES * cover.hits * cost;
            let other = covers[at].as_ref();
            cover.hits = other.map_or(cover.hits, |other| cover.hits.min(other.hits));
        } else {
            later += cost;
        }
    }
    let total = cover.finding + cover.hits * (CANDIDATE + later);
    Some((total, cover))
}

/// Whether the part asks for nothing but the face of the process in that place.
fn asks_face(part: &Tree, face: Place, interner: &Interner) -> bool {
    let mut only = true;
    part.literals(&mut |literal| only &= face_of(literal, interner) == Some(face));
    only
}

/// Whose face a literal asks for.
fn face_of(literal: Literal, interner: &Interner) -> Option<Place> {
    let is_of_process = matches!(literal.place, Place::Process | Place::Parent | Place::Actor);
    let source = interner.atoms.get(literal.id as usize)?.source;
    (is_of_process && source.is_of_face()).then_some(literal.place)
}

/// What asking for all of a part costs.
fn cost(part: &Tree, interner: &Interner) -> f64 {
    let mut cost = 0;
    part.literals(&mut |literal| {
        cost += match literal.place {
            Place::ProcessAncestors | Place::ActorAncestors | Place::NotBefore => 5,
            Place::Whole => 5000,
            _ => interner.atoms[literal.id as usize].test.cost(),
        }
    });
    cost.into()
}

fn literal_cover(
    literal: Literal,
    interner: &Interner,
    frequencies: &Frequencies,
) -> Option<Cover> {
    if literal.negated {
        return None;
    }
    let mut cover = Cover {
        literals: Vec::new(),
        finding: 0.0,
        hits: 0.0,
        face: face_of(literal, interner),
    };
    let mut patterns = Vec::new();
    match literal.place {
        Place::NotBefore | Place::Whole => return None,
        Place::ProcessAncestors | Place::ActorAncestors => {
            cover.hits = frequencies.any(literal.place, literal.id);
            cover.face = None;
        }
        place => {
            let source = interner.atoms[literal.id as usize].source;
            if place != Place::Event && !source.is_of_image() {
                return None;
            }
            let price = |pattern: &Pattern| price(literal, pattern, interner, frequencies);
            for piece in &interner.pieces[literal.id as usize] {
                let (finding, hits, list) = piece
                    .lists
                    .iter()
                    .map(|list| {
                        let (finding, hits) = list
                            .iter()
                            .map(price)
                            .fold((0.0, 0.0), |(finding, hits), one| {
                                (finding + one.0, hits + one.1)
                            });
                        (finding, hits, list)
                    })
                    .min_by(|left, right| {
                        let total = |(finding, hits, _): &(f64, f64, _)| finding + CANDIDATE * hits;
                        total(left).total_cmp(&total(right))
                    })?;
                cover.finding += finding;
                cover.hits += hits;
                patterns.extend_from_slice(list);
            }
        }
    }
    cover.literals.push(Found { literal, patterns });
    Some(cover)
}

/// What looking for a pattern costs, with asking for the literal where it hits, and
/// the share of events in which the literal then holds.
fn price(
    literal: Literal,
    pattern: &Pattern,
    interner: &Interner,
    frequencies: &Frequencies,
) -> (f64, f64) {
    let atom = &interner.atoms[literal.id as usize];
    let share = frequencies.share(literal.place, atom.source, pattern);
    let looking = frequencies.looking(pattern);
    let (asking, hits) = if pattern.is_proof() {
        (0.0, share)
    } else {
        (f64::from(atom.test.cost()) * share, share.min(SELDOM))
    };
    let often = if face_of(literal, interner).is_some() {
        NEW_FACES
    } else {
        1.0
    };
    (often * (looking + asking), hits)
}
