//! From text to nodes: the parser's events are gathered without recursion and
//! within limits, so that neither nesting nor aliases can exhaust anything.

use crate::diagnostics::{Diagnostic, Problem, Sink};
use crate::limits::Limits;
use crate::source::SourceSpan;
use crate::yaml::{Node, Scalar, ScalarKind, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

/// The documents of one source. What cannot be read is reported; the documents
/// before it are returned.
pub(crate) fn load<'s>(
    source: usize,
    text: &'s str,
    limits: &Limits,
    sink: &mut Sink,
) -> Vec<Rc<Node<'s>>> {
    let mut loader = Loader {
        source,
        text,
        limits,
        offsets: ByteOffsets::new(text),
        open: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
        nodes: 0,
    };
    if let Err(diagnostic) = loader.run(Parser::new_from_str(text), sink) {
        sink.push(*diagnostic);
    }
    loader.documents
}

struct Loader<'s, 'l> {
    source: usize,
    text: &'s str,
    limits: &'l Limits,
    offsets: ByteOffsets,
    open: Vec<Open<'s>>,
    anchors: HashMap<usize, Rc<Node<'s>>>,
    documents: Vec<Rc<Node<'s>>>,
    nodes: usize,
}

/// A list or mapping whose end has not come.
struct Open<'s> {
    start: usize,
    end: usize,
    anchor: usize,
    is_map: bool,
    children: Vec<Rc<Node<'s>>>,
    weight: usize,
}

type Fatal = Box<Diagnostic>;

impl<'s> Loader<'s, '_> {
    fn run(&mut self, mut parser: Parser<'s, StrInput<'s>>, sink: &mut Sink) -> Result<(), Fatal> {
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let at = self.offset(error.marker());
                let detail = error.info().to_owned();
                self.syntax_error(detail, at)
            })?;
            let (start, end) = (self.offset(&span.start), self.offset(&span.end));
            match event {
                Event::SequenceStart(anchor, tag) => {
                    self.begin(start, end, anchor, tag, false, sink)?
                }
                Event::MappingStart(anchor, tag) => {
                    self.begin(start, end, anchor, tag, true, sink)?
                }
                Event::SequenceEnd | Event::MappingEnd => self.finish(end)?,
                Event::Alias(anchor) => self.alias(anchor, start, end)?,
                Event::Scalar(text, style, anchor, tag) => {
                    let tag = self.tag(tag, start, end, sink);
                    let node = self.scalar(text, style, tag, &span);
                    self.add(Rc::new(node), anchor, 1)?;
                }
                Event::DocumentStart(_) => self.anchors.clear(),
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        start: usize,
        end: usize,
        anchor: usize,
        tag: Option<Cow<'s, Tag>>,
        is_map: bool,
        sink: &mut Sink,
    ) -> Result<(), Fatal> {
        self.tag(tag, start, end, sink);
        if self.open.len() >= self.limits.yaml_depth {
            let limit = self.limits.yaml_depth;
            return Err(self.fatal(&Problem::YamlTooDeep { limit }, start, end));
        }
        self.open.push(Open {
            start,
            end,
            anchor,
            is_map,
            children: Vec::new(),
            weight: 1,
        });
        Ok(())
    }

    fn finish(&mut self, end: usize) -> Result<(), Fatal> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        // A block ends where its last value does, not at the next line's key.
        let flow = self.text[open.start..].starts_with(['[', '{', '&', '!']);
        let end = if flow { end } else { open.end };
        let value = if open.is_map {
            let mut children = open.children.into_iter();
            let mut pairs = Vec::with_capacity(children.len() / 2);
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        } else {
            Value::List(open.children)
        };
        let node = Node {
            span: self.span(open.start, end),
            value,
            weight: open.weight,
        };
        self.add(Rc::new(node), open.anchor, 1)
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Result<(), Fatal> {
        // An alias inside its own anchor is not known yet: values are finite.
        match self.anchors.get(&anchor) {
            Some(node) => self.add(Rc::clone(node), 0, node.weight),
            None => {
                let detail = "an alias stands inside the value it stands for".to_owned();
                Err(self.fatal(&Problem::YamlSyntax { detail }, start, end))
            }
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'s, str>,
        style: ScalarStyle,
        is_text: bool,
        span: &Span,
    ) -> Node<'s> {
        let (start, end) = (self.offset(&span.start), self.offset(&span.end));
        let raw = self.text.get(start..end).unwrap_or_default();
        let kind = if style == ScalarStyle::Plain && !is_text {
            core_schema(&text)
        } else {
            ScalarKind::Text
        };
        // The span of a block scalar goes on through its last line break.
        let shown = start + raw.trim_end_matches(['\n', '\r', ' ']).len();
        Node {
            span: self.span(start, shown),
            value: Value::Scalar(Scalar {
                text,
                raw,
                style,
                kind,
            }),
            weight: 1,
        }
    }

    /// `count` says how many values come with it that were not counted yet.
    fn add(&mut self, node: Rc<Node<'s>>, anchor: usize, count: usize) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(count);
        if self.nodes > self.limits.yaml_nodes {
            let limit = self.limits.yaml_nodes;
            let (start, end) = (node.span.start, node.span.end);
            return Err(self.fatal(&Problem::YamlTooLarge { limit }, start, end));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            Some(open) => {
                open.weight = open.weight.saturating_add(node.weight);
                open.end = open.end.max(node.span.end);
                open.children.push(node);
            }
            None => self.documents.push(node),
        }
        Ok(())
    }

    /// Whether the tag says "text"; any other tag is reported.
    fn tag(&self, tag: Option<Cow<'s, Tag>>, start: usize, end: usize, sink: &mut Sink) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
            Some(tag) => {
                let tag = tag.to_string();
                let problem = Problem::YamlTag { tag };
                sink.push(
                    Diagnostic::new(&problem, self.span(start, end))
                        .help("write the value without a tag"),
                );
                false
            }
        }
    }

    /// The parser tells where it stumbled; the cause is often a bracket before.
    fn syntax_error(&self, detail: String, at: usize) -> Fatal {
        // The scanner reads ahead, and has a limit of its own while it does.
        if detail.contains("recursion limit") {
            let limit = self.limits.yaml_depth;
            return self.fatal(&Problem::YamlTooDeep { limit }, at, at);
        }
        let colon = detail.contains("mapping values are not allowed");
        let mut fatal = self.fatal(&Problem::YamlSyntax { detail }, at, at);
        if colon {
            *fatal = fatal.help(
                "a text that holds `: ` must stand in quotes, or in a block after `|` or `>`",
            );
        }
        if let Some(open) = self.open.last() {
            let bracket = self.text[open.start..].starts_with(['[', '{']);
            if bracket {
                *fatal = fatal.also(self.span(open.start, open.start + 1), "still open here");
            }
        }
        fatal
    }

    fn fatal(&self, problem: &Problem, start: usize, end: usize) -> Fatal {
        Box::new(Diagnostic::new(problem, self.span(start, end)))
    }

    fn span(&self, start: usize, end: usize) -> SourceSpan {
        SourceSpan {
            source: self.source,
            start,
            end: end.max(start),
        }
    }

    fn offset(&self, marker: &Marker) -> usize {
        self.offsets.of(self.text, marker.index())
    }
}

/// YAML 1.2.2 section 10.3.2, "Tag Resolution" of the core schema.
fn core_schema(text: &str) -> ScalarKind {
    let number = || {
        let digits = |text: &str, radix| {
            let all = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
            all.then(|| {
                i64::from_str_radix(text, radix)
                    .map_or(ScalarKind::OtherNumber, ScalarKind::Integer)
            })
        };
        if let Some(octal) = text.strip_prefix("0o") {
            return digits(octal, 8);
        }
        if let Some(hex) = text.strip_prefix("0x") {
            return digits(hex, 16);
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(
                text.parse()
                    .map_or(ScalarKind::OtherNumber, ScalarKind::Integer),
            );
        }
        let is_special = matches!(
            unsigned,
            ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
        );
        let is_float = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.bytes().any(|byte| byte.is_ascii_digit())
            && unsigned.parse::<f64>().is_ok();
        (is_special || is_float).then_some(ScalarKind::OtherNumber)
    };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
        "true" | "True" | "TRUE" => ScalarKind::Boolean(true),
        "false" | "False" | "FALSE" => ScalarKind::Boolean(false),
        _ => number().unwrap_or(ScalarKind::Text),
    }
}

/// The parser counts characters; this finds their bytes.
struct ByteOffsets {
    /// Byte of every [`STRIDE`]-th character; empty for ASCII.
    marks: Vec<usize>,
}

const STRIDE: usize = 64;

impl ByteOffsets {
    fn new(text: &str) -> ByteOffsets {
        let marks = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices()
                .step_by(STRIDE)
                .map(|(at, _)| at)
                .collect()
        };
        ByteOffsets { marks }
    }

    fn of(&self, text: &str, character: usize) -> usize {
        if self.marks.is_empty() {
            return character.min(text.len());
        }
        let Some(&mark) = self.marks.get(character / STRIDE) else {
            return text.len();
        };
        text[mark..]
            .char_indices()
            .nth(character % STRIDE)
            .map_or(text.len(), |(at, _)| mark + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_read_by_the_core_schema() {
        let kinds = [
            ("12", ScalarKind::Integer(12)),
            ("-3", ScalarKind::Integer(-3)),
            ("0o755", ScalarKind::Integer(0o755)),
            ("0xff", ScalarKind::Integer(255)),
            ("99999999999999999999", ScalarKind::OtherNumber),
            ("1.5e3", ScalarKind::OtherNumber),
            (".inf", ScalarKind::OtherNumber),
            ("true", ScalarKind::Boolean(true)),
            ("~", ScalarKind::Null),
            ("yes", ScalarKind::Text),
            ("8000-8999", ScalarKind::Text),
            ("10.0.0.0/8", ScalarKind::Text),
            ("sh", ScalarKind::Text),
            (".", ScalarKind::Text),
        ];
        for (text, kind) in kinds {
            assert_eq!(core_schema(text), kind, "{text}");
        }
    }

    #[test]
    fn bytes_of_characters() {
        let text = "é".repeat(200);
        let offsets = ByteOffsets::new(&text);
        for character in [0, 1, 63, 64, 65, 199, 200, 999] {
            assert_eq!(offsets.of(&text, character), (character * 2).min(400));
        }
    }

    #[test]
    fn aliases_cannot_multiply_without_bound() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            let items = vec![below; 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{items}]\n");
        }
        let mut sink = Sink::new(1, 10);
        load(0, &bomb, &Limits::default(), &mut sink);
        assert_eq!(sink.finish()[0].code, "PK0105");
    }
}
