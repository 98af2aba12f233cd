//! Where diagnostics gather.

use crate::diagnostics::{Diagnostic, Level, Problem};
use crate::source::SourceSpan;
use std::collections::HashSet;

/// Gathers the diagnostics of all sources: each once, bounded for each source.
#[derive(Debug)]
pub(crate) struct Sink {
    kept: Vec<Diagnostic>,
    seen: HashSet<(&'static str, SourceSpan, String)>,
    files: Vec<Count>,
    limit: usize,
    errors: usize,
}

#[derive(Debug, Clone, Default)]
struct Count {
    kept: usize,
    errors_left_out: usize,
    warnings_left_out: usize,
}

impl Sink {
    pub(crate) fn new(sources: usize, limit: usize) -> Sink {
        Sink {
            kept: Vec::new(),
            seen: HashSet::new(),
            files: vec![Count::default(); sources],
            limit,
            errors: 0,
        }
    }

    /// How many errors came so far, repetitions included: what made one more
    /// is not right, whether or not it is told again.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.is_error());
        let Some(count) = self.files.get_mut(diagnostic.primary.span.source) else {
            return;
        };
        let key = (
            diagnostic.code,
            diagnostic.primary.span.clone(),
            diagnostic.message.clone(),
        );
        if self.seen.contains(&key) {
            return;
        }
        if count.kept >= self.limit {
            match diagnostic.level {
                Level::Error => count.errors_left_out += 1,
                Level::Warning | Level::Note => count.warnings_left_out += 1,
            }
            return;
        }
        self.seen.insert(key);
        count.kept += 1;
        self.kept.push(diagnostic);
    }

    /// Every diagnostic kept, by source and position; last in each source, how
    /// many were left out.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by(|a, b| {
            let key = |d: &Diagnostic| (d.primary.span.source, d.primary.span.start, d.code);
            key(a).cmp(&key(b))
        });
        let mut all = Vec::with_capacity(self.kept.len());
        let mut kept = self.kept.into_iter().peekable();
        for (source, count) in self.files.iter().enumerate() {
            while let Some(diagnostic) = kept.next_if(|d| d.primary.span.source == source) {
                all.push(diagnostic);
            }
            let Some(last) = all.last().map(|d: &Diagnostic| d.primary.span.clone()) else {
                continue;
            };
            let rest = [
                (
                    count.errors_left_out,
                    Problem::MoreErrors {
                        count: count.errors_left_out,
                    },
                ),
                (
                    count.warnings_left_out,
                    Problem::MoreWarnings {
                        count: count.warnings_left_out,
                    },
                ),
            ];
            for (count, problem) in rest {
                if count > 0 {
                    all.push(Diagnostic::new(&problem, last.clone()));
                }
            }
        }
        all
    }

    /// Reports a problem that needs no further words.
    pub(crate) fn report(&mut self, problem: &Problem, span: SourceSpan) {
        self.push(Diagnostic::new(problem, span));
    }
}
