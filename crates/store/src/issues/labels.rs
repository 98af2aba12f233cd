//! Labels of issues: a text between commas, so that one is found by a plain comparison.

use crate::error::{Result, StoreError};
use crate::limits::{self, MAX_ISSUE_LABELS, MAX_LABEL};

/// As they are stored: in order, each once, `,a,b,`; empty for none.
pub(super) fn joined(labels: &[String]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    format!(",{},", labels.join(","))
}

pub(super) fn split(stored: &str) -> Vec<String> {
    let labels = stored.split(',').filter(|label| !label.is_empty());
    labels.map(str::to_owned).collect()
}

/// Puts them in order; an error if one of them cannot be a label.
pub(super) fn checked(mut labels: Vec<String>) -> Result<Vec<String>> {
    labels.sort_unstable();
    labels.dedup();
    limits::count("labels", labels.len(), MAX_ISSUE_LABELS)?;
    labels.iter().try_for_each(|label| check(label))?;
    Ok(labels)
}

/// An error if an issue could not have all of these.
pub fn check_all(labels: &[String]) -> Result<()> {
    checked(labels.to_vec()).map(drop)
}

/// Neither a comma nor what stands for something else in LIKE.
pub(super) fn check(label: &str) -> Result<()> {
    let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:/".contains(c);
    if !label.is_empty() && label.len() <= MAX_LABEL && label.chars().all(right) {
        return Ok(());
    }
    Err(StoreError::Invalid {
        field: "labels",
        why: format!(
            "{label:?}: a label is 1 to {MAX_LABEL} of the characters a-z, 0-9, `-`, `.`, `:` and `/`"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_were_stored() {
        let labels = ["team:web", "a", "a"].map(str::to_owned).to_vec();
        let labels = checked(labels).unwrap();
        assert_eq!(joined(&labels), ",a,team:web,");
        assert_eq!(split(&joined(&labels)), labels);
        assert_eq!(split(&joined(&[])), [""; 0]);
        for bad in ["", "A", "a,b", "100%", "a_b", &"x".repeat(65)] {
            assert!(checked(vec![bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(checked((0..21).map(|n| n.to_string()).collect()).is_err());
    }
}
