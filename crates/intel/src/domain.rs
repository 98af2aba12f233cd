//! Domain names in the one form in which they are kept and compared.

use crate::indicator::Fault;

/// The longest name in bytes, without the dot at its end.
pub(crate) const LONGEST: usize = 253;

/// A name in lower case, in IDNA's ASCII form, without a dot at its end, of at
/// least two labels: a feed that lists `com` would list half of the internet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// Normalises `text`; a leading `*.` is dropped, since subdomains always count.
    ///
    /// # Errors
    /// [`Fault::Domain`] if it is no host name, [`Fault::Wide`] if it has one label.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let text = text.strip_prefix("*.").unwrap_or(text);
        let name = ascii(text).ok_or(Fault::Domain)?;
        if !name.contains('.') {
            return Err(Fault::Wide);
        }
        // A last label of digits makes it a (mistyped) IPv4 address.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) || !name.split('.').all(is_label) {
            return Err(Fault::Domain);
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower case, IDNA's ASCII form, no dot at the end; `None` if there is none or it is too long.
pub(crate) fn ascii(text: &str) -> Option<String> {
    // Four bytes of UTF-8 a character at most: more cannot become short enough.
    if text.len() > 4 * LONGEST {
        return None;
    }
    let name = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(text).ok()?
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    (!name.is_empty() && name.len() <= LONGEST).then(|| name.to_owned())
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-')
}
