//! Regexes: checked against the limits, and rewritten so that `\d`, `\w`, `\s`
//! and `\b` are ASCII where the pattern does not say `(?u)`.

use crate::diagnostics::Problem;
use crate::limits::Limits;
use regex_syntax::ast::{self, Ast, Flag, Flags, FlagsItemKind, GroupKind};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::ops::Range;

/// What is wrong with a regex, and where in it.
#[derive(Debug, PartialEq)]
pub(super) struct Flaw {
    pub(super) problem: Problem,
    pub(super) span: Range<usize>,
}

/// The shortest stretch of literal text that spares the engine from trying a
/// regex on most events.
pub(super) const USEFUL_LITERAL: usize = 3;

/// Checks a pattern, and rewrites it as the engine compiles it.
pub(super) fn check(pattern: &str, limits: &Limits) -> Result<String, Flaw> {
    let whole = 0..pattern.len();
    if pattern.len() > limits.regex_bytes {
        let detail = format!(
            "{} bytes, where {} are allowed",
            pattern.len(),
            limits.regex_bytes
        );
        return Err(Flaw {
            problem: Problem::RegexLimit { detail },
            span: 0..0,
        });
    }
    let ast = ast::parse::ParserBuilder::new()
        .nest_limit(limits.regex_depth)
        .build()
        .parse(pattern)
        .map_err(|error| syntax_flaw(&error, limits))?;
    let mut rewriter = Rewriter {
        limits,
        edits: Vec::new(),
        classes: Classes::Ascii,
        ignore_case: false,
    };
    rewriter.visit(&ast)?;
    let rewritten = rewriter.apply(pattern);
    regex::RegexBuilder::new(&rewritten)
        .size_limit(limits.regex_program_bytes)
        .build()
        .map_err(|error| {
            let problem = match error {
                regex::Error::CompiledTooBig(limit) => Problem::RegexLimit {
                    detail: format!("compiled, it would take more than {limit} bytes"),
                },
                other => Problem::RegexSyntax {
                    detail: last_line(&other.to_string()),
                },
            };
            Flaw {
                problem,
                span: whole,
            }
        })?;
    Ok(rewritten)
}

/// Whether every match of a checked pattern holds some stretch of literal text.
pub(super) fn has_literal(pattern: &str) -> bool {
    regex_syntax::parse(pattern).is_ok_and(|hir| measure(&hir).longest >= USEFUL_LITERAL)
}

fn syntax_flaw(error: &ast::Error, limits: &Limits) -> Flaw {
    let span = error.span().start.offset..error.span().end.offset;
    let problem = match error.kind() {
        ast::ErrorKind::NestLimitExceeded(_) => Problem::RegexLimit {
            detail: format!("it nests deeper than {} levels", limits.regex_depth),
        },
        ast::ErrorKind::UnsupportedLookAround => Problem::RegexSyntax {
            detail: "look-around is not supported: split the test into several predicates"
                .to_owned(),
        },
        ast::ErrorKind::UnsupportedBackreference => Problem::RegexSyntax {
            detail: "backreferences are not supported".to_owned(),
        },
        kind => Problem::RegexSyntax {
            detail: kind.to_string(),
        },
    };
    Flaw { problem, span }
}

fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// What `\w` and its like stand for at some place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Classes {
    /// ASCII: the language's default, to be written into the pattern.
    Ascii,
    /// `(?u)` or `(?-u)` says what they are; they stay.
    AsWritten,
}

struct Rewriter<'l> {
    limits: &'l Limits,
    edits: Vec<(Range<usize>, String)>,
    classes: Classes,
    ignore_case: bool,
}

impl Rewriter<'_> {
    fn apply(mut self, pattern: &str) -> String {
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut rewritten = String::with_capacity(pattern.len() + self.edits.len() * 12);
        let mut at = 0;
        for (range, with) in self.edits {
            rewritten.push_str(&pattern[at..range.start]);
            rewritten.push_str(&with);
            at = range.end;
        }
        rewritten.push_str(&pattern[at..]);
        rewritten
    }

    /// Recursion is bounded by the parser's nest limit.
    fn visit(&mut self, ast: &Ast) -> Result<(), Flaw> {
        match ast {
            Ast::Flags(set) => self.set_flags(&set.flags),
            Ast::ClassPerl(class) => self.class(class, false),
            Ast::ClassBracketed(class) => self.set(&class.kind),
            Ast::Assertion(assertion) => self.assertion(assertion),
            Ast::Repetition(repetition) => {
                self.check_repetition(repetition)?;
                self.visit(&repetition.ast)?;
            }
            Ast::Group(group) => {
                let (classes, ignore_case) = (self.classes, self.ignore_case);
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    self.set_flags(flags);
                }
                self.visit(&group.ast)?;
                (self.classes, self.ignore_case) = (classes, ignore_case);
            }
            Ast::Alternation(alternation) => {
                for ast in &alternation.asts {
                    self.visit(ast)?;
                }
            }
            Ast::Concat(concat) => {
                for ast in &concat.asts {
                    self.visit(ast)?;
                }
            }
            Ast::Empty(_) | Ast::Literal(_) | Ast::Dot(_) | Ast::ClassUnicode(_) => {}
        }
        Ok(())
    }

    fn set_flags(&mut self, flags: &Flags) {
        let mut on = true;
        for item in &flags.items {
            match item.kind {
                FlagsItemKind::Negation => on = false,
                FlagsItemKind::Flag(Flag::Unicode) => self.classes = Classes::AsWritten,
                FlagsItemKind::Flag(Flag::CaseInsensitive) => self.ignore_case = on,
                FlagsItemKind::Flag(_) => {}
            }
        }
    }

    fn class(&mut self, class: &ast::ClassPerl, in_set: bool) {
        if self.classes == Classes::AsWritten {
            return;
        }
        let not = if class.negated { "^" } else { "" };
        let members = match class.kind {
            ast::ClassPerlKind::Digit => "0-9",
            ast::ClassPerlKind::Space => r"\t-\r\x20",
            ast::ClassPerlKind::Word => "0-9A-Za-z_",
        };
        // Without regard to case, `s` and `k` would bring in `ſ` and the Kelvin sign.
        let with = if self.ignore_case && !in_set && class.kind == ast::ClassPerlKind::Word {
            format!("(?-i:[{not}{members}])")
        } else {
            format!("[{not}{members}]")
        };
        self.edits.push((range(&class.span), with));
    }

    fn set(&mut self, set: &ast::ClassSet) {
        match set {
            ast::ClassSet::Item(item) => self.set_item(item),
            ast::ClassSet::BinaryOp(op) => {
                self.set(&op.lhs);
                self.set(&op.rhs);
            }
        }
    }

    fn set_item(&mut self, item: &ast::ClassSetItem) {
        match item {
            ast::ClassSetItem::Perl(class) => self.class(class, true),
            ast::ClassSetItem::Bracketed(class) => self.set(&class.kind),
            ast::ClassSetItem::Union(union) => {
                union.items.iter().for_each(|item| self.set_item(item))
            }
            _ => {}
        }
    }

    fn assertion(&mut self, assertion: &ast::Assertion) {
        use ast::AssertionKind as K;
        let written = match assertion.kind {
            K::WordBoundary => r"(?-u:\b)",
            K::NotWordBoundary => r"(?-u:\B)",
            K::WordBoundaryStart | K::WordBoundaryStartAngle => r"(?-u:\b{start})",
            K::WordBoundaryEnd | K::WordBoundaryEndAngle => r"(?-u:\b{end})",
            K::WordBoundaryStartHalf => r"(?-u:\b{start-half})",
            K::WordBoundaryEndHalf => r"(?-u:\b{end-half})",
            K::StartLine | K::EndLine | K::StartText | K::EndText => return,
        };
        if self.classes == Classes::Ascii {
            self.edits
                .push((range(&assertion.span), written.to_owned()));
        }
    }

    fn check_repetition(&self, repetition: &ast::Repetition) -> Result<(), Flaw> {
        let ast::RepetitionKind::Range(counts) = &repetition.op.kind else {
            return Ok(());
        };
        let greatest = match counts {
            ast::RepetitionRange::Exactly(count) | ast::RepetitionRange::AtLeast(count) => *count,
            ast::RepetitionRange::Bounded(_, count) => *count,
        };
        let limit = self.limits.regex_repetition;
        if greatest <= limit {
            return Ok(());
        }
        let detail = format!("it repeats something {greatest} times, where {limit} are allowed");
        Err(Flaw {
            problem: Problem::RegexLimit { detail },
            span: range(&repetition.op.span),
        })
    }
}

fn range(span: &ast::Span) -> Range<usize> {
    span.start.offset..span.end.offset
}

/// What is known of the literal text in a part of a regex, in bytes. A letter in
/// both cases counts as literal.
#[derive(Clone, Copy, Default)]
struct Literal {
    /// The longest stretch that must be there.
    longest: usize,
    /// Its length, if the part is literal text and nothing else.
    exact: Option<usize>,
}

fn measure(hir: &Hir) -> Literal {
    let exactly = |length| Literal {
        longest: length,
        exact: Some(length),
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly(0),
        HirKind::Literal(literal) => exactly(literal.0.len()),
        HirKind::Class(class) if is_one_letter(class) => exactly(1),
        HirKind::Class(_) => Literal::default(),
        HirKind::Capture(capture) => measure(&capture.sub),
        HirKind::Repetition(repetition) => {
            let once = measure(&repetition.sub);
            match (repetition.min, repetition.max) {
                (0, _) => Literal::default(),
                (min, max) => {
                    let run = once.exact.map(|length| length.saturating_mul(min as usize));
                    Literal {
                        longest: run.unwrap_or(once.longest),
                        exact: run.filter(|_| max == Some(min)),
                    }
                }
            }
        }
        HirKind::Concat(parts) => {
            let mut whole = exactly(0);
            let mut run = 0usize;
            for part in parts.iter().map(measure) {
                match part.exact {
                    Some(length) => run = run.saturating_add(length),
                    None => {
                        whole.exact = None;
                        run = 0;
                    }
                }
                whole.longest = whole.longest.max(run).max(part.longest);
            }
            whole.exact = whole.exact.map(|_| run);
            whole
        }
        HirKind::Alternation(parts) => Literal {
            longest: parts
                .iter()
                .map(|part| measure(part).longest)
                .min()
                .unwrap_or(0),
            exact: None,
        },
    }
}

/// `[aA]`: what `(?i)a` becomes (for `k` and `s`, with their non-ASCII forms).
fn is_one_letter(class: &Class) -> bool {
    let mut folded = None;
    let mut members = 0;
    let mut same = |c: char| {
        members += 1;
        let c = match c {
            'ſ' => 's',
            '\u{212A}' => 'k',
            c => crate::fold::fold_char(c),
        };
        *folded.get_or_insert(c) == c
    };
    match class {
        Class::Unicode(class) => {
            class
                .ranges()
                .iter()
                .map(|range| range.len())
                .sum::<usize>()
                <= 4
                && class
                    .iter()
                    .flat_map(|range| range.start()..=range.end())
                    .all(&mut same)
        }
        Class::Bytes(class) => {
            class
                .ranges()
                .iter()
                .map(|range| range.len())
                .sum::<usize>()
                <= 4
                && class
                    .iter()
                    .flat_map(|range| range.start()..=range.end())
                    .all(|byte| same(char::from(byte)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(pattern: &str) -> String {
        check(pattern, &Limits::default()).expect(pattern)
    }

    #[test]
    fn perl_classes_become_ascii() {
        for (pattern, expected) in [
            (r"a\d+", "a[0-9]+"),
            (r"\W\S", r"[^0-9A-Za-z_][^\t-\r\x20]"),
            (r"[\w.-]", "[[0-9A-Za-z_].-]"),
            (r"[^\d]x", "[^[0-9]]x"),
            (r"\bsh\B", r"(?-u:\b)sh(?-u:\B)"),
            (r"\<sh\>", r"(?-u:\b{start})sh(?-u:\b{end})"),
            (r"(?u)\d", r"(?u)\d"),
            (r"(?u:\d)\d", r"(?u:\d)[0-9]"),
            (r"(?-u:\w)x", r"(?-u:\w)x"),
            (r"(?i)\w", "(?i)(?-i:[0-9A-Za-z_])"),
            (r"é\\d", r"é\\d"),
        ] {
            assert_eq!(rewritten(pattern), expected);
            assert_eq!(rewritten(expected), expected, "again");
        }
    }

    #[test]
    fn rewritten_patterns_mean_ascii() {
        let matches = |pattern: &str, text: &str| {
            regex::Regex::new(&rewritten(pattern))
                .unwrap()
                .is_match(text)
        };
        assert!(matches(r"^\d$", "7") && !matches(r"^\d$", "٣"));
        assert!(matches(r"^\w$", "x") && !matches(r"^\w$", "é"));
        assert!(!matches(r"(?i)^\w$", "\u{212A}"));
        assert!(matches(r"^\W$", "é") && !matches(r"^\S$", "\u{b}") && matches(r"^\S$", "\u{a0}"));
        assert!(matches(r"\bx\b", "éxé") && !matches(r"\bx\b", "axa"));
        assert!(matches(r"(?u)^\d$", "٣"));
    }

    #[test]
    fn flaws_have_places() {
        let flaw = |pattern: &str| check(pattern, &Limits::default()).unwrap_err();
        assert_eq!(flaw("ab(c").span, 2..3);
        assert_eq!(flaw("ab[").span, 2..3);
        assert_eq!(flaw("a(?=b)").span, 1..4);
        assert_eq!(flaw("xa{1,5000}").span, 2..10);
        assert!(matches!(
            flaw(&format!("{}{}", "(".repeat(99), ")".repeat(99))).problem,
            Problem::RegexLimit { .. }
        ));
        assert!(matches!(
            flaw(&"a".repeat(5000)).problem,
            Problem::RegexLimit { .. }
        ));
        assert!(matches!(
            flaw(r"((\pL{1000}){1000}){1000}").problem,
            Problem::RegexLimit { .. }
        ));
        assert!(matches!(
            flaw(r"(?-u:\xff)").problem,
            Problem::RegexSyntax { .. }
        ));
    }

    #[test]
    fn required_literals() {
        let has = |pattern: &str| has_literal(&check(pattern, &Limits::default()).expect(pattern));
        for pattern in [
            "curl",
            "(?i)curl",
            "cu.*curl",
            "(wget|curl)",
            "a{3}",
            "x?(abc)+",
            "(?i)task",
            r"\bnc \d",
            "ab(c|d)e.*http",
        ] {
            assert!(has(pattern), "{pattern}");
        }
        for pattern in [".*", r"\d+", "[a-z]{20}", "curl|.", "(abc)?", "ab.c", ""] {
            assert!(!has(pattern), "{pattern}");
        }
    }
}
