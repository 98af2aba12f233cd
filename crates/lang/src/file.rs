//! What stands in which file: bytes to lists, macros, rules and policies.

use crate::check::Names;
use crate::diagnostics::{Diagnostic, Problem, Sink};
use crate::formats::{self, Format};
use crate::limits::Limits;
use crate::source::{Source, SourceSpan};
use crate::yaml::{self, Keys, Node, ScalarKind};
use std::collections::HashSet;
use std::rc::Rc;

/// Everything a set of files holds, not yet checked.
#[derive(Default)]
pub(crate) struct Contents<'s> {
    pub(crate) names: Names<'s>,
    pub(crate) rules: Vec<Rc<Node<'s>>>,
    pub(crate) policies: Vec<Rc<Node<'s>>>,
    /// Exceptions that stand apart from their rules.
    pub(crate) exceptions: Vec<Rc<Node<'s>>>,
    /// The sources that hold rules.
    pub(crate) with_rules: HashSet<usize>,
}

/// Reads every source. What cannot be read is reported and left out.
pub(crate) fn read<'s>(sources: &'s [Source], limits: &Limits, sink: &mut Sink) -> Contents<'s> {
    let mut contents = Contents::default();
    for (index, source) in sources.iter().enumerate() {
        let text = match decode(index, &source.bytes, limits) {
            Ok(text) => text,
            Err(diagnostic) => {
                sink.push(*diagnostic);
                continue;
            }
        };
        for document in yaml::load(index, text, limits, sink) {
            contents.add(&document, limits, sink);
        }
    }
    contents
}

fn decode<'s>(source: usize, bytes: &'s [u8], limits: &Limits) -> Result<&'s str, Box<Diagnostic>> {
    let flaw = |problem: Problem, at: usize| {
        Box::new(Diagnostic::new(
            &problem,
            SourceSpan {
                source,
                start: at,
                end: at,
            },
        ))
    };
    if bytes.len() > limits.file_bytes {
        let problem = Problem::FileTooLarge {
            bytes: bytes.len(),
            limit: limits.file_bytes,
        };
        return Err(flaw(problem, 0));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(flaw(
            Problem::NotText {
                detail: "it is UTF-16; rule files are UTF-8",
            },
            0,
        ));
    }
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        return Err(flaw(
            Problem::NotText {
                detail: "it holds zero bytes, as binary files do",
            },
            at,
        ));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        flaw(
            Problem::NotText {
                detail: "it is not UTF-8",
            },
            error.valid_up_to(),
        )
    })
}

const KEYS: &[&str] = &["lists", "macros", "rules", "policies", "exceptions"];

impl<'s> Contents<'s> {
    fn add(&mut self, document: &Rc<Node<'s>>, limits: &Limits, sink: &mut Sink) {
        let is_empty = document
            .scalar()
            .is_some_and(|scalar| scalar.kind == ScalarKind::Null);
        if is_empty {
            return;
        }
        let refusal = match formats::detect(document) {
            Format::Native => None,
            Format::Sigma => Some(Problem::SigmaRule),
            Format::Falco => Some(Problem::FalcoRules),
        };
        if let Some(problem) = refusal {
            let start = SourceSpan {
                end: document.span.start,
                ..document.span.clone()
            };
            sink.report(&problem, start);
            return;
        }
        let Some(keys) = Keys::of(document, "a rule file", KEYS, sink) else {
            return;
        };
        if let Some(lists) = keys.get("lists") {
            self.names.add_lists(lists, limits, sink);
        }
        if let Some(macros) = keys.get("macros") {
            self.names.add_macros(macros, limits, sink);
        }
        if let Some(rules) = keys.get("rules") {
            self.with_rules.insert(rules.span.source);
            self.rules.extend(
                yaml::list(rules, "`rules`", sink)
                    .unwrap_or_default()
                    .iter()
                    .cloned(),
            );
        }
        if let Some(policies) = keys.get("policies") {
            self.policies.extend(
                yaml::list(policies, "`policies`", sink)
                    .unwrap_or_default()
                    .iter()
                    .cloned(),
            );
        }
        if let Some(exceptions) = keys.get("exceptions") {
            self.exceptions.extend(
                yaml::list(exceptions, "`exceptions`", sink)
                    .unwrap_or_default()
                    .iter()
                    .cloned(),
            );
        }
        if let Some(over) = self.rules.get(limits.rules) {
            sink.report(
                &Problem::TooManyRules {
                    limit: limits.rules,
                },
                over.span.clone(),
            );
            self.rules.truncate(limits.rules);
        }
    }
}
