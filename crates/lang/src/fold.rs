//! Case folding: the one definition of "without regard to case".

/// Lower-cases one character by its simple mapping: characters whose lower
/// case is several characters stay as they are, so that a text keeps its
/// number of characters.
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

/// Folds every character of a text.
pub fn fold_str(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_char_by_char() {
        assert_eq!(fold_str("PowerShell.EXE"), "powershell.exe");
        assert_eq!(fold_str("ÄΣ"), "äσ");
        // LATIN CAPITAL LETTER I WITH DOT ABOVE lower-cases to two characters.
        assert_eq!(fold_str("İ"), "İ");
    }
}
