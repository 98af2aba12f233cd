//! A literal in a text, searched for by its rarest byte: for texts of usual length
//! that is done before another search has been prepared.

/// After so many false starts another search is surely faster.
pub(crate) const TRIES: usize = 16;

/// Whether the text holds the literal, whose byte at `rare` is its rarest.
#[inline]
pub(crate) fn contains(text: &[u8], own: &[u8], rare: usize) -> bool {
    let Some((rare, byte)) = rare_byte(own, rare) else {
        return true;
    };
    if text.len() < own.len() {
        return false;
    }
    let last = text.len() - own.len();
    let mut from = 0;
    // In a long text there will be many.
    let tries = if text.len() > 512 { 2 } else { TRIES };
    for _ in 0..tries {
        // The rare byte of a match that begins at `from` or later.
        let area = &text[from + rare..=last + rare];
        match memchr::memchr(byte, area) {
            None => return false,
            Some(at) => {
                let start = from + at;
                if text[start..].starts_with(own) {
                    return true;
                }
                from = start + 1;
                if from > last {
                    return false;
                }
            }
        }
    }
    memchr::memmem::find(&text[from..], own).is_some()
}

/// The same if upper and lower case of ASCII letters are the same; none after so many
/// false starts.
#[inline]
pub(crate) fn contains_any_case(
    text: &[u8],
    own: &[u8],
    rare: usize,
    tries: usize,
) -> Option<bool> {
    let Some((rare, byte)) = rare_byte(own, rare) else {
        return Some(true);
    };
    if text.len() < own.len() {
        return Some(false);
    }
    let area = &text[rare..=text.len() - own.len() + rare];
    let begins = |start: usize| begins_with_any_case(&text[start..], own);
    let (lower, upper) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
    if lower == upper {
        first_of(memchr::memchr_iter(byte, area), tries, begins)
    } else {
        first_of(memchr::memchr2_iter(lower, upper, area), tries, begins)
    }
}

/// Whether one of the first places is a good one; none if there are more.
#[inline]
fn first_of(
    mut places: impl Iterator<Item = usize>,
    tries: usize,
    is_good: impl Fn(usize) -> bool,
) -> Option<bool> {
    for _ in 0..tries {
        match places.next() {
            None => return Some(false),
            Some(start) if is_good(start) => return Some(true),
            Some(_) => {}
        }
    }
    None
}

/// A byte of the literal and its place: the given one, if the literal is that long.
#[inline]
fn rare_byte(own: &[u8], rare: usize) -> Option<(usize, u8)> {
    let rare = rare.min(own.len().checked_sub(1)?);
    Some((rare, own[rare]))
}

/// Whether a text begins with another, if upper and lower case are the same.
#[inline]
pub(crate) fn begins_with_any_case(text: &[u8], own: &[u8]) -> bool {
    text.get(..own.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(own))
}

/// How common a byte is in paths and command lines, roughly.
pub(crate) fn rank(byte: u8) -> u32 {
    match byte {
        b'e' | b'/' | b's' | b't' | b'-' | b'a' | b'i' | b'r' | b'o' | b'n' => 9,
        b' ' | b'c' | b'l' | b'd' | b'p' | b'u' | b'm' | b'b' => 7,
        b'.' | b'h' | b'g' | b'f' | b'v' | b'=' | b'1' | b'0' | b'_' => 5,
        b'2'..=b'9' | b'w' | b'y' | b'x' | b'k' | b':' | b',' => 3,
        b'A'..=b'Z' => 2,
        _ => 1,
    }
}

/// The place of the byte that is rarest.
pub(crate) fn rarest(own: &[u8]) -> usize {
    own.iter()
        .enumerate()
        .min_by_key(|(_, byte)| rank(**byte))
        .map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"aaaaaaaaaaaaaaaaaaaaaaaaaaab/usr/bin/zsh -c aaaab";

    #[test]
    fn a_literal_is_found_where_it_stands() {
        for own in ["aab", "zsh", "/usr", "aaaab", "a", "-c", ""] {
            let (own, upper) = (own.as_bytes(), own.to_uppercase());
            assert!(contains(TEXT, own, rarest(own)), "{upper}");
            let upper = upper.as_bytes();
            let found = contains_any_case(TEXT, upper, rarest(upper), TRIES);
            assert_ne!(found, Some(false));
        }
        for own in ["aabb", "zshh", "/usr/c", "baaaa/", "q"] {
            let own = own.as_bytes();
            assert!(!contains(TEXT, own, rarest(own)));
            assert_ne!(contains_any_case(TEXT, own, rarest(own), TRIES), Some(true));
        }
        assert!(!contains(b"ab", b"abc", 2));
        assert!(contains(b"abc", b"abc", 2));
        assert!(!contains(b"ABC", b"abc", 0));
        assert!(!contains(b"abc", b"x", 7));
        assert_eq!(contains_any_case(b"ab", b"abc", 2, TRIES), Some(false));
        assert_eq!(contains_any_case(b"aBC", b"abc", 2, TRIES), Some(true));
        assert_eq!(contains_any_case(b"a-c", b"-", 0, TRIES), Some(true));
    }

    #[test]
    fn many_false_starts_are_given_up() {
        let text = [b'a'; 4096];
        assert_eq!(contains_any_case(&text, b"ba", 1, TRIES), None);
        assert!(!contains(&text, b"ba", 1));
    }
}
