//! Which 3-byte windows a text has: most searches in it need not be made.
//!
//! Many rules search the same command line, each for something else that is not
//! there. One pass sets a bit for each window of the text; a literal one of whose
//! windows has no bit is not in it. On a long command line stuffed with what rules
//! look for, this is what keeps the candidates from searching all of it again.

use crate::compile::pattern::filter_form;
use crate::index::source::FilterForm;

/// Length of a window in bytes.
const WINDOW: usize = 3;
/// How many windows of a literal are looked at.
const LOOKED_AT: usize = 3;
/// A text has its windows read when it is asked for so many times: before that,
/// searching is quicker.
const ASKED: u32 = 3;
/// A long text at once, in bytes.
const LONG: usize = 1024;
/// Texts whose windows are kept until the event is done.
const KEPT: usize = 4;

/// The rarest windows of a literal, by hash; none of one that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows(Option<[u32; LOOKED_AT]>);

impl Windows {
    pub(crate) const SIZE: usize = 4 * LOOKED_AT;

    /// Of a literal, in whatever case.
    pub(crate) fn of(literal: &str) -> Windows {
        Windows::of_form(&filter_form(literal))
    }

    /// Of a literal in filter form.
    pub(crate) fn of_form(form: &[u8]) -> Windows {
        let mut hashes: Vec<(u32, u32)> = form
            .windows(WINDOW)
            .map(|window| {
                let common = window.iter().map(|&byte| crate::search::rank(byte)).sum();
                (common, hash(window[0], window[1], window[2]))
            })
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        Windows(hashes.last().map(|last| {
            let mut rarest = [last.1; LOOKED_AT];
            for (place, (_, hash)) in rarest.iter_mut().zip(&hashes) {
                *place = *hash;
            }
            rarest
        }))
    }

    /// As bytes; [`Windows::from_bytes`] takes them back.
    pub(crate) fn to_bytes(self) -> [u8; Windows::SIZE] {
        let mut bytes = [0; Windows::SIZE];
        for (place, hash) in bytes.chunks_exact_mut(4).zip(self.0.unwrap_or_default()) {
            place.copy_from_slice(&hash.to_le_bytes());
        }
        bytes
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; Windows::SIZE]) -> Windows {
        let mut hashes = [0; LOOKED_AT];
        for (hash, place) in hashes.iter_mut().zip(bytes.chunks_exact(4)) {
            *hash = u32::from_le_bytes([place[0], place[1], place[2], place[3]]);
        }
        // No window has the hash 0.
        Windows((hashes[0] != 0).then_some(hashes))
    }
}

/// A window's hash; never 0.
#[inline]
fn hash(first: u8, second: u8, third: u8) -> u32 {
    let window = u32::from(first) | u32::from(second) << 8 | u32::from(third) << 16;
    hash_window(window)
}

/// The same of the low three bytes.
#[inline]
fn hash_window(window: u32) -> u32 {
    // Without case, and with a bit above the three bytes.
    ((window & 0x00FF_FFFF) | 0x0120_2020).wrapping_mul(0x9E37_79B1)
}

/// The windows of an event's texts.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    used: usize,
    texts: Vec<Seen>,
    filter: FilterForm,
}

/// One text.
#[derive(Debug, Default)]
struct Seen {
    /// Its address and length: it stays where it is until the event is done.
    key: (usize, usize),
    asked: u32,
    /// So many high bits of a hash say where its bit stands; 0 if the windows have
    /// not been read.
    bits: u32,
    present: Vec<u64>,
}

impl Presence {
    /// Another event follows: its texts may stand where the last one's stood.
    pub(crate) fn forget(&mut self) {
        self.used = 0;
    }

    /// False only if the text does not hold the literal with these windows, however
    /// case is taken.
    #[inline]
    pub(crate) fn may_hold(&mut self, text: &str, literal: Windows) -> bool {
        let Windows(Some(hashes)) = literal else {
            return true;
        };
        let key = (text.as_ptr() as usize, text.len());
        let known = self.texts[..self.used]
            .iter()
            .position(|seen| seen.key == key);
        let at = known.unwrap_or_else(|| self.insert(key));
        let seen = &mut self.texts[at];
        if seen.bits == 0 {
            if !seen.is_worth_reading() {
                return true;
            }
            seen.read(if text.is_ascii() {
                text.as_bytes()
            } else {
                self.filter.of(text)
            });
        }
        seen.has_all(hashes)
    }

    fn insert(&mut self, key: (usize, usize)) -> usize {
        let at = self.used % KEPT;
        if self.texts.len() <= at {
            self.texts.push(Seen::default());
        }
        self.used = (at + 1).max(self.used).min(KEPT);
        let seen = &mut self.texts[at];
        seen.key = key;
        seen.asked = 0;
        seen.bits = 0;
        at
    }
}

impl Seen {
    fn is_worth_reading(&mut self) -> bool {
        self.asked += 1;
        self.asked >= ASKED || self.key.1 >= LONG
    }

    #[inline]
    fn has_all(&self, hashes: [u32; LOOKED_AT]) -> bool {
        hashes.iter().all(|&hash| self.has(hash))
    }

    /// Reads a text; all bits that are not set by it are clear.
    fn read(&mut self, text: &[u8]) {
        // About one bit in sixteen is set, so three are set by chance hardly ever.
        let bits = (text.len() * 16).next_power_of_two().trailing_zeros();
        self.bits = bits.clamp(12, 18);
        self.present.clear();
        self.present.resize((1 << self.bits) / 64, 0);
        let mut rest = text;
        while let Some(chunk) = rest.first_chunk::<8>() {
            let bytes = u64::from_le_bytes(*chunk);
            for offset in 0..6 {
                self.set(hash_window((bytes >> (8 * offset)) as u32));
            }
            rest = &rest[6..];
        }
        for window in rest.windows(WINDOW) {
            self.set(hash(window[0], window[1], window[2]));
        }
    }

    #[inline]
    fn set(&mut self, hash: u32) {
        let bit = hash >> (32 - self.bits);
        if let Some(word) = self.present.get_mut((bit / 64) as usize) {
            *word |= 1 << (bit % 64);
        }
    }

    #[inline]
    fn has(&self, hash: u32) -> bool {
        let bit = hash >> (32 - self.bits);
        let word = self.present.get((bit / 64) as usize);
        word.is_none_or(|word| word >> (bit % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks often enough for the windows to be read.
    fn may_hold(presence: &mut Presence, text: &str, literal: &str) -> bool {
        let windows = Windows::of(literal);
        assert_eq!(Windows::from_bytes(&windows.to_bytes()), windows);
        (0..=ASKED).all(|_| presence.may_hold(text, windows))
    }

    #[test]
    fn what_is_there_is_never_denied() {
        let mut presence = Presence::default();
        for count in [1, 3, 20, 400] {
            let text: String = (0..count)
                .map(|n| format!("Needle-{n} ß\u{212A}É"))
                .collect();
            for start in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
                for end in
                    (start..text.len().min(start + 12)).filter(|at| text.is_char_boundary(*at))
                {
                    let literal = &text[start..end];
                    assert!(may_hold(&mut presence, &text, literal), "{literal}");
                    assert!(may_hold(&mut presence, &text, &literal.to_lowercase()));
                }
            }
            assert!(!may_hold(&mut presence, &text, "haystack"));
            presence.forget();
        }
    }

    #[test]
    fn another_event_has_other_texts() {
        let mut presence = Presence::default();
        let mut text = String::from("needle needle needle");
        assert!(!may_hold(&mut presence, &text, "haystack"));
        text.replace_range(..8, "haystack");
        presence.forget();
        assert!(may_hold(&mut presence, &text, "haystack"));
    }

    #[test]
    fn more_texts_than_are_kept_are_read_again() {
        let texts: Vec<String> = (0..10).map(|number| format!("text-{number}")).collect();
        let mut presence = Presence::default();
        for text in texts.iter().chain(&texts) {
            assert!(may_hold(&mut presence, text, text));
            assert!(!may_hold(&mut presence, text, "haystack"));
        }
    }
}
