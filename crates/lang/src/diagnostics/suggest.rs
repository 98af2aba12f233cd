//! "Did you mean …": the known name nearest to a wrong one.

/// The candidate nearest to `wrong`, if it is near enough to be meant.
pub(crate) fn nearest<'c, I>(wrong: &str, candidates: I) -> Option<&'c str>
where
    I: IntoIterator<Item = &'c str>,
{
    // Distances cost length times length, and no name is this long.
    if wrong.len() > 100 {
        return None;
    }
    let allowed = (wrong.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 100)
        .map(|candidate| {
            let distance = if candidate.eq_ignore_ascii_case(wrong) {
                0
            } else {
                strsim::damerau_levenshtein(wrong, candidate)
            };
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_only() {
        let names = ["process.name", "process.path", "high"];
        assert_eq!(nearest("proces.name", names), Some("process.name"));
        assert_eq!(nearest("HIGH", names), Some("high"));
        assert_eq!(nearest("zebra", names), None);
        assert_eq!(nearest("", names), None);
    }
}
