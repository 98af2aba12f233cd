//! What each source's patterns find, gathered and then laid out by pattern.

use crate::compile::normal::Source;
use crate::compile::pattern::Pattern;
use crate::index::grams::GramCounts;
use crate::index::source::SourceIndex;
use crate::run::open::Open;
use crate::tables::{AnyTable, Posting, SourceTable, Unit};
use picket_model::ClassSet;
use std::collections::HashMap;

/// What the patterns of one source find.
#[derive(Default)]
pub(crate) struct Postings {
    ids: HashMap<Pattern, u32>,
    patterns: Vec<Pattern>,
    /// Pattern, unit, role, and the instruction that asks for the literal.
    list: Vec<(u32, u32, usize, u32)>,
    /// By role, and [`crate::tables::EVENT`]: each unit that is found.
    pub posted: [Vec<u32>; 5],
}

impl Postings {
    /// A pattern finds a unit in a role; `asks` is the instruction that asks for the
    /// literal it belongs to.
    pub(crate) fn add(&mut self, pattern: &Pattern, unit: u32, role: usize, asks: u32) {
        let next = self.patterns.len() as u32;
        let id = *self.ids.entry(pattern.clone()).or_insert(next);
        if id == next {
            self.patterns.push(pattern.clone());
        }
        self.list.push((id, unit, role, asks));
    }

    /// The table; `units` are all that there are.
    pub(crate) fn table(
        mut self,
        source: Source,
        counts: &GramCounts,
        units: &[Unit],
    ) -> SourceTable {
        self.list.sort_unstable();
        self.list.dedup();
        let posting = |&(pattern, id, role, asks): &(u32, u32, usize, u32)| {
            let open = Open::found(id, &units[id as usize]);
            (pattern, Posting::new(open, asks, role))
        };
        let list: Vec<(u32, Posting)> = self.list.iter().map(posting).collect();
        let (starts, postings) = by_key(self.patterns.len(), &list);
        SourceTable {
            source,
            index: SourceIndex::new(&self.patterns, counts),
            proofs: self.patterns.iter().map(Pattern::is_proof).collect(),
            starts,
            postings,
            posted: self.posted.map(unique),
        }
    }
}

/// What bodies find, from pairs of a body and a unit.
pub(crate) fn any_table(mut pairs: Vec<(u32, u32)>, used_in: ClassSet) -> AnyTable {
    pairs.sort_unstable();
    pairs.dedup();
    AnyTable {
        used_in,
        posted: unique(pairs.iter().map(|(_, unit)| *unit).collect()),
        found: pairs.into(),
    }
}

/// Sorted pairs as the places where each key's values begin, and the values.
fn by_key<T: Copy>(keys: usize, pairs: &[(u32, T)]) -> (Box<[u32]>, Box<[T]>) {
    let mut starts = vec![0u32; keys + 1];
    for (key, _) in pairs {
        starts[*key as usize + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    (
        starts.into(),
        pairs.iter().map(|(_, value)| *value).collect(),
    )
}

/// Each number once, in order.
pub(crate) fn unique(mut list: Vec<u32>) -> Box<[u32]> {
    list.sort_unstable();
    list.dedup();
    list.into()
}
