//! How far the kernel decides a rule.

use super::RuleProgram;
use super::ask::{Ask, Why};
use super::layout::Space;
use super::lower::{Interner, Leaf};
use crate::truth::Truth;

/// How far the kernel decides a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Whenever it knows the values.
    Kernel,
    /// In some events; in others, user space must.
    Partly(Vec<Why>),
    /// Never: user space decides.
    User(Vec<Why>),
    /// The tables are full: user space decides.
    NoRoom,
}

/// What the rule's programs come to: the least of them.
pub(super) fn of(programs: &[RuleProgram], interner: &Interner) -> Reach {
    let mut why = Vec::new();
    for program in programs {
        program.tree.leaves(&mut |leaf| match leaf.space {
            Space::Atom => note(leaf, interner, &mut why),
            _ => interner.units[leaf.index]
                .tree
                .leaves(&mut |inner| note(inner, interner, &mut why)),
        });
    }
    if why.is_empty() {
        return Reach::Kernel;
    }
    let possible = programs
        .iter()
        .all(|program| program.tree.truth(&mut |leaf| best(leaf, interner)) == Truth::True);
    if possible {
        Reach::Partly(why)
    } else {
        Reach::User(why)
    }
}

fn note(atom: Leaf, interner: &Interner, why: &mut Vec<Why>) {
    if let Ask::Never(reason) = interner.atoms[atom.index]
        && !why.contains(&reason)
    {
        why.push(reason);
    }
}

/// A leaf's value where every question that can be answered is answered in the
/// rule's favour.
fn best(leaf: Leaf, interner: &Interner) -> Truth {
    let atom = |atom: Leaf, wanted: bool| match interner.atoms[atom.index] {
        Ask::Never(_) => Truth::Unknown,
        _ => Truth::from(wanted != atom.negated),
    };
    match leaf.space {
        Space::Atom => atom(leaf, true),
        _ => interner.units[leaf.index]
            .tree
            .truth(&mut |inner| atom(inner, !leaf.negated)),
    }
}
