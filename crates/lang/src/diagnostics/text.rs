//! Diagnostics as text, with a caret under the source.

use crate::diagnostics::{Diagnostic, Label, Level};
use crate::source::{Lines, Source};
use annotate_snippets::{AnnotationKind, Group, Level as Title, Origin, Renderer, Snippet};
use std::ops::Range;

/// A line longer than this many bytes is shown in part.
const LONG_LINE: usize = 4096;
/// How much of a long line is shown on each side of the caret, in bytes.
const AROUND: usize = 80;

/// The diagnostics as text, for people; with terminal colours if asked.
pub fn render_text(diagnostics: &[Diagnostic], sources: &[Source], color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let files: Vec<_> = sources.iter().map(File::new).collect();
    let mut text = String::new();
    for diagnostic in diagnostics {
        let rendered = renderer.render(&[group(diagnostic, &files)]);
        for line in rendered.lines().filter(|line| !is_separator(line)) {
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// The renderer puts `:::` between a place given by itself and the part of a
/// long line shown for it.
fn is_separator(line: &str) -> bool {
    let mut rest = line;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain.trim() == ":::"
}

struct File<'s> {
    name: &'s str,
    /// Nothing if it is not UTF-8.
    text: Option<&'s str>,
    lines: Lines<'s>,
}

impl<'s> File<'s> {
    fn new(source: &'s Source) -> File<'s> {
        File {
            name: &source.name,
            text: std::str::from_utf8(&source.bytes)
                .ok()
                .filter(|text| !text.contains('\0')),
            lines: Lines::new(&source.bytes),
        }
    }
}

fn group<'d>(diagnostic: &'d Diagnostic, files: &'d [File<'d>]) -> Group<'d> {
    let level = match diagnostic.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
        Level::Note => Title::NOTE,
    };
    let mut group = Group::with_title(
        level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code),
    );
    let mut places: Vec<Excerpt<'_>> = Vec::new();
    let labels = std::iter::once((&diagnostic.primary, true))
        .chain(diagnostic.labels.iter().map(|label| (label, false)));
    for (label, primary) in labels {
        let Some(file) = files.get(label.span.source) else {
            continue;
        };
        let excerpt = Excerpt::new(file, label, primary);
        match places.iter_mut().find(|place| place.joins(&excerpt)) {
            Some(place) => place.join(excerpt),
            None => places.push(excerpt),
        }
    }
    for place in places {
        group = place.add_to(group);
    }
    for help in &diagnostic.help {
        group = group.element(Title::HELP.message(help.as_str()));
    }
    group
}

/// Lines of one file with marks in them.
struct Excerpt<'d> {
    file: &'d File<'d>,
    /// Bytes of the file.
    range: Range<usize>,
    cut: bool,
    marks: Vec<(Range<usize>, &'d str, bool)>,
}

impl<'d> Excerpt<'d> {
    fn new(file: &'d File<'d>, label: &'d Label, primary: bool) -> Excerpt<'d> {
        let length = file.lines.len();
        let start = label.span.start.min(length);
        let line = file.lines.range(file.lines.index(start));
        let text_end = file.text.map_or(line.end, |text| {
            line.start + text[line.clone()].trim_end().len()
        });
        // A mark over several lines shows where it begins.
        let end = label.span.end.clamp(start, text_end.max(start));
        let cut = line.len() > LONG_LINE;
        let range = match file.text {
            Some(text) if cut => {
                let from = boundary(text, start.saturating_sub(AROUND).max(line.start));
                let to = boundary(
                    text,
                    end.min(start + AROUND)
                        .saturating_add(AROUND)
                        .min(text_end.max(start)),
                );
                from..to
            }
            _ => line,
        };
        Excerpt {
            file,
            marks: vec![(start..end.min(range.end.max(start)), &label.text, primary)],
            range,
            cut,
        }
    }

    /// Whether the two can be shown as one piece of source.
    fn joins(&self, other: &Excerpt<'_>) -> bool {
        let span = self.range.start.min(other.range.start)..self.range.end.max(other.range.end);
        std::ptr::eq(self.file, other.file) && !self.cut && !other.cut && span.len() < LONG_LINE
    }

    fn join(&mut self, other: Excerpt<'d>) {
        self.range = self.range.start.min(other.range.start)..self.range.end.max(other.range.end);
        self.marks.extend(other.marks);
        self.cut |= self.file.text.is_some_and(|text| {
            text[self.range.clone()]
                .lines()
                .any(|line| line.len() > LONG_LINE)
        });
    }

    fn add_to(self, group: Group<'d>) -> Group<'d> {
        let position = self.file.lines.position(self.marks[0].0.start);
        let origin = Origin::path(self.file.name)
            .line(position.line as usize)
            .char_column(position.column as usize);
        let Some(text) = self.file.text else {
            return group.element(Origin::path(self.file.name));
        };
        let line = self.file.lines.index(self.range.start);
        let lines = self.file.lines.range(line);
        let before = if self.cut && self.range.start > lines.start {
            "…"
        } else {
            ""
        };
        let after = if self.cut && self.range.end < lines.end {
            "…"
        } else {
            ""
        };
        let shown = format!(
            "{before}{}{after}",
            text[self.range.clone()].trim_end_matches(['\n', '\r'])
        );
        let length = shown.len();
        let within = |at: usize| (at - self.range.start + before.len()).min(length);
        let annotations = self.marks.iter().map(|(range, label, primary)| {
            let kind = if *primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let label = Some(*label).filter(|label| !label.is_empty());
            kind.span(within(range.start)..within(range.end))
                .label(label)
        });
        let snippet = Snippet::source(shown)
            .line_start(line + 1)
            .annotations(annotations.collect::<Vec<_>>());
        if self.cut {
            group.element(origin).element(snippet)
        } else {
            group.element(snippet.path(self.file.name))
        }
    }
}

fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}
