//! The reference: conditions evaluated as they are written, one rule after the
//! other. The compiled program must agree with it on every event.
//!
//! What a rule means, once:
//!
//! * Logic is Kleene's: [`Truth`].
//! * A predicate on an **absent** value is false, whatever its operator (`!=`
//!   and `exists` too). On an **unknown** one it is unknown, but `exists` is true.
//! * On a **cut** text it is what the beginning alone decides (the table is in
//!   [`crate::text`]). A cut value that is no text decides nothing.
//! * A pattern holds of a **list** if it holds of one element. Of a cut list
//!   the last element is a cut text, and there are elements nobody saw: what no
//!   element makes true is unknown.
//! * `anyof` is *or* over its patterns, `allof` *and*; on a list each pattern of
//!   an `allof` may hold of another element. `!=` holds of a list if one element
//!   differs.
//! * `any LIST (…)` is *or* over the processes of the list, and over unknown if
//!   the list is incomplete.
//! * A rule is its condition *and not* any exception that has not expired; an
//!   exception has expired when the event's time has reached `expires_ns`.
//! * A rule whose classes do not hold the event's is not asked.

use crate::fold::Folder;
use crate::regexes::LazyRegex;
use crate::text::{Matcher, Sight};
use crate::truth::Truth;
use crate::verdict::{RuleIndex, Verdicts};
use picket_lang::ir::{Expr, IpNetwork, Predicate, Rule, Test, TextMatch};
use picket_model::event::{Value, process_value};
use picket_model::field::{Field, ProcessList, Subject};
use picket_model::process::Process;
use picket_model::{ClassSet, Datum, Event};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The value of a field, where `element` is the process that stands for
/// [`Subject::Element`] inside `any LIST (…)`.
pub fn value<'e>(event: &'e Event, element: Option<&'e Process>, field: Field) -> Datum<Value<'e>> {
    match (field, element) {
        (Field::Process(Subject::Element, attr), Some(process)) => process_value(process, attr),
        _ => event.value(field),
    }
}

/// A predicate, its patterns prepared.
#[derive(Debug, Clone)]
pub struct PreparedTest {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Exists,
    Text { matchers: Vec<Matcher>, all: bool },
    Number(Vec<RangeInclusive<i64>>),
    NumberNot(i64),
    Ip(Vec<IpNetwork>),
    IpNot(IpAddr),
    Bool(bool),
}

impl PreparedTest {
    /// Prepares a test.
    pub fn new(test: &Test) -> PreparedTest {
        PreparedTest::with_regexes(test, &mut |pattern, ignore_case| {
            Arc::new(LazyRegex::new(pattern, ignore_case))
        })
    }

    /// Prepares a test; `regex` is asked for its regexes, so that they can be shared.
    pub(crate) fn with_regexes(
        test: &Test,
        regex: &mut dyn FnMut(&str, bool) -> Arc<LazyRegex>,
    ) -> PreparedTest {
        let kind = match test {
            Test::Exists => Kind::Exists,
            Test::Text(text) => Kind::Text {
                matchers: text
                    .patterns
                    .iter()
                    .map(|pattern| match text.how {
                        TextMatch::Regex => Matcher::regex(regex(pattern, text.ignore_case)),
                        how => Matcher::new(how, pattern, text.ignore_case),
                    })
                    .collect(),
                all: text.all,
            },
            Test::TextNot { value, ignore_case } => Kind::Text {
                matchers: vec![Matcher::differs(value, *ignore_case)],
                all: false,
            },
            Test::Number(ranges) => Kind::Number(ranges.clone()),
            Test::NumberNot(number) => Kind::NumberNot(*number),
            Test::Ip(networks) => Kind::Ip(networks.clone()),
            Test::IpNot(address) => Kind::IpNot(*address),
            Test::Bool(expected) => Kind::Bool(*expected),
        };
        PreparedTest { kind }
    }

    /// Whether it holds of the value.
    pub fn test(&self, value: Datum<Value<'_>>, folder: &mut Folder) -> Truth {
        let (value, cut) = match value {
            Datum::Absent => return Truth::False,
            _ if matches!(self.kind, Kind::Exists) => return Truth::True,
            Datum::Unknown => return Truth::Unknown,
            Datum::Truncated(value) => (value, true),
            Datum::Known(value) => (value, false),
        };
        match (&self.kind, value) {
            (Kind::Text { matchers, all }, Value::Str(_) | Value::List(_)) => {
                let mut each = matchers
                    .iter()
                    .map(|matcher| pattern(matcher, value, cut, folder));
                if *all {
                    all_of(&mut each)
                } else {
                    any_of(&mut each)
                }
            }
            _ if cut => Truth::Unknown,
            (Kind::Number(ranges), Value::Int(number)) => {
                ranges.iter().any(|range| range.contains(&number)).into()
            }
            (Kind::NumberNot(own), Value::Int(number)) => (*own != number).into(),
            (Kind::Ip(networks), Value::Ip(address)) => networks
                .iter()
                .any(|network| network.contains(address))
                .into(),
            (Kind::IpNot(own), Value::Ip(address)) => (*own != address).into(),
            (Kind::Bool(expected), Value::Bool(is)) => (*expected == is).into(),
            // The checker lets no test meet a value of another type.
            _ => Truth::False,
        }
    }

    /// A rough order of cost, to ask cheap predicates first.
    pub(crate) fn cost(&self) -> u32 {
        match &self.kind {
            Kind::Text { matchers, .. } => {
                10 + matchers.iter().map(Matcher::cost).sum::<u32>().min(10_000)
            }
            _ => 1,
        }
    }
}

impl PreparedTest {
    /// What it takes, in bytes, without built regexes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<PreparedTest>()
            + match &self.kind {
                Kind::Text { matchers, .. } => matchers.iter().map(Matcher::memory).sum(),
                Kind::Number(ranges) => ranges.len() * size_of::<RangeInclusive<i64>>(),
                Kind::Ip(networks) => networks.len() * size_of::<IpNetwork>(),
                _ => 0,
            }
    }
}

/// One pattern on a text or on any element of a list.
fn pattern(matcher: &Matcher, value: Value<'_>, cut: bool, folder: &mut Folder) -> Truth {
    let list = match value {
        Value::Str(text) => return matcher.test(Sight { text, cut }, folder),
        Value::List(list) => list,
        _ => return Truth::False,
    };
    let mut elements = list.iter().peekable();
    let mut found = if cut { Truth::Unknown } else { Truth::False };
    while let Some(text) = elements.next() {
        let cut = cut && elements.peek().is_none();
        found = found.or(matcher.test(Sight { text, cut }, folder));
        if found == Truth::True {
            break;
        }
    }
    found
}

/// *Or*, stopping at the first that is true.
pub(crate) fn any_of(each: &mut dyn Iterator<Item = Truth>) -> Truth {
    let mut found = Truth::False;
    for truth in each {
        found = found.or(truth);
        if found == Truth::True {
            break;
        }
    }
    found
}

/// *And*, stopping at the first that is false.
pub(crate) fn all_of(each: &mut dyn Iterator<Item = Truth>) -> Truth {
    let mut found = Truth::True;
    for truth in each {
        found = found.and(truth);
        if found == Truth::False {
            break;
        }
    }
    found
}

/// A condition whose predicates are prepared.
#[derive(Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Predicate(Field, PreparedTest),
    Any(ProcessList, Box<Node>),
}

impl Node {
    pub(crate) fn new(expr: &Expr) -> Node {
        match expr {
            Expr::And(parts) => Node::And(cheap_first(parts)),
            Expr::Or(parts) => Node::Or(cheap_first(parts)),
            Expr::Not(part) => Node::Not(Box::new(Node::new(part))),
            Expr::Predicate(Predicate { field, test, .. }) => {
                Node::Predicate(*field, PreparedTest::new(test))
            }
            Expr::Any(list, body) => Node::Any(*list, Box::new(Node::new(body))),
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Node::And(parts) | Node::Or(parts) => parts.iter().map(Node::cost).sum(),
            Node::Not(part) => part.cost(),
            Node::Predicate(_, test) => test.cost(),
            Node::Any(_, body) => 10 * body.cost(),
        }
    }

    pub(crate) fn test(
        &self,
        event: &Event,
        element: Option<&Process>,
        folder: &mut Folder,
    ) -> Truth {
        match self {
            Node::And(parts) => {
                all_of(&mut parts.iter().map(|part| part.test(event, element, folder)))
            }
            Node::Or(parts) => {
                any_of(&mut parts.iter().map(|part| part.test(event, element, folder)))
            }
            Node::Not(part) => !part.test(event, element, folder),
            Node::Predicate(field, test) => test.test(value(event, element, *field), folder),
            Node::Any(list, body) => {
                let mut processes = event.processes(*list);
                let found = any_of(
                    &mut processes
                        .by_ref()
                        .map(|process| body.test(event, Some(process), folder)),
                );
                if processes.is_cut() {
                    found.or(Truth::Unknown)
                } else {
                    found
                }
            }
        }
    }
}

fn cheap_first(parts: &[Expr]) -> Vec<Node> {
    let mut nodes: Vec<Node> = parts.iter().map(Node::new).collect();
    nodes.sort_by_key(Node::cost);
    nodes
}

/// Rules, prepared for one-by-one evaluation.
#[derive(Debug, Default)]
pub struct Evaluator {
    rules: Vec<PreparedRule>,
}

#[derive(Debug)]
struct PreparedRule {
    classes: ClassSet,
    condition: Node,
    exceptions: Vec<(Option<i64>, Node)>,
}

impl PreparedRule {
    fn new(rule: &Rule) -> PreparedRule {
        PreparedRule {
            classes: rule.classes.iter().copied().collect(),
            condition: Node::new(&rule.condition),
            exceptions: rule
                .exceptions
                .iter()
                .map(|exception| (exception.expires_ns, Node::new(&exception.condition)))
                .collect(),
        }
    }

    fn test(&self, event: &Event, folder: &mut Folder) -> Truth {
        if !self.classes.contains(event.class) {
            return Truth::False;
        }
        let condition = self.condition.test(event, None, folder);
        if condition == Truth::False {
            return Truth::False;
        }
        let excepted = any_of(
            &mut self
                .exceptions
                .iter()
                .filter(|(expires_ns, _)| !has_expired(*expires_ns, event))
                .map(|(_, exception)| exception.test(event, None, folder)),
        );
        condition.and(!excepted)
    }
}

/// Whether an exception no longer holds for the event.
pub(crate) fn has_expired(expires_ns: Option<i64>, event: &Event) -> bool {
    expires_ns.is_some_and(|expires_ns| event.time_ns >= expires_ns)
}

impl Evaluator {
    /// Prepares the rules.
    pub fn new(rules: &[Rule]) -> Evaluator {
        Evaluator {
            rules: rules.iter().map(PreparedRule::new).collect(),
        }
    }

    /// What each rule says of the event.
    pub fn evaluate(&self, event: &Event, folder: &mut Folder, verdicts: &mut Verdicts) {
        folder.forget();
        verdicts.clear();
        for (rule, index) in self.rules.iter().zip(0..) {
            match rule.test(event, folder) {
                Truth::True => verdicts.matched.push(RuleIndex(index)),
                Truth::Unknown => verdicts.undecided.push(RuleIndex(index)),
                Truth::False => {}
            }
        }
    }
}
