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
/// Bytes of text that are kept.
const TEXT: usize = 1 << 20;
/// Units that are kept.
const UNITS: usize = 1 << 16;

/// Name, path and command line of an image, all of them whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Face<'i>([&'i str; ATTRIBUTES.len()]);

impl<'i> Face<'i> {
    /// The image's; none if some of it is not known, or if it is too long.
    #[inline]
    pub(crate) fn of(image: &'i Image) -> Option<Face<'i>> {
        let (Datum::Known(name), Datum::Known(path), Datum::Known(line)) =
            (&image.name, &image.path, &image.cmd_line)
        else {
            return None;
        };
        (name.len() + path.len() + line.len() <= LONGEST).then_some(Face([name, path, line]))
    }

    /// The lengths of its texts, and the role.
    #[inline]
    fn shape(self, role: usize) -> u64 {
        const _: () = assert!(LONGEST < 1 << 16);
        let [name, path, line] = self.0.map(|text| text.len() as u64);
        // The first bit tells it from an empty slot's.
        1 << 63 | (role as u64) << 48 | name << 32 | path << 16 | line
    }

    #[inline]
    fn hash(self, role: usize) -> u64 {
        let [name, path, line] = self.0.map(|text| hash_bytes(text.as_bytes(), 0));
        mix(line ^ mix(path ^ mix(name ^ role as u64)))
    }

    #[inline]
    fn equals(self, kept: &[u8]) -> bool {
        let mut rest = kept;
        self.0.iter().all(|text| {
            rest.split_at_checked(text.len())
                .is_some_and(|(own, after)| {
                    rest = after;
                    own == text.as_bytes()
                })
        })
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
/// stand in rings: what came first is forgotten first.
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
    pub(crate) fn find(&self, key: Key<'_>) -> Option<&[Open]> {
        let first = key.hash as usize % SLOTS;
        [first, first ^ 1].into_iter().find_map(|at| {
            let slot = self.slots.get(at)?;
            if slot.tag != tag(key.hash) || slot.shape != key.shape {
                return None;
            }
            let length = key.face.0.iter().map(|text| text.len()).sum();
            let text = self.texts.get(slot.text, length)?;
            if !key.face.equals(text) {
                return None;
            }
            self.units.get(slot.units, slot.count as usize)
        })
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
        let first = key.hash as usize % SLOTS;
        // Of the two places the one that has been filled longer.
        let at = if self.slots[first].text <= self.slots[first ^ 1].text {
            first
        } else {
            first ^ 1
        };
        let parts = key.face.0.map(str::as_bytes);
        self.slots[at] = Slot {
            tag: tag(key.hash),
            count: units.len() as u32,
            shape: key.shape,
            text: self.texts.push(&parts),
            units: self.units.push(&[units]),
        };
    }
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

    #[test]
    fn what_is_found_is_what_was_put_there() {
        let mut faces = Faces::default();
        let lines: Vec<String> = (0..40_000u32)
            .map(|number| format!("tool {number} {}", "x".repeat(number as usize % 200)))
            .collect();
        let mut found = 0;
        for round in 0..2 {
            for (line, number) in lines.iter().zip(0u32..) {
                let role = number as usize % 3;
                let key = Faces::key(Face(["tool", "/bin/tool", line]), role);
                match faces.find(key) {
                    Some(kept) => {
                        assert_eq!(kept, units(number));
                        found += 1;
                    }
                    None => faces.insert(key, &units(number)),
                }
                // The last ones are there, whatever else is not.
                assert!(round > 0 || faces.find(key).is_some());
                let other = Faces::key(Face(["tool", "/bin/tool", line]), role + 1);
                assert_eq!(faces.find(other), None);
            }
            let early = Faces::key(Face(["tool", "/bin/tool", &lines[0]]), 0);
            assert_eq!(faces.find(early), None, "the memo is bounded");
        }
        let last = Faces::key(Face(["tool", "/bin/tool", &lines[39_999]]), 39_999 % 3);
        assert!(faces.find(last).is_some());
        let moved = Faces::key(Face(["tool/bin/", "tool", &lines[39_999]]), 39_999 % 3);
        assert_eq!(faces.find(moved), None);
        faces.clear();
        assert_eq!(faces.find(last), None);
        assert_eq!(found, 0, "in a round of more than it keeps");
    }

    #[test]
    fn a_long_list_is_not_kept() {
        let mut faces = Faces::default();
        let key = Faces::key(Face(["a", "b", "c"]), 0);
        faces.insert(key, &vec![Open::default(); MOST_UNITS + 1]);
        assert_eq!(faces.find(key), None);
    }
}
