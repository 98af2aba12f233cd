//! In which order a unit's program asks: what is known longest comes first.

use crate::compile::normal::{Interner, Tree};
use crate::run::code::Role;

/// Whose process a unit is found by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home(pub Option<Role>);

/// When a part is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It is what the unit is found by.
    Found,
    /// It asks for the face of the home's process.
    Face,
    /// It asks for its image.
    Image,
    /// It asks for more.
    Rest,
}

impl Home {
    /// When a part is asked that is not what the unit is found by.
    pub(crate) fn stage(self, part: &Tree, interner: &Interner) -> Stage {
        let mut stage = Stage::Face;
        part.literals(&mut |literal| {
            let at_home = literal.place.role().is_some() && literal.place.role() == self.0;
            let own = match at_home.then(|| interner.atoms[literal.id as usize].source) {
                Some(source) if source.is_of_face() => Stage::Face,
                Some(source) if source.is_of_image() => Stage::Image,
                _ => Stage::Rest,
            };
            stage = stage.max(own);
        });
        stage
    }
}
