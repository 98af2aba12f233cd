//! Globs: only their form is checked; the engine gives them meaning.

use std::ops::Range;

/// What is wrong with a glob, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Flaw {
    pub(super) detail: &'static str,
    pub(super) span: Range<usize>,
}

/// Checks sets and escapes.
pub(super) fn check(glob: &str) -> Result<(), Flaw> {
    let mut chars = glob.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if chars.next().is_none() => {
                return Err(Flaw {
                    detail: "a `\\` at the end has no character to take literally",
                    span: at..at + 1,
                });
            }
            '[' => set(at, &mut chars)?,
            _ => {}
        }
    }
    Ok(())
}

/// The rest of a set: `]` first in it, or after `!`, is a member.
fn set(open: usize, chars: &mut std::str::CharIndices<'_>) -> Result<(), Flaw> {
    let unclosed = Flaw {
        detail: "this set is never closed by `]`",
        span: open..open + 1,
    };
    let mut members = 0;
    let mut previous: Option<char> = None;
    let mut negatable = true;
    loop {
        let Some((at, c)) = chars.next() else {
            return Err(unclosed);
        };
        if c == '!' && negatable {
            negatable = false;
            continue;
        }
        negatable = false;
        match c {
            ']' if members > 0 => return Ok(()),
            '\\' => {
                let Some((_, c)) = chars.next() else {
                    return Err(unclosed);
                };
                previous = Some(c);
                members += 1;
            }
            '-' if previous.is_some() => {
                let mut ahead = chars.clone();
                match ahead.next() {
                    // `-` last in the set is itself.
                    Some((_, ']')) | None => {
                        previous = None;
                    }
                    Some((_, next)) => {
                        let last = if next == '\\' {
                            ahead.next().map(|(_, c)| c)
                        } else {
                            Some(next)
                        };
                        *chars = ahead;
                        let Some(last) = last else {
                            return Err(unclosed);
                        };
                        if previous.is_some_and(|first| first > last) {
                            let span = at..at + 1;
                            return Err(Flaw {
                                detail: "this range ends before it begins",
                                span,
                            });
                        }
                        previous = None;
                    }
                }
                members += 1;
            }
            c => {
                previous = Some(c);
                members += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_escapes() {
        for good in [
            "*", "[abc]", "[a-z]", "[!a]", "[]a]", "[!]a]", "[a-]", r"\[", r"[\]]", "a]", "[-a]",
            "[a-c-e]", r"[a-\z]",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, at) in [
            ("x[", 1),
            ("[a", 0),
            ("[]", 0),
            ("[!]", 0),
            ("a\\", 1),
            ("[z-a]", 2),
            ("[a\\", 0),
        ] {
            assert_eq!(check(bad).map_err(|flaw| flaw.span.start), Err(at), "{bad}");
        }
    }
}
