//! Rows of several projects as one list.

use crate::basics::Uuid;
use std::collections::BTreeMap;

/// Rows that each project gave up to the same number, in the order of their keys.
pub(super) struct Merged<K, R> {
    /// What is complete: up to the first key at which a project's rows ended early.
    pub rows: Vec<(K, R)>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// Merges what a query gave that reads up to `limit` rows of each project. The same key in
/// several projects is one row.
pub(super) fn merged<K: Ord + Clone, R>(
    rows: impl IntoIterator<Item = (Uuid, K, R)>,
    limit: usize,
    join: impl Fn(&mut R, R),
) -> Merged<K, R> {
    let mut ends: BTreeMap<Uuid, (usize, K)> = BTreeMap::new();
    let mut by_key: BTreeMap<K, R> = BTreeMap::new();
    for (project, key, row) in rows {
        let end = ends.entry(project).or_insert_with(|| (0, key.clone()));
        end.0 += 1;
        if key > end.1 {
            end.1 = key.clone();
        }
        match by_key.entry(key) {
            std::collections::btree_map::Entry::Occupied(mut known) => join(known.get_mut(), row),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(row);
            }
        }
    }
    let cut = ends.into_values().filter(|(rows, _)| *rows >= limit);
    let horizon = cut.map(|(_, key)| key).min();
    Merged {
        more: horizon.is_some(),
        rows: by_key
            .into_iter()
            .take_while(|(key, _)| horizon.as_ref().is_none_or(|end| key <= end))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_incomplete_is_left_for_the_next_page() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let rows = [(a, 1, 1), (a, 2, 1), (b, 2, 10), (b, 9, 10)];
        let joined = |limit| {
            let merged = merged(rows, limit, |known, row| *known += row);
            (merged.rows, merged.more)
        };
        assert_eq!(joined(2), (vec![(1, 1), (2, 11)], true));
        assert_eq!(joined(3), (vec![(1, 1), (2, 11), (9, 10)], false));
    }
}
