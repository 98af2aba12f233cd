//! Text from outside, made safe for a terminal.

use std::fmt::{self, Write};

/// Longest text shown, in characters.
const MOST: usize = 1_000;

/// Prints a text with its control and direction characters spelled out, and
/// without what is past its thousandth character.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, char) in self.0.chars().enumerate() {
            if at == MOST {
                return write!(f, "… ({} more)", self.0.chars().count() - MOST);
            }
            match char {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                char if char.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(char))?,
                char if misleads(char) => write!(f, "\\u{{{:x}}}", u32::from(char))?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

/// Characters that act instead of being seen.
fn misleads(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Zero width, directions.
            | '\u{200b}'..='\u{200f}'
            // Line and paragraph separators, embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Word joiner, isolates, deprecated formatting.
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Tags.
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_spelled_out() {
        let hostile = "a\x1b[2J\n\r\t\x07\x7f\u{9b}31m\u{202e}\u{2066}\u{200b}b é 文 \\n";
        assert_eq!(
            Escaped(hostile).to_string(),
            r"a\x1b[2J\n\r\t\x07\x7f\u{9b}31m\u{202e}\u{2066}\u{200b}b é 文 \n"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "é".repeat(MOST + 5);
        let shown = Escaped(&long).to_string();
        assert!(shown.ends_with("é… (5 more)"), "{shown}");
        let whole = "é".repeat(MOST);
        assert_eq!(Escaped(&whole).to_string(), whole);
    }

    proptest! {
        #[test]
        fn nothing_that_acts_gets_through(text in any::<String>()) {
            let shown = Escaped(&text).to_string();
            prop_assert!(!shown.chars().any(|char| char.is_control()));
        }
    }
}
