//! Remembers, for faces that come again, which rules they leave possible.
//!
//! A process's *face* is its name, path and command line. Hosts run the same
//! commands again and again, each time in a new process; the rules that a face
//! leaves possible depend on nothing else, so they are found once.

use crate::index::hash::{hash_bytes, mix};
use crate::run::open::Open;
use crate::run::ring::Ring;
use picket_model::Datum;
use picket_model::field::ProcessAttr;
use picket_model::process::Image;

/// What a face is made of.
pub(crate) const ATTRIBUTES: [ProcessAttr; 3] = [
    ProcessAttr::Name,
    ProcessAttr::ExePath,
    ProcessAttr::CmdLine,
];

/// Faces longer than this are looked at anew every time, in bytes.
const LONGEST: usize = 1024;
/// Lists of more units than this are not kept.
const MOST_UNITS: usize = 1024;
/// How many faces are kept.
const SLOTS: usize = 8192;
/// In how many places a face may be.
const WAYS: usize = 4;
/// Bytes of text that are kept.
const TEXT: usize = 1 << 20;
/// Units that are kept.
const UNITS: usize = 1 << 16;

/// Name, path and command line of an image; none of them is unknown or cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Face<'i> {
    texts: [&'i str; ATTRIBUTES.len()],
    /// Of all of them together.
    length: usize,
    /// A bit for each text that is there; the others are empty.
    present: u8,
}

impl<'i> Face<'i> {
    /// The image's; none if some of it is not known, or if it is too long.
    #[inline]
    pub(crate) fn of(image: &'i Image) -> Option<Face<'i>> {
        Face::new([&image.name, &image.path, &image.cmd_line])
    }

    #[inline]
    fn new(data: [&'i Datum<Box<str>>; ATTRIBUTES.len()]) -> Option<Face<'i>> {
        let [name, path, line] = data;
        let (name, path, line) = (seen(name)?, seen(path)?, seen(line)?);
        let texts = [name, path, line].map(Option::unwrap_or_default);
        let length = texts.iter().map(|text| text.len()).sum();
        let face = Face {
            texts,
            length,
            present: u8::from(name.is_some())
                | u8::from(path.is_some()) << 1
                | u8::from(line.is_some()) << 2,
        };
        (length <= LONGEST).then_some(face)
    }

    /// The lengths of its texts, which are there, and the role.
    #[inline]
    fn shape(self, role: usize) -> u64 {
        const _: () = assert!(LONGEST < 1 << 16);
        let [name, path, line] = self.texts.map(|text| text.len() as u64);
        // The first bit tells it from an empty slot's.
        let present = 1 << 15 | (role as u64) << 8 | u64::from(self.present);
        present << 48 | name << 32 | path << 16 | line
    }

    #[inline]
    fn hash(self, role: usize) -> u64 {
        let [name, path, line] = self.texts.map(|text| hash_bytes(text.as_bytes(), 0));
        mix(line ^ mix(path ^ mix(name ^ role as u64)))
    }

    #[inline]
    fn equals(self, kept: &[u8]) -> bool {
        let mut rest = kept;
        self.texts.iter().all(|text| {
            rest.split_at_checked(text.len())
                .is_some_and(|(own, after)| {
                    rest = after;
                    own == text.as_bytes()
                })
        })
    }
}

/// A text, if it is there, as far as that can be told.
#[inline]
fn seen(datum: &Datum<Box<str>>) -> Option<Option<&str>> {
    match datum {
        Datum::Known(text) => Some(Some(text)),
        Datum::Absent => Some(None),
        Datum::Unknown | Datum::Truncated(_) => None,
    }
}

/// A face in a role, with its place among those that are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'i> {
    face: Face<'i>,
    shape: u64,
    hash: u64,
}

/// A bounded map from faces to the units they leave possible. Texts and units
/// stand in rings: what has not been asked for longest is forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Faces {
    slots: Vec<Slot>,
    texts: Ring<u8>,
    units: Ring<Open>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// A part of the hash.
    tag: u32,
    /// How many units.
    count: u32,
    shape: u64,
    /// Where they stand in the rings.
    text: u64,
    units: u64,
}

impl Faces {
    pub(crate) fn clear(&mut self) {
        self.slots.fill(Slot::default());
        self.texts.clear();
        self.units.clear();
    }

    #[inline]
    pub(crate) fn key<'i>(face: Face<'i>, role: usize) -> Key<'i> {
        Key {
            face,
            shape: face.shape(role),
            hash: face.hash(role),
        }
    }

    /// The units of a face that is kept.
    #[inline]
    pub(crate) fn find(&mut self, key: Key<'_>) -> Option<&[Open]> {
        let at = places(key.hash).find(|&at| {
            self.slots
                .get(at)
                .is_some_and(|slot| slot.tag == tag(key.hash) && slot.shape == key.shape)
        })?;
        let slot = self.slots[at];
        let text = self.texts.get(slot.text, key.face.length)?;
        if !key.face.equals(text) {
            return None;
        }
        self.units.get(slot.units, slot.count as usize)?;
        if self.texts.is_in_older_half(slot.text) {
            return self.renew(at, key.face.length);
        }
        self.units.get(slot.units, slot.count as usize)
    }

    /// Makes one that is asked for again the last to be forgotten.
    #[inline(never)]
    fn renew(&mut self, at: usize, length: usize) -> Option<&[Open]> {
        let slot = &mut self.slots[at];
        slot.text = self.texts.push_again(slot.text, length);
        slot.units = self.units.push_again(slot.units, slot.count as usize);
        self.units.get(slot.units, slot.count as usize)
    }

    /// Keeps a face that was not found.
    pub(crate) fn insert(&mut self, key: Key<'_>, units: &[Open]) {
        if units.len() > MOST_UNITS {
            return;
        }
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
            self.texts = Ring::new(TEXT);
            self.units = Ring::new(UNITS);
        }
        // The place that has been filled longest.
        if let Some(at) = places(key.hash).min_by_key(|&at| self.slots[at].text) {
            let parts = key.face.texts.map(str::as_bytes);
            self.slots[at] = Slot {
                tag: tag(key.hash),
                count: units.len() as u32,
                shape: key.shape,
                text: self.texts.push(&parts),
                units: self.units.push(&[units]),
            };
        }
    }
}

/// Where a face of that hash may be.
#[inline]
fn places(hash: u64) -> impl Iterator<Item = usize> {
    let first = hash as usize % SLOTS;
    (0..WAYS).map(move |way| first ^ way)
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Unit;

    fn units(number: u32) -> Vec<Open> {
        let open = |n| Open::found(number + n, &Unit::default());
        (0..number % 5).map(open).collect()
    }

    fn datum(text: &str) -> Datum<Box<str>> {
        Datum::Known(text.into())
    }

    /// Calls `with` on the key of a face of these three.
    fn key<T>(data: &[Datum<Box<str>>; 3], role: usize, with: impl FnOnce(Key<'_>) -> T) -> T {
        let face = Face::new(data.each_ref()).expect("a face");
        with(Faces::key(face, role))
    }

    #[test]
    fn what_is_found_is_what_was_put_there() {
        let mut faces = Faces::default();
        let all: Vec<[Datum<Box<str>>; 3]> = (0..40_000u32)
            .map(|number| {
                let line = format!("tool {number} {}", "x".repeat(number as usize % 200));
                [datum("tool"), datum("/bin/tool"), datum(&line)]
            })
            .collect();
        let mut lost = 0;
        for (face, number) in all.iter().zip(0u32..) {
            let role = number as usize % 3;
            key(face, role, |key| match faces.find(key) {
                Some(kept) => assert_eq!(kept, units(number)),
                None => faces.insert(key, &units(number)),
            });
            assert!(key(face, role, |key| faces.find(key).is_some()));
            assert!(key(face, role + 1, |key| faces.find(key).is_none()));
            // One that is asked for again and again stays, but for a few accidents.
            key(&all[7], 1, |key| match faces.find(key) {
                Some(kept) => assert_eq!(kept, units(7)),
                None => {
                    lost += 1;
                    faces.insert(key, &units(7));
                }
            });
        }
        assert!(lost < 40, "{lost}");
        assert!(
            key(&all[0], 0, |key| faces.find(key).is_none()),
            "it is bounded"
        );
        let last = &all[39_999];
        let role = 39_999 % 3;
        let moved = [datum("tool/bin/"), datum("tool"), last[2].clone()];
        assert!(key(&moved, role, |key| faces.find(key).is_none()));
        faces.clear();
        assert!(key(last, role, |key| faces.find(key).is_none()));
    }

    #[test]
    fn what_is_absent_is_not_empty() {
        let mut faces = Faces::default();
        let absent = [datum("a"), datum("b"), Datum::Absent];
        let empty = [datum("a"), datum("b"), datum("")];
        key(&absent, 0, |key| faces.insert(key, &units(3)));
        assert!(key(&absent, 0, |key| faces.find(key).is_some()));
        assert!(key(&empty, 0, |key| faces.find(key).is_none()));
        for unclear in [Datum::Unknown, Datum::Truncated("".into())] {
            assert_eq!(Face::new([&absent[0], &absent[1], &unclear]), None);
        }
    }

    #[test]
    fn a_long_list_is_not_kept() {
        let mut faces = Faces::default();
        let face = [datum("a"), datum("b"), datum("c")];
        let many = vec![Open::default(); MOST_UNITS + 1];
        key(&face, 0, |key| faces.insert(key, &many));
        assert!(key(&face, 0, |key| faces.find(key).is_none()));
    }
}
