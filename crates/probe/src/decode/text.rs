//! The texts of a record's tail.

use crate::wire;
use picket_model::Datum;

/// What is wrong with a tail.
pub(super) enum Bad {
    /// It ends before its last text does.
    Short,
    /// A text's mark is none of `enum picket_known`.
    Known,
}

/// A record's texts, still bytes.
pub(super) struct Texts<'a, const N: usize>([Datum<&'a [u8]>; N]);

impl<'a, const N: usize> Texts<'a, N> {
    pub(super) fn split(marks: &[wire::Text; N], tail: &'a [u8]) -> Result<Self, Bad> {
        let mut texts = [const { Datum::Absent }; N];
        let mut rest = tail;
        for (text, mark) in texts.iter_mut().zip(marks) {
            let (bytes, after) = rest
                .split_at_checked(usize::from(mark.len))
                .ok_or(Bad::Short)?;
            *text = known_of(mark.known).ok_or(Bad::Known)?.map(|()| bytes);
            rest = after;
        }
        Ok(Texts(texts))
    }

    /// The text of that enumerator; absent if there is none.
    pub(super) fn get(&self, which: u32) -> Datum<&'a [u8]> {
        self.0.get(which as usize).copied().unwrap_or_default()
    }
}

/// `enum picket_known` as a [`Datum`] without its value.
pub(super) fn known_of(known: u8) -> Option<Datum<()>> {
    match u32::from(known) {
        wire::ABSENT => Some(Datum::Absent),
        wire::UNKNOWN => Some(Datum::Unknown),
        wire::TRUNCATED => Some(Datum::Truncated(())),
        wire::KNOWN => Some(Datum::Known(())),
        _ => None,
    }
}

/// Bytes as text; what is not UTF-8 becomes U+FFFD, as rules speak of text.
pub(super) fn string(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

/// The arguments in `bytes`, each of which ends in a NUL. A process may have
/// written its title over them; then the filling at the end is not an argument.
pub(super) fn split_args(bytes: &[u8], rewritten: bool) -> Box<[Box<str>]> {
    let mut bytes = bytes;
    if rewritten {
        let filling = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        bytes = &bytes[..bytes.len() - filling];
    } else if let Some((0, before)) = bytes.split_last() {
        bytes = before;
    } else if bytes.is_empty() {
        return Box::default();
    }
    if rewritten && bytes.is_empty() {
        return Box::default();
    }
    bytes.split(|byte| *byte == 0).map(string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(bytes: &[u8], rewritten: bool) -> Vec<String> {
        split_args(bytes, rewritten)
            .iter()
            .map(|arg| arg.to_string())
            .collect()
    }

    #[test]
    fn arguments_end_in_nul_and_may_be_empty() {
        assert_eq!(args(b"sh\0-c\0id\0", false), ["sh", "-c", "id"]);
        assert_eq!(args(b"sh\0\0\0", false), ["sh", "", ""]);
        assert_eq!(args(b"\0", false), [""]);
        assert!(args(b"", false).is_empty());
    }

    #[test]
    fn a_truncated_argument_is_kept_as_its_beginning() {
        assert_eq!(args(b"cat\0/etc/pas", false), ["cat", "/etc/pas"]);
    }

    #[test]
    fn a_title_written_over_the_arguments_loses_its_filling() {
        assert_eq!(
            args(b"nginx: worker process\0\0\0\0\0", true),
            ["nginx: worker process"]
        );
        assert_eq!(args(b"bash\0-i\0", true), ["bash", "-i"]);
        assert!(args(b"\0\0", true).is_empty());
    }

    #[test]
    fn what_is_not_utf8_is_marked() {
        assert_eq!(&*string(b"a\xffb"), "a\u{fffd}b");
    }
}
