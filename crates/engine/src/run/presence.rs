//! Which 4-byte windows a long text has: most searches in it need not be made.
//!
//! A long command line stuffed with what rules look for makes many candidates,
//! and each searches the text for more. One pass sets a bit for each window of
//! the text; a literal one of whose windows has no bit is not there.

use crate::index::source::FilterForm;

/// Only longer texts are worth the pass, in bytes.
pub(crate) const LONG: usize = 1024;

const BITS: u32 = 17;
const WORDS: usize = 1 << (BITS - 6);

/// The windows of one long text, in filter form.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// Address and length of the text, until the event is done.
    key: (usize, usize),
    windows: Vec<u64>,
    filter: FilterForm,
}

impl Presence {
    /// Another event follows: its texts may stand where the last one's stood.
    pub(crate) fn forget(&mut self) {
        self.key = (0, 0);
    }

    /// False only if the text does not hold the literal, however case is taken.
    pub(crate) fn may_hold(&mut self, text: &str, literal: &[u8]) -> bool {
        let key = (text.as_ptr() as usize, text.len());
        if self.key != key {
            self.key = key;
            self.read(text);
        }
        if !literal.is_ascii() {
            return true;
        }
        let windows = literal.len().saturating_sub(3);
        // The first, the last, and some between.
        (0..windows)
            .step_by((windows / 6).max(1))
            .chain(windows.checked_sub(1))
            .all(|at| {
                let mut window = [0; 4];
                window.copy_from_slice(&literal[at..at + 4]);
                window.make_ascii_lowercase();
                let (word, bit) = place(u32::from_le_bytes(window));
                self.windows[word] & bit != 0
            })
    }

    fn read(&mut self, text: &str) {
        self.windows.clear();
        self.windows.resize(WORDS, 0);
        for window in self.filter.of(text).windows(4) {
            let window = [window[0], window[1], window[2], window[3]];
            let (word, bit) = place(u32::from_le_bytes(window));
            self.windows[word] |= bit;
        }
    }
}

#[inline]
fn place(window: u32) -> (usize, u64) {
    let hash = window.wrapping_mul(0x9E37_79B1) >> (32 - BITS);
    ((hash / 64) as usize, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::pattern::filter_char;

    #[test]
    fn what_is_there_is_never_denied() {
        let text: String = (0..400).map(|n| format!("Needle-{n} ß")).collect();
        let mut presence = Presence::default();
        for literal in ["Needle-17", "needle-399", "edl", "", "-8 ß", "NEEDLE"] {
            assert!(presence.may_hold(&text, literal.as_bytes()), "{literal}");
        }
        assert!(!presence.may_hold(&text, b"haystack"));
        presence.forget();
        assert!(presence.may_hold(&text.replace("Needle", "haystack"), b"haystack"));
    }

    #[test]
    fn filter_form_leaves_lower_case_ascii() {
        for c in (0..0x80u8).map(char::from) {
            assert_eq!(filter_char(c), c.to_ascii_lowercase());
        }
    }
}
