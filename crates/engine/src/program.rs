//! The compiled program: what the sensor keeps and swaps on a reload.

use crate::compile;
use crate::run::event;
use crate::scratch::Scratch;
use crate::tables::Tables;
use crate::verdict::{RuleIndex, Verdicts};
use picket_lang::ir::{Expr, Rule};
use picket_model::field::{Field, ProcessAttr};
use picket_model::{ClassSet, Event};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rules made ready for evaluation. Immutable, and shared freely by threads;
/// each thread brings its own [`Scratch`].
#[derive(Debug)]
pub struct Program {
    /// Tells it from every other program of this run; never 0.
    id: u64,
    rules: Vec<Rule>,
    classes: ClassSet,
    fields: BTreeSet<Field>,
    tables: Tables,
}

/// What helps to compile a better program.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompileOptions<'a> {
    /// Real events, some hundreds to some thousands ([`crate::Sample`] keeps such):
    /// from how often each constant occurs in them the compiler learns what to look
    /// for first. What rules mean does not depend on it.
    pub sample: &'a [Event],
}

impl Program {
    /// Compiles checked rules.
    pub fn compile(rules: Vec<Rule>) -> Program {
        Program::compile_with(rules, &CompileOptions::default())
    }

    /// Compiles checked rules with what is known of the events to come.
    pub fn compile_with(rules: Vec<Rule>, options: &CompileOptions<'_>) -> Program {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut fields = BTreeSet::new();
        let mut note = |expr: &Expr| {
            expr.predicates(&mut |predicate| {
                fields.insert(predicate.field);
            });
        };
        for rule in &rules {
            note(&rule.condition);
            rule.exceptions
                .iter()
                .for_each(|exception| note(&exception.condition));
        }
        Program {
            classes: rules.iter().flat_map(|rule| rule.classes.clone()).collect(),
            tables: compile::compile(&rules, options.sample),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            fields,
            rules,
        }
    }

    /// The rules, in the order they were given.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of a verdict. Panics if the verdict is another program's.
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.index()]
    }

    /// The classes some rule looks at.
    pub fn classes(&self) -> ClassSet {
        self.classes
    }

    /// Whether some rule looks at the field.
    pub fn uses(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }

    /// Whether some rule looks at the attribute of any process: the new one,
    /// its parent, the actor or an ancestor.
    pub fn uses_attribute(&self, attr: ProcessAttr) -> bool {
        self.fields
            .iter()
            .any(|field| matches!(field, Field::Process(_, own) if *own == attr))
    }

    /// What the compiled tables take, in bytes: without the rules themselves, and
    /// without regexes, which are built when they are first needed.
    pub fn memory(&self) -> usize {
        self.tables.memory()
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Working memory for evaluating this program.
    pub fn scratch(&self) -> Scratch {
        Scratch::new()
    }

    /// Finds the rules that the event matches. `verdicts` is cleared first.
    pub fn evaluate(&self, event: &Event, scratch: &mut Scratch, verdicts: &mut Verdicts) {
        if scratch.program != self.id {
            scratch.program = self.id;
            scratch.state.reset(&self.tables);
        }
        event::evaluate(&self.tables, event, &mut scratch.state, verdicts);
    }
}
