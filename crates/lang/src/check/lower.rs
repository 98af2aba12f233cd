//! Syntax trees to checked conditions.

use crate::check::names::State;
use crate::check::{Context, contradiction, field, predicate};
use crate::condition::ast::{self, Name};
use crate::diagnostics::{Diagnostic, Problem};
use crate::ir::{Expr, Predicate, Span, Test};
use crate::source::SourceSpan;
use crate::yaml::Node;
use picket_model::EventClass;
use picket_model::field::{FieldType, ProcessAttr, ProcessList};
use std::rc::Rc;

/// Where a condition stands.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'c> {
    /// The value that holds the condition's text.
    pub(crate) node: &'c Node<'c>,
    /// The classes every field must be in, if they are known: not while a macro is
    /// looked at by itself.
    pub(crate) classes: Option<&'c [EventClass]>,
    /// Inside `any LIST ( … )`, or in a macro made for it.
    pub(super) element: bool,
}

impl<'c> Scope<'c> {
    /// The scope of a rule's condition; its classes are missing if they are wrong.
    pub(crate) fn of_rule(node: &'c Node<'c>, classes: Option<&'c [EventClass]>) -> Scope<'c> {
        Scope {
            node,
            classes,
            element: false,
        }
    }
}

/// A macro, checked by itself.
pub(crate) struct Lowered {
    expr: Expr,
    /// It speaks of a list's processes.
    element: bool,
    predicates: usize,
    /// How many macros use each other in it, one above the other.
    height: usize,
}

/// Checks a condition; nothing if anything in it is wrong, which has then been
/// reported.
pub(crate) fn condition(
    cx: &mut Context<'_>,
    syntax: &ast::Expr,
    scope: Scope<'_>,
) -> Option<Expr> {
    let mut lowerer = Lowerer {
        cx,
        predicates: 0,
        height: 0,
    };
    let expr = lowerer.expr(syntax, scope)?;
    lowerer.check_depth(&expr, scope)?;
    Some(expr)
}

/// Checks a macro by itself, so that what is wrong with it is told once and
/// whether or not it is used.
pub(crate) fn check_macro(cx: &mut Context<'_>, name: &str, place: &SourceSpan) {
    resolve_macro(cx, name, place);
}

struct Lowerer<'a, 'c> {
    cx: &'a mut Context<'c>,
    predicates: usize,
    height: usize,
}

impl Lowerer<'_, '_> {
    fn expr(&mut self, syntax: &ast::Expr, scope: Scope<'_>) -> Option<Expr> {
        match syntax {
            ast::Expr::And(parts) => {
                let parts = self.parts(parts, scope, |part| match part {
                    Expr::And(inner) => Ok(inner),
                    other => Err(other),
                })?;
                contradiction::warn(&parts, scope.node, self.cx.sink);
                Some(Expr::And(parts))
            }
            ast::Expr::Or(parts) => {
                let parts = self.parts(parts, scope, |part| match part {
                    Expr::Or(inner) => Ok(inner),
                    other => Err(other),
                })?;
                Some(Expr::Or(parts))
            }
            ast::Expr::Not(inner) => Some(Expr::Not(Box::new(self.expr(inner, scope)?))),
            ast::Expr::Any { list, body } => self.any(list, body, scope),
            ast::Expr::Predicate(syntax) => {
                self.count(1, &syntax.span, scope)?;
                predicate::lower(self.cx, syntax, scope).map(Expr::Predicate)
            }
            ast::Expr::Bare(name) => self.bare(name, scope),
            ast::Expr::Flawed => None,
        }
    }

    /// Every part is checked, also after one that is wrong; nested `and`s in an
    /// `and` become one, as do `or`s.
    fn parts(
        &mut self,
        parts: &[ast::Expr],
        scope: Scope<'_>,
        flatten: impl Fn(Expr) -> Result<Vec<Expr>, Expr>,
    ) -> Option<Vec<Expr>> {
        let mut sound = true;
        let mut lowered = Vec::with_capacity(parts.len());
        for part in parts {
            match self.expr(part, scope).map(&flatten) {
                Some(Ok(inner)) => lowered.extend(inner),
                Some(Err(single)) => lowered.push(single),
                None => sound = false,
            }
        }
        sound.then_some(lowered)
    }

    fn any(&mut self, list: &Name, body: &ast::Expr, scope: Scope<'_>) -> Option<Expr> {
        let place = || scope.node.locate(list.span.clone());
        if scope.element {
            self.cx.sink.report(&Problem::NestedAny, place());
        }
        let found = ProcessList::from_name(&list.text);
        if found.is_none() {
            let problem = Problem::NotProcessList {
                name: list.text.clone(),
            };
            let names = ProcessList::ALL.map(ProcessList::name);
            self.cx.sink.push(
                Diagnostic::new(&problem, place())
                    .help(format!("the lists are {}", names.join(" and "))),
            );
        }
        let body = self.expr(
            body,
            Scope {
                element: true,
                ..scope
            },
        );
        (!scope.element).then_some(Expr::Any(found?, Box::new(body?)))
    }

    fn bare(&mut self, name: &Name, scope: Scope<'_>) -> Option<Expr> {
        if self.cx.names.find_macro(&name.text).is_some() {
            return self.macro_use(name, scope);
        }
        self.count(1, &name.span, scope)?;
        let place = scope.node.locate(name.span.clone());
        let field = field::resolve(self.cx, name, scope, true)?;
        if field.ty() != FieldType::Bool {
            let problem = Problem::BareField {
                field: name.text.clone(),
                ty: field.ty().name(),
            };
            self.cx
                .sink
                .push(Diagnostic::new(&problem, place).help(format!(
                    "write `{} exists`, or compare it with a constant",
                    name.text
                )));
            return None;
        }
        Some(Expr::Predicate(Predicate {
            field,
            test: Test::Bool(true),
            span: ir_span(&name.span),
        }))
    }

    fn macro_use(&mut self, name: &Name, scope: Scope<'_>) -> Option<Expr> {
        let place = scope.node.locate(name.span.clone());
        let lowered = resolve_macro(self.cx, &name.text, &place)?;
        self.height = self.height.max(lowered.height);
        self.count(lowered.predicates, &name.span, scope)?;
        let definition = self.cx.names.find_macro(&name.text)?;
        definition.used.set(true);
        if lowered.element != scope.element {
            let why = if lowered.element {
                "a list's processes, inside `any`"
            } else {
                "the event, outside `any`"
            };
            let problem = Problem::MacroNotHere {
                name: name.text.clone(),
                why,
            };
            self.cx.sink.push(
                Diagnostic::new(&problem, place).also(definition.node.span.clone(), "the macro"),
            );
            return None;
        }
        let mut sound = true;
        lowered.expr.predicates(&mut |predicate| {
            let Some(class) = scope
                .classes
                .and_then(|classes| field::missing_class(predicate.field, classes))
            else {
                return;
            };
            let problem = Problem::MacroNotInClass {
                name: name.text.clone(),
                field: predicate.field.to_string(),
                class: class.name().to_owned(),
            };
            let inside = predicate.span.start as usize..predicate.span.end as usize;
            let mut diagnostic = Diagnostic::new(&problem, place.clone())
                .also(definition.node.locate(inside), "the macro uses it here");
            if let Some(help) = field::instead(predicate.field, class) {
                diagnostic = diagnostic.help(help);
            }
            // One is enough for each use.
            if sound {
                self.cx.sink.push(diagnostic);
            }
            sound = false;
        });
        let mut expr = sound.then(|| lowered.expr.clone())?;
        set_spans(&mut expr, ir_span(&name.span));
        Some(expr)
    }

    fn count(
        &mut self,
        more: usize,
        span: &std::ops::Range<usize>,
        scope: Scope<'_>,
    ) -> Option<()> {
        self.predicates = self.predicates.saturating_add(more);
        let limit = self.cx.limits.condition_predicates;
        if self.predicates <= limit {
            return Some(());
        }
        // Told once, at the predicate that is too many.
        if self.predicates - more <= limit {
            let place = scope.node.locate(span.clone());
            self.cx
                .sink
                .report(&Problem::TooManyPredicates { limit }, place);
        }
        None
    }

    fn check_depth(&mut self, expr: &Expr, scope: Scope<'_>) -> Option<()> {
        let limit = self.cx.limits.condition_depth;
        // Written parentheses and `not`s are within the limit already; one more
        // level each for `and` and `or` between them is allowed here.
        if depth(expr) <= limit * 3 {
            return Some(());
        }
        self.cx.sink.report(
            &Problem::ConditionTooDeep { limit },
            scope.node.span.clone(),
        );
        None
    }
}

/// The macro, checked by itself. `place` is where it is used first.
fn resolve_macro(cx: &mut Context<'_>, name: &str, place: &SourceSpan) -> Option<Rc<Lowered>> {
    let definition = cx.names.find_macro(name)?;
    let state = definition.state.borrow().clone();
    match state {
        State::Done(lowered) => return Some(lowered),
        State::Broken => return None,
        State::InProgress => {
            let path = cx.names.resolving.borrow();
            let from = path.iter().position(|step| step == name).unwrap_or(0);
            let circle: Vec<_> = path[from..]
                .iter()
                .map(String::as_str)
                .chain([name])
                .collect();
            let problem = Problem::MacroCycle {
                path: circle.join(" -> "),
            };
            cx.sink.report(&problem, place.clone());
            return None;
        }
        State::Waiting => {}
    }
    if cx.names.resolving.borrow().len() >= cx.limits.condition_depth {
        let limit = cx.limits.condition_depth;
        cx.sink
            .report(&Problem::ConditionTooDeep { limit }, place.clone());
        return None;
    }
    *definition.state.borrow_mut() = State::InProgress;
    cx.names.resolving.borrow_mut().push(name.to_owned());
    let lowered = lower_macro(cx, &definition.node, &definition.syntax);
    cx.names.resolving.borrow_mut().pop();
    *definition.state.borrow_mut() = lowered.clone().map_or(State::Broken, State::Done);
    lowered
}

fn lower_macro(cx: &mut Context<'_>, node: &Node<'_>, syntax: &ast::Expr) -> Option<Rc<Lowered>> {
    let element = speaks_of_elements(cx, node, syntax);
    let scope = Scope {
        node,
        classes: None,
        element,
    };
    let mut lowerer = Lowerer {
        cx,
        predicates: 0,
        height: 0,
    };
    let expr = lowerer.expr(syntax, scope)?;
    lowerer.check_depth(&expr, scope)?;
    let (predicates, height) = (lowerer.predicates, lowerer.height + 1);
    let limit = cx.limits.condition_depth;
    if height > limit {
        let place = node.span.clone();
        cx.sink.report(&Problem::ConditionTooDeep { limit }, place);
        return None;
    }
    Some(Rc::new(Lowered {
        expr,
        element,
        predicates,
        height,
    }))
}

/// Whether a macro's names are those of a list's processes: `name`, not `process.name`.
fn speaks_of_elements(cx: &mut Context<'_>, node: &Node<'_>, syntax: &ast::Expr) -> bool {
    match syntax {
        ast::Expr::And(parts) | ast::Expr::Or(parts) => {
            parts.iter().any(|part| speaks_of_elements(cx, node, part))
        }
        ast::Expr::Not(inner) => speaks_of_elements(cx, node, inner),
        ast::Expr::Predicate(predicate) => ProcessAttr::from_name(&predicate.field.text).is_some(),
        ast::Expr::Bare(name) => {
            let Some(definition) = cx.names.find_macro(&name.text) else {
                return ProcessAttr::from_name(&name.text).is_some();
            };
            // Its own name in a circle is reported when it is resolved.
            if matches!(*definition.state.borrow(), State::InProgress) {
                return false;
            }
            let place = node.locate(name.span.clone());
            resolve_macro(cx, &name.text, &place).is_some_and(|lowered| lowered.element)
        }
        ast::Expr::Any { .. } | ast::Expr::Flawed => false,
    }
}

fn depth(expr: &Expr) -> usize {
    1 + match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(depth).max().unwrap_or(0),
        Expr::Not(inner) | Expr::Any(_, inner) => depth(inner),
        Expr::Predicate(_) => 0,
    }
}

fn set_spans(expr: &mut Expr, span: Span) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            parts.iter_mut().for_each(|part| set_spans(part, span));
        }
        Expr::Not(inner) | Expr::Any(_, inner) => set_spans(inner, span),
        Expr::Predicate(predicate) => predicate.span = span,
    }
}

pub(super) fn ir_span(range: &std::ops::Range<usize>) -> Span {
    let byte = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Span {
        start: byte(range.start),
        end: byte(range.end),
    }
}
