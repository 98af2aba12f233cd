//! Case folding: char by char, by simple lower-casing.

/// The folded char: its lower case if that is a single char, else itself.
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

/// The folded text. Patterns of case-insensitive tests are stored like this.
pub fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

/// Remembers the folded form of the texts of one event, so that several
/// predicates on a field fold it once. Buffers are kept from event to event.
#[derive(Debug, Default)]
pub struct Folder {
    used: usize,
    entries: Vec<Folded>,
}

#[derive(Debug, Default)]
struct Folded {
    /// Address and length of the text: it stays where it is while its event is
    /// evaluated, and [`Folder::forget`] is called before the next one.
    key: (usize, usize),
    is_ascii: bool,
    /// Folding changes nothing: there is no other form.
    is_folded: bool,
    text: String,
}

impl Folder {
    /// Must be called before texts of another event are folded.
    pub fn forget(&mut self) {
        self.used = 0;
    }

    /// The folded text; the text itself if folding changes nothing that is ASCII.
    pub fn fold<'a>(&'a mut self, text: &'a str) -> &'a str {
        self.entry(text).folded(text)
    }

    /// The folded text, if all of it is ASCII.
    #[inline]
    pub(crate) fn fold_ascii<'a>(&'a mut self, text: &'a str) -> Option<&'a str> {
        let entry = self.entry(text);
        entry.is_ascii.then(|| entry.folded(text))
    }

    #[inline]
    fn entry(&mut self, text: &str) -> &Folded {
        let key = (text.as_ptr() as usize, text.len());
        let known = self.entries[..self.used]
            .iter()
            .position(|entry| entry.key == key);
        let at = known.unwrap_or_else(|| self.insert(key, text));
        &self.entries[at]
    }

    fn insert(&mut self, key: (usize, usize), text: &str) -> usize {
        const KEPT: usize = 8;
        let at = self.used % KEPT;
        if self.entries.len() <= at {
            self.entries.push(Folded::default());
        }
        self.used = (at + 1).max(self.used).min(KEPT);
        let entry = &mut self.entries[at];
        entry.key = key;
        entry.text.clear();
        entry.is_ascii = text.is_ascii();
        // Every byte is looked at, so that many are at a time.
        entry.is_folded = entry.is_ascii
            && text
                .bytes()
                .fold(true, |folded, byte| folded & !byte.is_ascii_uppercase());
        if entry.is_folded {
            return at;
        }
        if entry.is_ascii {
            entry.text.push_str(text);
            entry.text.make_ascii_lowercase();
        } else {
            entry.text.extend(text.chars().map(fold_char));
        }
        at
    }
}

impl Folded {
    #[inline]
    fn folded<'a>(&'a self, text: &'a str) -> &'a str {
        if self.is_folded { text } else { &self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chars_with_a_longer_lower_case_stay() {
        assert_eq!(fold("ÀßİΣK"), "àßİσk");
    }

    #[test]
    fn a_folder_gives_what_fold_gives() {
        let mut folder = Folder::default();
        for text in ["", "abc", "ABC", "Straße", "ÄÖ", "K\u{212A}"] {
            assert_eq!(folder.fold(text), fold(text));
            assert_eq!(folder.fold(text), fold(text));
            let ascii = text.is_ascii().then(|| fold(text));
            assert_eq!(folder.fold_ascii(text), ascii.as_deref());
        }
    }

    #[test]
    fn more_texts_than_a_folder_keeps_are_folded_all_the_same() {
        let texts: Vec<String> = (0..30).map(|number| format!("Text {number}")).collect();
        let mut folder = Folder::default();
        for text in texts.iter().chain(&texts) {
            assert_eq!(folder.fold(text), fold(text));
        }
    }
}
