//! What a program is filed under: a set of bits one of which is set whenever the
//! program holds or may hold. The rarest such set is taken, so that most events
//! meet few programs.

use super::ask::Ask;
use super::automaton::{Literal, Symbol};
use super::layout::{Number, Space};
use super::lower::{Leaf, Tree};

/// A set of leaves, none negated, and how often one of them is likely to hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cover {
    pub leaves: Vec<Leaf>,
    /// Relative: sums where any is enough.
    pub weight: u64,
}

/// The rarest cover; none if the tree may hold where no bit is set.
pub(super) fn cover(tree: &Tree, weight: &dyn Fn(Leaf) -> Option<u64>) -> Option<Cover> {
    match tree {
        Tree::Constant(false) => Some(Cover {
            leaves: Vec::new(),
            weight: 0,
        }),
        Tree::Constant(true) => None,
        Tree::Leaf(leaf) if leaf.negated => None,
        Tree::Leaf(leaf) => Some(Cover {
            leaves: vec![*leaf],
            weight: weight(*leaf)?,
        }),
        Tree::All(parts) => parts
            .iter()
            .filter_map(|part| cover(part, weight))
            .min_by_key(|cover| cover.weight),
        Tree::Any(parts) => {
            let mut all = Cover {
                leaves: Vec::new(),
                weight: 0,
            };
            for part in parts {
                let own = cover(part, weight)?;
                all.leaves.extend(own.leaves);
                all.weight += own.weight;
            }
            Some(all)
        }
    }
}

/// How often an atom is likely to hold: a guess by its looks. None for what
/// nothing can be filed under.
pub(super) fn weight(ask: &Ask) -> Option<u64> {
    Some(match ask {
        Ask::Never(_) => return None,
        Ask::TextExists(_) | Ask::NumberExists(_) => 10_000,
        Ask::Literals { literals, .. } => literals.iter().map(literal_weight).sum(),
        Ask::Regexes { regexes, .. } => regexes
            .iter()
            .map(|(_, needs)| match needs {
                Some(needs) => needs.iter().map(|text| by_length(text.len(), 60)).sum(),
                None => 2_000,
            })
            .sum(),
        Ask::Number(Number::DstPort | Number::SrcPort | Number::QueryType, ranges) => ranges
            .iter()
            .map(|range| 20 + (range.end() - range.start()).min(1_000))
            .sum(),
        Ask::Number(Number::Inode | Number::File | Number::Pid, _) => 5,
        Ask::Number(..) => 3_000,
        Ask::Address(_, v4, v6) => 10 * (v4.len() + v6.len()) as u64,
        Ask::Mask(_) => 3_000,
    })
}

fn literal_weight(literal: &Literal) -> u64 {
    let anchors = literal
        .iter()
        .filter(|symbol| **symbol == Symbol::Anchor)
        .count();
    match anchors {
        // Every text has an end.
        _ if literal.len() == anchors && anchors < 2 => 10_000,
        2 => 10,
        1 => by_length(literal.len(), 40),
        _ => by_length(literal.len(), 80),
    }
}

fn by_length(len: usize, weight: u64) -> u64 {
    1 + weight * 8 / (len as u64).clamp(1, 24)
}

/// A unit weighs what it is filed under; ancestors are many.
pub(super) fn unit_weight(space: Space, own: u64) -> u64 {
    match space {
        Space::Line => own * 4,
        _ => own,
    }
}
