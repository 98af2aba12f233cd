//! A borrowed JSON tree, built from dot-separated paths.

use crate::event::{TextList, Value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt::Display;
use std::net::IpAddr;

/// One value and its place in the object it belongs to, such as `ext.args`.
pub(super) struct Entry<'a> {
    path: &'static str,
    leaf: Leaf<'a>,
}

/// A value.
pub(super) enum Leaf<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Str(&'a str),
    Text(String),
    /// Written as a string.
    Shown(&'a dyn Display),
    Ip(IpAddr),
    Texts(TextList<'a>),
    Strings(&'a [String]),
    Names(Vec<String>),
    Object(Tree<'a>),
    Objects(Vec<Tree<'a>>),
}

/// An object. Entries that share a path's beginning become one nested object,
/// standing where the first of them stood.
#[derive(Default)]
pub(super) struct Tree<'a>(Vec<Entry<'a>>);

impl<'a> Tree<'a> {
    pub(super) fn new() -> Tree<'a> {
        Tree::default()
    }

    pub(super) fn push(&mut self, path: &'static str, leaf: impl Into<Leaf<'a>>) {
        self.0.push(Entry {
            path,
            leaf: leaf.into(),
        });
    }

    /// Pushes what there is.
    pub(super) fn push_some(&mut self, path: &'static str, leaf: Option<impl Into<Leaf<'a>>>) {
        if let Some(leaf) = leaf {
            self.push(path, leaf);
        }
    }

    /// True when an entry's path begins so.
    pub(super) fn has_under(&self, prefix: &str) -> bool {
        self.0.iter().any(|entry| entry.path.starts_with(prefix))
    }
}

impl<'a> From<Value<'a>> for Leaf<'a> {
    fn from(value: Value<'a>) -> Leaf<'a> {
        match value {
            Value::Str(text) => Leaf::Str(text),
            Value::List(texts) => Leaf::Texts(texts),
            Value::Int(number) => Leaf::Int(number),
            Value::Bool(truth) => Leaf::Bool(truth),
            Value::Ip(address) => Leaf::Ip(address),
        }
    }
}

macro_rules! leaf_from {
    ($($ty:ty => $variant:ident),+ $(,)?) => {
        $(impl<'a> From<$ty> for Leaf<'a> {
            fn from(value: $ty) -> Leaf<'a> {
                Leaf::$variant(value.into())
            }
        })+
    };
}

leaf_from! {
    bool => Bool, i32 => Int, i64 => Int, u8 => Uint, u32 => Uint, u64 => Uint,
    &'a str => Str, String => Text, &'a [String] => Strings, Vec<String> => Names,
    Tree<'a> => Object, Vec<Tree<'a>> => Objects,
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let root = Group {
            entries: &self.0,
            prefix: "",
        };
        root.serialize(serializer)
    }
}

/// The entries whose path begins with `prefix`, as one object.
struct Group<'t, 'a> {
    entries: &'t [Entry<'a>],
    prefix: &'static str,
}

impl Serialize for Group<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, entry) in self.entries.iter().enumerate() {
            let Some(rest) = entry.path.strip_prefix(self.prefix) else {
                continue;
            };
            let Some(dot) = rest.find('.') else {
                map.serialize_entry(rest, &entry.leaf)?;
                continue;
            };
            let prefix = &entry.path[..self.prefix.len() + dot + 1];
            let opened = self.entries[..at]
                .iter()
                .any(|earlier| earlier.path.starts_with(prefix));
            if !opened {
                let group = Group {
                    entries: &self.entries[at..],
                    prefix,
                };
                map.serialize_entry(&rest[..dot], &group)?;
            }
        }
        map.end()
    }
}

impl Serialize for Leaf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Leaf::Null => serializer.serialize_unit(),
            Leaf::Bool(truth) => serializer.serialize_bool(*truth),
            Leaf::Int(number) => serializer.serialize_i64(*number),
            Leaf::Uint(number) => serializer.serialize_u64(*number),
            Leaf::Str(text) => serializer.serialize_str(text),
            Leaf::Text(text) => serializer.serialize_str(text),
            Leaf::Shown(shown) => serializer.collect_str(shown),
            Leaf::Ip(address) => serializer.collect_str(address),
            Leaf::Texts(texts) => serializer.collect_seq(texts.iter()),
            Leaf::Strings(texts) => serializer.collect_seq(texts.iter()),
            Leaf::Names(names) => serializer.collect_seq(names),
            Leaf::Object(tree) => tree.serialize(serializer),
            Leaf::Objects(trees) => {
                let mut list = serializer.serialize_seq(Some(trees.len()))?;
                for tree in trees {
                    list.serialize_element(tree)?;
                }
                list.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_beginnings_become_one_object() {
        let mut tree = Tree::new();
        tree.push("a.b", 1u32);
        tree.push("c", true);
        tree.push("a.d.e", "x");
        tree.push("a.d.f", "y");
        tree.push("ab.c", 2u32);
        assert_eq!(
            serde_json::to_string(&tree).unwrap(),
            r#"{"a":{"b":1,"d":{"e":"x","f":"y"}},"c":true,"ab":{"c":2}}"#
        );
    }
}
