//! Names to fields, and what to say of names that are none.

use crate::check::{Context, Scope};
use crate::condition::ast::Name;
use crate::diagnostics::{Diagnostic, Problem, nearest};
use crate::formats;
use crate::source::SourceSpan;
use picket_model::EventClass;
use picket_model::field::{Field, ProcessAttr, ProcessList, Subject};

/// The field of that name in that scope; anything else is reported. `bare`: the
/// name stands alone, so that a macro may have been meant.
pub(super) fn resolve(
    cx: &mut Context<'_>,
    name: &Name,
    scope: Scope<'_>,
    bare: bool,
) -> Option<Field> {
    let span = scope.node.locate(name.span.clone());
    let found = if scope.element {
        element_field(&name.text, span)
    } else {
        event_field(&name.text, scope.classes, span)
    };
    let mut diagnostic = match found {
        Ok(field) => return Some(field),
        Err(diagnostic) => diagnostic,
    };
    // Perhaps it was to be a macro; a name with dots was not.
    if bare && !name.text.contains('.') && diagnostic.help.is_empty() {
        let problem = Problem::UnknownName {
            name: name.text.clone(),
        };
        let near = nearest(&name.text, cx.names.macro_names());
        *diagnostic = Diagnostic::new(&problem, diagnostic.primary.span).suggest(near);
    }
    cx.sink.push(*diagnostic);
    None
}

/// The field of that name outside `any`, for keys of exceptions.
pub(crate) fn resolve_any(
    name: &str,
    classes: &[EventClass],
    span: SourceSpan,
) -> Result<Field, Box<Diagnostic>> {
    event_field(name, Some(classes), span)
}

/// One of the classes, if it does not have the field.
pub(crate) fn missing_class(field: Field, classes: &[EventClass]) -> Option<EventClass> {
    classes
        .iter()
        .copied()
        .find(|class| !field.classes().contains(class))
}

fn event_field(
    name: &str,
    classes: Option<&[EventClass]>,
    span: SourceSpan,
) -> Result<Field, Box<Diagnostic>> {
    let Some(field) = Field::from_name(name) else {
        return Err(Box::new(unknown(name, classes, span)));
    };
    match classes.and_then(|classes| missing_class(field, classes)) {
        None => Ok(field),
        Some(class) => {
            let problem = Problem::FieldNotInClass {
                field: name.to_owned(),
                class: class.name().to_owned(),
            };
            let having: Vec<_> = field.classes().iter().map(|class| class.name()).collect();
            let mut diagnostic = Diagnostic::new(&problem, span)
                .help(format!("`{name}` is in {} events", having.join(", ")));
            if let Some(help) = instead(field, class) {
                diagnostic = diagnostic.help(help);
            }
            Err(Box::new(diagnostic))
        }
    }
}

fn element_field(name: &str, span: SourceSpan) -> Result<Field, Box<Diagnostic>> {
    if let Some(attr) = ProcessAttr::from_name(name) {
        return Ok(Field::Process(Subject::Element, attr));
    }
    let diagnostic = match Field::from_name(name) {
        Some(field) => {
            let diagnostic = Diagnostic::new(
                &Problem::EventFieldInAny {
                    name: name.to_owned(),
                },
                span,
            );
            match field {
                Field::Process(_, attr) => diagnostic.help(format!("write `{}`", attr.name())),
                Field::Event(_) => {
                    diagnostic.help("test it outside the parentheses of `any`, joined by `and`")
                }
            }
        }
        None => {
            let names = ProcessAttr::ALL.iter().map(|attr| attr.name());
            Diagnostic::new(
                &Problem::UnknownField {
                    name: name.to_owned(),
                },
                span,
            )
            .suggest(nearest(name, names))
        }
    };
    Err(Box::new(diagnostic))
}

/// What to use in `class` instead of a field that it does not have.
pub(super) fn instead(field: Field, class: EventClass) -> Option<String> {
    let Field::Process(subject, attr) = field else {
        return None;
    };
    if class == EventClass::ProcessExec {
        return None;
    }
    match subject {
        Subject::Process => Some(format!(
            "the process that acts in `{class}` is `actor.process`: write `{}{}`",
            Subject::Actor.prefix(),
            attr.name(),
        )),
        Subject::Parent => Some(format!(
            "write `any {} ({} …)`: it looks at the acting process's parent and everything above it",
            ProcessList::ActorAncestors.name(),
            attr.name(),
        )),
        Subject::Actor | Subject::Element => None,
    }
}

fn unknown(name: &str, classes: Option<&[EventClass]>, span: SourceSpan) -> Diagnostic {
    if ProcessList::from_name(name).is_some() {
        return Diagnostic::new(
            &Problem::ListAsField {
                name: name.to_owned(),
            },
            span,
        )
        .help(format!("write `any {name} (name == \"…\")`"));
    }
    let in_exec = classes.is_some_and(|classes| classes == [EventClass::ProcessExec]);
    if let Some(attr) = ProcessAttr::from_name(name) {
        let subject = if in_exec {
            Subject::Process
        } else {
            Subject::Actor
        };
        return Diagnostic::new(
            &Problem::ElementFieldOutside {
                name: name.to_owned(),
            },
            span,
        )
        .help(format!(
            "write `{}{}`, or put it inside `any LIST ( … )`",
            subject.prefix(),
            attr.name()
        ));
    }
    let diagnostic = Diagnostic::new(
        &Problem::UnknownField {
            name: name.to_owned(),
        },
        span,
    );
    let of_list = ProcessList::ALL
        .into_iter()
        .find_map(|list| Some((list, name.strip_prefix(list.name())?.strip_prefix('.')?)));
    if let Some((list, attr)) = of_list {
        return diagnostic.help(format!("write `any {} ({attr} …)`", list.name()));
    }
    if let Some((format, ours)) = formats::our_field(name, in_exec) {
        return diagnostic.help(format!("that is {format}'s name; here it is `{ours}`"));
    }
    let names: Vec<String> = Field::all().map(|field| field.to_string()).collect();
    let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    // `pid` for `process.pid` and the like: the last part of a name, alone.
    let near = near.or_else(|| {
        let tail = format!(".{name}");
        let usable =
            |field: &Field| classes.is_none_or(|classes| missing_class(*field, classes).is_none());
        Field::all()
            .filter(usable)
            .map(|field| field.to_string())
            .find(|full| full.ends_with(&tail))
    });
    diagnostic.suggest(near)
}
