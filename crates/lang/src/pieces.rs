//! A rule file taken apart: each rule and each policy as a file of its own.
//!
//! Pieces are cut out by lines, comments and all, and then read again: a piece that
//! does not say what it said in its place is refused, never changed.

use crate::diagnostics::{Diagnostic, Sink, render_json};
use crate::limits::Limits;
use crate::source::{Lines, Source};
use crate::yaml::{self, Keys, Node, ScalarKind, Value};
use std::ops::Range;
use std::rc::Rc;

/// What a piece holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// One rule, with the lists and macros of its own if its file held nothing else.
    Rule,
    /// One policy.
    Policy,
    /// Lists and macros.
    Lists,
}

/// A piece of a rule file, itself a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it holds.
    pub kind: PieceKind,
    /// The rule's or policy's id; of lists and macros, the file's name.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// Why a file cannot be taken apart.
#[derive(Debug, Clone)]
pub enum Unfit {
    /// It cannot be read.
    Unreadable(Vec<Diagnostic>, Source),
    /// It is written so that its parts cannot be told from each other.
    Entangled {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What stands in the way.
        why: &'static str,
    },
}

impl Unfit {
    /// In words, and the diagnostics as JSON.
    pub fn told(&self) -> (String, String) {
        match self {
            Unfit::Unreadable(diagnostics, source) => {
                let first = diagnostics.first();
                let first = first.map_or("it cannot be read", |first| &first.message);
                let json = render_json(diagnostics, std::slice::from_ref(source));
                (format!("{}: {first}", source.name), json)
            }
            Unfit::Entangled { file, line, why } => {
                (format!("{file}:{line}: {why}"), "[]".to_owned())
            }
        }
    }
}

const KEYS: &[&str] = &["lists", "macros", "rules", "policies"];

/// Takes a file apart.
pub fn take_apart(name: &str, text: &str) -> Result<Vec<Piece>, Unfit> {
    let limits = Limits::default();
    let mut sink = Sink::new(1, limits.diagnostics_per_file);
    let documents = yaml::load(0, text, &limits, &mut sink);
    let mut documents = documents.iter().filter(|document| !is_nothing(document));
    let first = documents.next();
    let keys = first.and_then(|first| Keys::of(first, "a rule file", KEYS, &mut sink));
    if sink.errors() > 0 {
        let source = Source::new(name, text.as_bytes());
        return Err(Unfit::Unreadable(sink.finish(), source));
    }
    let file = File {
        name,
        text,
        lines: Lines::new(text.as_bytes()),
    };
    if let Some(second) = documents.next() {
        let why = "it holds several YAML documents: write one file for each";
        return Err(file.entangled(second.span.start, why));
    }
    keys.map_or(Ok(Vec::new()), |keys| file.pieces(&keys))
}

fn is_nothing(node: &Node<'_>) -> bool {
    node.scalar()
        .is_some_and(|scalar| scalar.kind == ScalarKind::Null)
}

struct File<'t> {
    name: &'t str,
    text: &'t str,
    lines: Lines<'t>,
}

/// A top-level key and its lines.
struct Section<'n, 's> {
    key: &'n str,
    lines: Range<usize>,
    value: &'n Rc<Node<'s>>,
}

impl<'t> File<'t> {
    fn entangled(&self, at: usize, why: &'static str) -> Unfit {
        Unfit::Entangled {
            file: self.name.to_owned(),
            line: self.lines.index(at) + 1,
            why,
        }
    }

    fn pieces(&self, keys: &Keys<'_, '_>) -> Result<Vec<Piece>, Unfit> {
        let count = |key: &str| keys.get(key).map_or(0, |node| items(node).len());
        let whole = |kind: PieceKind, name: String| Piece {
            kind,
            name,
            text: self.text.to_owned(),
        };
        match (count("rules"), count("policies")) {
            (0, 0) if keys.get("lists").or(keys.get("macros")).is_none() => Ok(Vec::new()),
            (0, 0) => Ok(vec![whole(PieceKind::Lists, self.stem())]),
            (1, 0) => Ok(vec![whole(PieceKind::Rule, self.only(keys, "rules")?)]),
            (0, 1) => Ok(vec![whole(PieceKind::Policy, self.only(keys, "policies")?)]),
            _ => self.cut(&self.sections(keys)?),
        }
    }

    fn only(&self, keys: &Keys<'_, '_>, key: &str) -> Result<String, Unfit> {
        let item = keys.get(key).and_then(|node| items(node).first());
        item.map_or(Ok(String::new()), |item| self.id(item))
    }

    fn id(&self, item: &Node<'_>) -> Result<String, Unfit> {
        let id = match &item.value {
            Value::Map(pairs) => pairs
                .iter()
                .find(|(key, _)| key.as_text() == Some("id"))
                .and_then(|(_, id)| id.as_text()),
            _ => None,
        };
        id.map(str::to_owned)
            .ok_or_else(|| self.entangled(item.span.start, "it has no `id`"))
    }

    /// The file's name without folder and ending.
    fn stem(&self) -> String {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".yaml")
            .or(name.strip_suffix(".yml"))
            .unwrap_or(name)
            .to_owned()
    }

    fn sections<'n, 's>(&self, keys: &Keys<'n, 's>) -> Result<Vec<Section<'n, 's>>, Unfit> {
        let mut sections = Vec::new();
        for (name, key, value) in keys.entries() {
            let line = self.lines.index(key.span.start);
            if self.lines.range(line).start != key.span.start {
                let why = "several rules or policies in flow style cannot be told apart: \
                    write each on lines of its own";
                return Err(self.entangled(key.span.start, why));
            }
            sections.push(Section {
                key: name,
                lines: line..line,
                value,
            });
        }
        sections.sort_by_key(|section| section.lines.start);
        let mut end = self.lines.index(self.text.len()) + 1;
        for section in sections.iter_mut().rev() {
            section.lines.end = end;
            end = section.lines.start;
        }
        Ok(sections)
    }

    fn cut(&self, sections: &[Section<'_, '_>]) -> Result<Vec<Piece>, Unfit> {
        let mut pieces = Vec::new();
        let shared: String = sections
            .iter()
            .filter(|section| matches!(section.key, "lists" | "macros"))
            .map(|section| self.slice(section.lines.clone()))
            .collect();
        if !shared.is_empty() {
            pieces.push(Piece {
                kind: PieceKind::Lists,
                name: self.stem(),
                text: shared,
            });
        }
        for section in sections {
            let kind = match section.key {
                "rules" => PieceKind::Rule,
                "policies" => PieceKind::Policy,
                _ => continue,
            };
            let items = items(section.value);
            let starts: Vec<usize> = items
                .iter()
                .map(|item| self.lines.index(item.span.start))
                .collect();
            let apart = starts.windows(2).all(|pair| pair[0] < pair[1]);
            if !apart
                || starts
                    .first()
                    .is_some_and(|first| *first <= section.lines.start)
            {
                let why = "several rules or policies on one line cannot be told apart: \
                    write each on lines of its own";
                return Err(self.entangled(section.value.span.start, why));
            }
            // Comments between two items go with the one below.
            let mut floor = section.lines.start + 1;
            for (at, item) in items.iter().enumerate() {
                let own_end = self.lines.index(item.span.end.saturating_sub(1)) + 1;
                let end = starts.get(at + 1).copied().unwrap_or(section.lines.end);
                let lines = self.above(starts[at], floor)..self.above(end, own_end.min(end));
                floor = lines.end;
                pieces.push(Piece {
                    kind,
                    name: self.id(item)?,
                    text: self.piece(section, lines, item)?,
                });
            }
        }
        Ok(pieces)
    }

    /// The first of the empty lines and comments right above a line.
    fn above(&self, line: usize, floor: usize) -> usize {
        let is_remark = |line: &usize| {
            let text = self.text[self.lines.range(*line)].trim();
            text.is_empty() || text.starts_with('#')
        };
        line - (floor..line).rev().take_while(is_remark).count()
    }

    /// An item's lines, if they read the same in a file of their own.
    fn piece(
        &self,
        section: &Section<'_, '_>,
        lines: Range<usize>,
        item: &Node<'_>,
    ) -> Result<String, Unfit> {
        let mut text = format!("{}:\n{}", section.key, self.slice(lines));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if says_the_same(&text, section.key, item) {
            return Ok(text);
        }
        let why = "it cannot stand in a file of its own (does it use an anchor of another rule?): \
            write it in one";
        Err(self.entangled(item.span.start, why))
    }

    fn slice(&self, lines: Range<usize>) -> &'t str {
        let start = self.lines.range(lines.start).start;
        &self.text[start..self.lines.range(lines.end).start]
    }
}

fn items<'n, 's>(node: &'n Node<'s>) -> &'n [Rc<Node<'s>>] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn says_the_same(text: &str, key: &str, item: &Node<'_>) -> bool {
    let limits = Limits::default();
    let mut sink = Sink::new(1, limits.diagnostics_per_file);
    let documents = yaml::load(0, text, &limits, &mut sink);
    let [document] = documents.as_slice() else {
        return false;
    };
    let keys = Keys::of(document, "a rule file", KEYS, &mut sink);
    let value = keys.as_ref().and_then(|keys| keys.get(key));
    sink.errors() == 0
        && value.is_some_and(|value| matches!(items(value), [only] if same(only, item)))
}

/// Bounded in depth, as every loaded node is.
fn same(one: &Node<'_>, other: &Node<'_>) -> bool {
    match (&one.value, &other.value) {
        (Value::Scalar(one), Value::Scalar(other)) => {
            one.text == other.text && one.kind == other.kind
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(PieceKind, String)> {
        let pieces = take_apart("site/web.yaml", text).unwrap();
        pieces
            .into_iter()
            .map(|piece| (piece.kind, piece.name))
            .collect()
    }

    #[test]
    fn a_file_of_one_rule_is_its_own_piece() {
        let text = "# Top.\nlists:\n  a: [\"x\"]\nrules:\n  - id: one\n    x: 1\n";
        let pieces = take_apart("one.yaml", text).unwrap();
        assert_eq!(pieces.len(), 1);
        assert_eq!(
            (pieces[0].name.as_str(), pieces[0].text.as_str()),
            ("one", text)
        );
        assert_eq!(
            names("lists: {a: [x]}"),
            [(PieceKind::Lists, "web".to_owned())]
        );
        assert_eq!(names("# nothing\n"), []);
        assert_eq!(
            names("{rules: [{id: one}]}"),
            [(PieceKind::Rule, "one".to_owned())]
        );
    }

    #[test]
    fn comments_go_with_what_they_stand_above() {
        let text = "lists:\n  a: [\"x\"]\nrules:\n  # First.\n  - id: one\n    c: |\n      \
            # part of the text\n\n  # Second.\n  - id: two\n    d: x # beside\n\
            # Policies.\npolicies:\n- id: p\n  e: 1\n- {id: q}\n";
        let pieces = take_apart("site/web.yaml", text).unwrap();
        let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "lists:\n  a: [\"x\"]\n",
                // What looks like a comment and is text stays where it is.
                "rules:\n  # First.\n  - id: one\n    c: |\n      # part of the text\n",
                "rules:\n\n  # Second.\n  - id: two\n    d: x # beside\n",
                "policies:\n- id: p\n  e: 1\n",
                "policies:\n- {id: q}\n",
            ]
        );
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for (text, says) in [
            ("rules: [{id: a}, {id: b}]", "site/web.yaml:1:"),
            (
                "rules:\n  - id: a\n    x: &x 1\n  - id: b\n    x: *x\n",
                "anchor",
            ),
            ("rules:\n  - id: a\n---\nrules:\n  - id: b\n", "documents"),
            ("rules:\n  - title: a\n", "has no `id`"),
            ("rule: 1", "rule"),
            ("a: [", "site/web.yaml:"),
        ] {
            let (detail, _) = take_apart("site/web.yaml", text).unwrap_err().told();
            assert!(detail.contains(says), "{text:?}: {detail}");
        }
    }
}
