//! Conditions in the kernel's terms: questions at the leaves, negations there
//! too, and what speaks of one process only gathered in *units*.
//!
//! A unit is answered once, when the process executes, and kept with it. What
//! remains of a rule are questions about the event and bits of the processes it
//! speaks of.

use super::Host;
use super::ask::{self, Ask, Asked, Why};
use super::layout::Space;
use crate::naive::{all_of, any_of};
use crate::truth::Truth;
use picket_lang::ir::{Expr, Predicate, Rule, Test, TextTest};
use picket_model::EventClass;
use picket_model::field::{Field, Subject};
use std::collections::HashMap;

/// A condition whose negations stand at its leaves.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Leaf(Leaf),
    Constant(bool),
}

/// One bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Leaf {
    /// Whose.
    pub space: Space,
    /// An atom, or a unit.
    pub index: usize,
    pub negated: bool,
}

/// What is asked of a process, whoever's it is.
#[derive(Debug)]
pub(super) struct Unit {
    /// Over atoms.
    pub tree: Tree,
    /// Some rule asks it of another process than the new image.
    pub kept: bool,
}

/// Everything the rules refer to, each once.
#[derive(Debug, Default)]
pub(super) struct Interner {
    pub atoms: Vec<Ask>,
    pub units: Vec<Unit>,
    atom_ids: HashMap<String, usize>,
    unit_ids: HashMap<String, usize>,
}

/// A leaf before units are gathered.
#[derive(Debug, Clone, Copy)]
struct Raw {
    /// None: the event's own.
    subject: Option<Subject>,
    leaf: Leaf,
}

#[derive(Debug, Clone)]
enum RawTree {
    All(Vec<RawTree>),
    Any(Vec<RawTree>),
    Leaf(Raw),
    Constant(bool),
}

/// When an exception counts as about to expire: the kernel's tables must be new
/// by then, and until they are they must not be wrong.
pub(super) const EXPIRY_MARGIN_NS: i64 = 5_000_000_000;

impl Interner {
    /// What a rule and its exceptions come to in events of that class.
    pub(super) fn rule(&mut self, rule: &Rule, class: EventClass, host: &Host) -> Tree {
        let mut lowering = Lowering {
            interner: self,
            class,
            host,
        };
        let mut parts = vec![lowering.expr(&rule.condition, false, false)];
        for exception in &rule.exceptions {
            let left = exception
                .expires_ns
                .map_or(i64::MAX, |expires| expires.saturating_sub(host.now_ns));
            if left < -EXPIRY_MARGIN_NS {
                continue;
            }
            let holds = lowering.expr(&exception.condition, true, false);
            parts.push(if left > EXPIRY_MARGIN_NS {
                holds
            } else {
                let unsure = lowering.never(Why::Expiry, None);
                RawTree::Any(vec![holds, unsure])
            });
        }
        let raw = simplify(RawTree::All(parts));
        self.gather(raw)
    }

    /// The unit of that tree over atoms.
    pub(super) fn unit(&mut self, tree: Tree, kept: bool) -> usize {
        let next = self.units.len();
        let id = *self.unit_ids.entry(format!("{tree:?}")).or_insert(next);
        if id == next {
            self.units.push(Unit { tree, kept });
        } else {
            self.units[id].kept |= kept;
        }
        id
    }

    /// The atom of that question.
    pub(super) fn atom(&mut self, ask: Ask) -> usize {
        let next = self.atoms.len();
        let id = *self.atom_ids.entry(format!("{ask:?}")).or_insert(next);
        if id == next {
            self.atoms.push(ask);
        }
        id
    }

    /// Parts that speak of the same process become one unit.
    fn gather(&mut self, raw: RawTree) -> Tree {
        if let Some(subject) = subject_of(&raw) {
            let kept = subject != Subject::Process;
            let index = self.unit(over_atoms(raw), kept);
            return Tree::Leaf(Leaf {
                space: space(subject),
                index,
                negated: false,
            });
        }
        let (parts, all) = match raw {
            RawTree::Constant(value) => return Tree::Constant(value),
            RawTree::Leaf(raw) => return Tree::Leaf(raw.leaf),
            RawTree::All(parts) => (parts, true),
            RawTree::Any(parts) => (parts, false),
        };
        let join = if all { RawTree::All } else { RawTree::Any };
        let mut gathered = Vec::new();
        let mut by_subject: Vec<(Subject, Vec<RawTree>)> = Vec::new();
        for part in parts {
            let Some(subject) = subject_of(&part) else {
                gathered.push(self.gather(part));
                continue;
            };
            match by_subject.iter_mut().find(|(own, _)| *own == subject) {
                Some((_, parts)) => parts.push(part),
                None => by_subject.push((subject, vec![part])),
            }
        }
        for (_, mut parts) in by_subject {
            let part = match parts.len() {
                1 => parts.swap_remove(0),
                _ => join(parts),
            };
            gathered.push(self.gather(part));
        }
        if all {
            Tree::All(gathered)
        } else {
            Tree::Any(gathered)
        }
    }
}

struct Lowering<'l, 'h> {
    interner: &'l mut Interner,
    class: EventClass,
    host: &'l Host<'h>,
}

impl Lowering<'_, '_> {
    fn expr(&mut self, expr: &Expr, negated: bool, in_body: bool) -> RawTree {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => {
                let all = matches!(expr, Expr::And(_)) != negated;
                let parts = parts
                    .iter()
                    .map(|part| self.expr(part, negated, in_body))
                    .collect();
                if all {
                    RawTree::All(parts)
                } else {
                    RawTree::Any(parts)
                }
            }
            Expr::Not(part) => self.expr(part, !negated, in_body),
            Expr::Predicate(predicate) => self.predicate(predicate, negated, in_body),
            // Both lists are the line of who forked whom: an image changes it for none.
            Expr::Any(_, body) => {
                if !speaks_of_element_only(body) {
                    return self.never(Why::MixedList, None);
                }
                let body = simplify(self.expr(body, false, true));
                let index = self.interner.unit(over_atoms(body), true);
                RawTree::Leaf(Raw {
                    subject: None,
                    leaf: Leaf {
                        space: Space::Line,
                        index,
                        negated,
                    },
                })
            }
        }
    }

    fn never(&mut self, why: Why, subject: Option<Subject>) -> RawTree {
        let index = self.interner.atom(Ask::Never(why));
        let leaf = Leaf {
            space: Space::Atom,
            index,
            negated: false,
        };
        RawTree::Leaf(Raw { subject, leaf })
    }

    fn predicate(&mut self, predicate: &Predicate, negated: bool, in_body: bool) -> RawTree {
        let field = predicate.field;
        let subject = match field {
            Field::Process(Subject::Element, _) if !in_body => return RawTree::Constant(negated),
            Field::Process(subject, _) => Some(subject),
            Field::Event(_) => None,
        };
        // What the class does not have is absent, and false.
        if !field.classes().contains(&self.class) {
            return RawTree::Constant(negated);
        }
        match &predicate.test {
            Test::Text(text) if text.all && text.patterns.len() > 1 => {
                let parts = text
                    .patterns
                    .iter()
                    .map(|pattern| {
                        let one = Test::Text(TextTest {
                            how: text.how,
                            ignore_case: text.ignore_case,
                            patterns: vec![pattern.clone()],
                            all: false,
                        });
                        self.test(field, &one, negated, subject)
                    })
                    .collect();
                if negated {
                    RawTree::Any(parts)
                } else {
                    RawTree::All(parts)
                }
            }
            test => self.test(field, test, negated, subject),
        }
    }

    fn test(
        &mut self,
        field: Field,
        test: &Test,
        negated: bool,
        subject: Option<Subject>,
    ) -> RawTree {
        self.asked(ask::ask(field, test, self.host), negated, subject)
    }

    fn asked(&mut self, asked: Asked, negated: bool, subject: Option<Subject>) -> RawTree {
        let (parts, all) = match asked {
            Asked::Constant(value) => return RawTree::Constant(value != negated),
            Asked::Not(part) => return self.asked(*part, !negated, subject),
            Asked::One(ask) => {
                let leaf = Leaf {
                    space: Space::Atom,
                    index: self.interner.atom(ask),
                    negated,
                };
                return RawTree::Leaf(Raw { subject, leaf });
            }
            Asked::All(parts) => (parts, true),
            Asked::Any(parts) => (parts, false),
        };
        let parts = parts
            .into_iter()
            .map(|part| self.asked(part, negated, subject))
            .collect();
        if all != negated {
            RawTree::All(parts)
        } else {
            RawTree::Any(parts)
        }
    }
}

/// True if the body's fields are its element's and no list stands inside.
fn speaks_of_element_only(body: &Expr) -> bool {
    match body {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().all(speaks_of_element_only),
        Expr::Not(part) => speaks_of_element_only(part),
        Expr::Predicate(predicate) => {
            matches!(predicate.field, Field::Process(Subject::Element, _))
        }
        Expr::Any(..) => false,
    }
}

/// The process that every leaf speaks of, if there is one.
fn subject_of(tree: &RawTree) -> Option<Subject> {
    match tree {
        RawTree::Leaf(raw) => raw.subject,
        RawTree::Constant(_) => None,
        RawTree::All(parts) | RawTree::Any(parts) => {
            let first = subject_of(parts.first()?)?;
            parts
                .iter()
                .all(|part| subject_of(part) == Some(first))
                .then_some(first)
        }
    }
}

fn space(subject: Subject) -> Space {
    match subject {
        Subject::Process => Space::Process,
        Subject::Parent => Space::Parent,
        Subject::Actor => Space::Actor,
        Subject::Element => Space::Line,
    }
}

/// Without whose it is.
fn over_atoms(tree: RawTree) -> Tree {
    let all = |parts: Vec<RawTree>| parts.into_iter().map(over_atoms).collect();
    match tree {
        RawTree::All(parts) => Tree::All(all(parts)),
        RawTree::Any(parts) => Tree::Any(all(parts)),
        RawTree::Leaf(raw) => Tree::Leaf(raw.leaf),
        RawTree::Constant(value) => Tree::Constant(value),
    }
}

/// Constants are taken out, and *all* in *all* and *any* in *any* are one.
fn simplify(tree: RawTree) -> RawTree {
    let (parts, all) = match tree {
        RawTree::All(parts) => (parts, true),
        RawTree::Any(parts) => (parts, false),
        tree => return tree,
    };
    let mut kept = Vec::new();
    for part in parts {
        match simplify(part) {
            // True does not matter in *all*, false not in *any*; the other decides.
            RawTree::Constant(value) if value == all => {}
            RawTree::Constant(value) => return RawTree::Constant(value),
            RawTree::All(inner) if all => kept.extend(inner),
            RawTree::Any(inner) if !all => kept.extend(inner),
            part => kept.push(part),
        }
    }
    match kept.len() {
        0 => RawTree::Constant(all),
        1 => kept.swap_remove(0),
        _ if all => RawTree::All(kept),
        _ => RawTree::Any(kept),
    }
}

impl Tree {
    /// Calls `each` on every leaf.
    pub(super) fn leaves(&self, each: &mut dyn FnMut(Leaf)) {
        match self {
            Tree::All(parts) | Tree::Any(parts) => {
                parts.iter().for_each(|part| part.leaves(each));
            }
            Tree::Leaf(leaf) => each(*leaf),
            Tree::Constant(_) => {}
        }
    }

    /// Kleene's value, with each leaf's own.
    pub(super) fn truth(&self, leaf: &mut dyn FnMut(Leaf) -> Truth) -> Truth {
        match self {
            Tree::All(parts) => all_of(&mut parts.iter().map(|part| part.truth(leaf))),
            Tree::Any(parts) => any_of(&mut parts.iter().map(|part| part.truth(leaf))),
            Tree::Constant(value) => (*value).into(),
            Tree::Leaf(own) if own.negated => !leaf(*own),
            Tree::Leaf(own) => leaf(*own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Folder;
    use crate::kernel::answer::{Question, View, answer};
    use crate::naive::Evaluator;
    use crate::testing::Choices;
    use crate::verdict::Verdicts;
    use picket_model::event::{Detail, Endpoint, Value, process_value};
    use picket_model::field::{EventAttr, ProcessAttr, ProcessList};
    use picket_model::process::Process;
    use picket_model::{Datum, Event};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// An event with one of its processes.
    struct Seen<'e> {
        event: &'e Event,
        process: Datum<&'e Process>,
    }

    impl View for Seen<'_> {
        fn process(&self, attr: ProcessAttr) -> Datum<Value<'_>> {
            match self.process {
                Datum::Known(process) | Datum::Truncated(process) => process_value(process, attr),
                Datum::Unknown => Datum::Unknown,
                Datum::Absent => Datum::Absent,
            }
        }

        fn event(&self, attr: EventAttr) -> Datum<Value<'_>> {
            self.event.value(Field::Event(attr))
        }

        fn file(&self) -> Datum<u64> {
            self.process
                .known()
                .map_or(Datum::Unknown, |process| process.file())
        }
    }

    fn truth(tree: &Tree, interner: &Interner, event: &Event) -> Truth {
        let seen = |process| Seen { event, process };
        let unit = |index: usize, process| {
            interner.units[index].tree.truth(&mut |leaf: Leaf| {
                answer(
                    &Question::new(interner.atoms[leaf.index].clone()),
                    &seen(process),
                )
            })
        };
        tree.truth(&mut |leaf| match leaf.space {
            Space::Atom => answer(
                &Question::new(interner.atoms[leaf.index].clone()),
                &seen(Datum::Absent),
            ),
            Space::Process => unit(leaf.index, event.subject(Subject::Process)),
            Space::Actor => unit(leaf.index, event.subject(Subject::Actor)),
            Space::Parent => unit(leaf.index, event.subject(Subject::Parent)),
            Space::Line => {
                let mut line = event.processes(ProcessList::ProcessAncestors);
                let found =
                    any_of(&mut line.by_ref().map(|own| unit(leaf.index, Datum::Known(own))));
                if line.is_cut() {
                    found.or(Truth::Unknown)
                } else {
                    found
                }
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn the_questions_ask_what_the_rules_mean(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut choices = Choices::new(&bytes);
            let rules = choices.rules(6);
            let events: Vec<Event> = choices.events(6).into_iter().map(as_sensors_make_them).collect();
            let reference = Evaluator::new(&rules);
            let mut verdicts = Verdicts::default();
            for event in &events {
                reference.evaluate(event, &mut Folder::default(), &mut verdicts);
                // The tables are made at the event's time, away from any expiry.
                let users = users();
                let host = Host { users: &users, now_ns: event.time_ns, ..host(event) };
                for (number, rule) in rules.iter().enumerate() {
                    if !rule.classes.contains(&event.class) {
                        continue;
                    }
                    let mut interner = Interner::default();
                    let tree = interner.rule(rule, event.class, &host);
                    let index = crate::RuleIndex(number as u32);
                    let expected = match () {
                        () if verdicts.matched.contains(&index) => Truth::True,
                        () if verdicts.undecided.contains(&index) => Truth::Unknown,
                        () => Truth::False,
                    };
                    let found = truth(&tree, &interner, event);
                    prop_assert!(
                        found == expected || found == Truth::Unknown,
                        "{found:?} instead of {expected:?}: {} except {:?} as {tree:?} of {:?} and {:?} on {event:#?}", rule.condition, rule.exceptions, interner.units, interner.atoms
                    );
                }
            }
        }
    }

    /// Users of the tests' host.
    fn users() -> Vec<(u32, String)> {
        let of = |uid, name: &str| (uid, name.to_owned());
        vec![
            of(0, "bash"),
            of(22, "Bash"),
            of(443, "é"),
            of(1000, "curl a"),
        ]
    }

    /// A sensor takes a user's name from its uid and knows its own host; an event has
    /// nothing that its class has not.
    fn as_sensors_make_them(mut event: Event) -> Event {
        event.actor.user_name = match event.actor.uid {
            Datum::Known(uid) => users()
                .into_iter()
                .find(|(own, _)| *own == uid)
                .map(|(_, name)| name.into())
                .into(),
            Datum::Absent => Datum::Absent,
            _ => Datum::Unknown,
        };
        let class = event.class;
        match &mut event.detail {
            Detail::File(file) => {
                if !matches!(class, EventClass::FileOpen | EventClass::FileCreate) {
                    file.open = Datum::Absent;
                }
                if class != EventClass::FileRename {
                    file.rename_from = Datum::Absent;
                }
                if class != EventClass::FileChmod {
                    file.mode = Datum::Absent;
                }
            }
            Detail::Network(network) if class == EventClass::NetworkListen => {
                network.dst = Endpoint::default();
            }
            Detail::Dns(dns) => dns.resolver.hostname = Datum::Absent,
            // An image is replaced by another of the same process.
            Detail::Exec(exec) => {
                let before = event.actor.process.value().unwrap_or(&exec.process);
                let (own, image) = (&exec.process, before.image.clone());
                let actor = Process::new(own.key, image, own.parent.clone());
                event.actor.process = Datum::Known(Arc::new(actor));
            }
            _ => {}
        }
        let host = Arc::make_mut(&mut event.host);
        host.hostname = host.hostname.known().cloned().into();
        host.labels = host.labels.known().cloned().into();
        event
    }

    fn host(event: &Event) -> Host<'_> {
        Host {
            users: &[],
            hostname: event.host.hostname.known().map(|name| &**name),
            labels: event.host.labels.known().map(|labels| &**labels),
            now_ns: 0,
        }
    }
}
