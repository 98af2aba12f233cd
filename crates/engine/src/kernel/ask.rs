//! What is asked of one value, in the terms of the kernel's tables.
//!
//! A rule's test becomes a small tree of questions: `!=` is "there is one, and it
//! is not this"; a test of a name that stands for a number (a user's, a record
//! type's) becomes a set of numbers.

use super::automaton::{Literal, Symbol};
use super::layout::{Address, Number, Text};
use super::{Host, regex};
use crate::fold::Folder;
use crate::glob::{Glob, Part};
use crate::naive::PreparedTest;
use crate::regexes::LazyRegex;
use picket_lang::ir::{IpNetwork, Test, TextMatch, TextTest};
use picket_model::Datum;
use picket_model::event::{Status, TextList, Value};
use picket_model::field::{EventAttr, Field, ProcessAttr, Subject};
use picket_model::record::Protocol;
use regex_syntax::hir::Hir;
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// A question that one bit answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ask {
    /// Is there such a text at all?
    TextExists(Text),
    /// Is there such a number?
    NumberExists(Number),
    /// Does the text hold one of these?
    Literals {
        /// Which text.
        text: Text,
        /// Without regard to case.
        folded: bool,
        /// None of them empty.
        literals: Vec<Literal>,
    },
    /// Does one of these match in the text?
    Regexes {
        /// Which text.
        text: Text,
        /// Each with what it cannot do without.
        regexes: Vec<(Hir, Option<Vec<String>>)>,
    },
    /// Does the number lie in one of these?
    Number(Number, Vec<RangeInclusive<u64>>),
    /// Does the address lie in one of these? IPv4 and IPv6 never mix.
    Address(Address, Vec<RangeInclusive<u64>>, Vec<RangeInclusive<u128>>),
    /// Has the set one of these bits?
    Mask(u64),
    /// The kernel cannot tell.
    Never(Why),
}

/// Why the kernel cannot answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Only the sensor knows the field's value.
    Field(Field),
    /// The regex is too large for an automaton, or looks for what none can see.
    Regex(Field),
    /// The text asked for can stand for bytes that are no text.
    Replacement(Field),
    /// `!=` on a list.
    ListDiffers(Field),
    /// `any LIST ( … )` around fields that are not the element's.
    MixedList,
    /// An exception is about to expire.
    Expiry,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::Field(field) => write!(f, "{field} is known to the sensor only"),
            Why::Regex(field) => write!(f, "a pattern on {field} is too large for the kernel"),
            Why::Replacement(field) => {
                write!(
                    f,
                    "a text on {field} has a NUL or U+FFFD, which the kernel sees otherwise"
                )
            }
            Why::ListDiffers(field) => write!(f, "`!=` on the list {field}"),
            Why::MixedList => f.write_str("a list's body speaks of more than its element"),
            Why::Expiry => f.write_str("an exception expires this very moment"),
        }
    }
}

/// A tree of questions about one value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    All(Vec<Asked>),
    Any(Vec<Asked>),
    Not(Box<Asked>),
    One(Ask),
    Constant(bool),
}

impl Asked {
    fn and_not(first: Ask, second: Asked) -> Asked {
        Asked::All(vec![Asked::One(first), Asked::Not(Box::new(second))])
    }
}

/// Where a field's value comes from.
enum Source<'h> {
    Text(Text),
    Number(Number),
    Address(Address),
    /// A number, and every text it can stand for, with the numbers that do.
    Named(Number, Cow<'h, [Named]>),
    Capabilities,
    /// The same in every event of this host.
    Fixed(Datum<Value<'h>>),
    Never,
}

/// The test of a field.
pub(super) fn ask(field: Field, test: &Test, host: &Host<'_>) -> Asked {
    match source(field, host) {
        Source::Never => Asked::One(Ask::Never(Why::Field(field))),
        Source::Fixed(value) => Asked::Constant(
            PreparedTest::new(test).test(value, &mut Folder::default()) == crate::Truth::True,
        ),
        Source::Text(text) => match test {
            Test::Exists => Asked::One(Ask::TextExists(text)),
            Test::TextNot { value, ignore_case } => {
                if text == Text::Args {
                    return Asked::One(Ask::Never(Why::ListDiffers(field)));
                }
                let same = TextTest {
                    how: TextMatch::Equals,
                    ignore_case: *ignore_case,
                    patterns: vec![value.clone()],
                    all: false,
                };
                Asked::and_not(Ask::TextExists(text), text_test(field, text, &same))
            }
            Test::Text(test) => text_test(field, text, test),
            _ => Asked::Constant(false),
        },
        Source::Number(number) => number_test(number, test),
        Source::Address(address) => address_test(address, test),
        Source::Named(number, names) => named_test(number, &names, test),
        Source::Capabilities => capabilities_test(test),
    }
}

fn source<'h>(field: Field, host: &Host<'h>) -> Source<'h> {
    use {EventAttr as E, ProcessAttr as P};
    match field {
        Field::Process(subject, attr) => match attr {
            P::Name => Source::Text(Text::Name),
            P::ExePath => Source::Text(Text::Path),
            P::CmdLine => Source::Text(Text::CmdLine),
            P::Args => Source::Text(Text::Args),
            P::WorkingDirectory => Source::Text(Text::WorkingDirectory),
            P::Tty => Source::Text(Text::Tty),
            P::Interpreter => Source::Text(Text::Interpreter),
            P::Script => Source::Text(Text::Script),
            // A child has its creator's image, but another pid.
            P::Pid if subject == Subject::Process => Source::Number(Number::Pid),
            P::Pid | P::Sha256 => Source::Never,
            P::Uid => Source::Number(Number::Uid),
            P::Gid => Source::Number(Number::Gid),
            P::Euid => Source::Number(Number::Euid),
            P::Memfd => Source::Number(Number::Memfd),
            P::Deleted => Source::Number(Number::Deleted),
            P::UpperLayer => Source::Number(Number::UpperLayer),
            P::Capabilities => Source::Capabilities,
            P::PidNamespace => Source::Number(Number::PidNamespace),
            P::MountNamespace => Source::Number(Number::MountNamespace),
            P::Inode => Source::Number(Number::Inode),
        },
        Field::Event(attr) => match attr {
            E::UserName => Source::Named(Number::User, host.user_names().into()),
            E::UserUid => Source::Number(Number::User),
            E::SessionAuid => Source::Number(Number::Auid),
            E::DeviceHostname => Source::Fixed(
                host.hostname
                    .map_or(Datum::Absent, |name| Datum::Known(Value::Str(name))),
            ),
            E::DeviceLabels => Source::Fixed(host.labels.map_or(Datum::Absent, |labels| {
                Datum::Known(Value::List(TextList::Texts(labels)))
            })),
            E::DstIp => Source::Address(Address::Dst),
            E::DstPort => Source::Number(Number::DstPort),
            E::SrcIp => Source::Address(Address::Src),
            E::SrcPort => Source::Number(Number::SrcPort),
            E::Protocol => Source::Named(Number::Protocol, protocols().into()),
            E::QueryHostname => Source::Text(Text::Query),
            E::QueryType => Source::Named(Number::QueryType, query_types().into()),
            E::FilePath => Source::Text(Text::File),
            E::FileName => Source::Text(Text::FileName),
            E::FileParentFolder => Source::Text(Text::FileFolder),
            E::FileOpenRead => Source::Number(Number::OpenRead),
            E::FileOpenWrite => Source::Number(Number::OpenWrite),
            E::FileOpenCreate => Source::Number(Number::OpenCreate),
            E::FileRenameFrom => Source::Text(Text::RenameFrom),
            E::FileMode => Source::Number(Number::Mode),
            E::Status => Source::Named(Number::Status, statuses().into()),
            E::ContainerUid
            | E::ContainerImageName
            | E::ContainerPrivileged
            | E::K8sNamespace
            | E::K8sPod
            | E::DstHostname => Source::Never,
        },
    }
}

/// Numbers and the name they have in common.
pub(super) type Named = (RangeInclusive<u64>, String);

/// IPPROTO_TCP and IPPROTO_UDP.
fn protocols() -> &'static [Named] {
    static NAMES: OnceLock<Vec<Named>> = OnceLock::new();
    NAMES.get_or_init(|| {
        vec![
            (6..=6, Protocol::Tcp.name().to_owned()),
            (17..=17, Protocol::Udp.name().to_owned()),
        ]
    })
}

fn query_types() -> &'static [Named] {
    static NAMES: OnceLock<Vec<Named>> = OnceLock::new();
    NAMES.get_or_init(|| {
        (0..=u16::MAX)
            .map(|number| {
                let value = u64::from(number);
                (value..=value, picket_model::dns::type_name(number).into())
            })
            .collect()
    })
}

/// MAX_ERRNO of include/linux/err.h is the greatest errno.
fn statuses() -> &'static [Named] {
    static NAMES: OnceLock<Vec<Named>> = OnceLock::new();
    NAMES.get_or_init(|| {
        (0..=4095)
            .map(|number| {
                let name = Status(number).name().unwrap_or("EUNKNOWN");
                let value = number as u64;
                (value..=value, name.to_owned())
            })
            .collect()
    })
}

/// The number that has this name.
pub(super) fn number_named(number: Number, name: &str) -> Option<u64> {
    let names = match number {
        Number::Protocol => protocols(),
        Number::QueryType => query_types(),
        Number::Status => statuses(),
        _ => return None,
    };
    let (numbers, _) = names.iter().find(|(_, own)| own == name)?;
    Some(*numbers.start())
}

fn number_test(number: Number, test: &Test) -> Asked {
    // Numbers are never negative.
    let natural = |value: i64| u64::try_from(value).unwrap_or(0);
    match test {
        Test::Exists => Asked::One(Ask::NumberExists(number)),
        Test::Number(ranges) => {
            let ranges: Vec<_> = ranges
                .iter()
                .filter(|range| *range.end() >= 0)
                .map(|range| natural(*range.start())..=natural(*range.end()))
                .collect();
            Asked::One(Ask::Number(number, ranges))
        }
        Test::NumberNot(value) if *value < 0 => Asked::One(Ask::NumberExists(number)),
        Test::NumberNot(value) => {
            let value = natural(*value);
            let same = Asked::One(Ask::Number(number, vec![value..=value]));
            Asked::and_not(Ask::NumberExists(number), same)
        }
        Test::Bool(expected) => {
            let value = u64::from(*expected);
            Asked::One(Ask::Number(number, vec![value..=value]))
        }
        _ => Asked::Constant(false),
    }
}

fn address_test(address: Address, test: &Test) -> Asked {
    let number = match address {
        Address::Dst => Number::DstIp4,
        Address::Src => Number::SrcIp4,
    };
    let within = |networks: &[IpNetwork]| {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for network in networks {
            match network.base {
                IpAddr::V4(base) => {
                    let base = u64::from(base.to_bits());
                    let rest = u64::from(u32::MAX) >> network.prefix.min(32);
                    v4.push(base & !rest..=base | rest);
                }
                IpAddr::V6(base) => {
                    let base = base.to_bits();
                    let rest = u128::MAX.checked_shr(network.prefix.into()).unwrap_or(0);
                    v6.push(base & !rest..=base | rest);
                }
            }
        }
        Asked::One(Ask::Address(address, v4, v6))
    };
    match test {
        Test::Exists => Asked::One(Ask::NumberExists(number)),
        Test::Ip(networks) => within(networks),
        Test::IpNot(own) => {
            let prefix = if own.is_ipv4() { 32 } else { 128 };
            let same = within(&[IpNetwork { base: *own, prefix }]);
            Asked::and_not(Ask::NumberExists(number), same)
        }
        _ => Asked::Constant(false),
    }
}

/// A number that rules know by name: the numbers whose names pass.
fn named_test(number: Number, names: &[Named], test: &Test) -> Asked {
    let prepared = PreparedTest::new(test);
    let mut folder = Folder::default();
    let passing: Vec<_> = names
        .iter()
        .filter(|(_, name)| {
            folder.forget();
            prepared.test(Datum::Known(Value::Str(name)), &mut folder) == crate::Truth::True
        })
        .map(|(numbers, _)| numbers.clone())
        .collect();
    // Where none passes it is still unknown of a number that is.
    Asked::One(Ask::Number(number, passing))
}

fn capabilities_test(test: &Test) -> Asked {
    if *test == Test::Exists {
        return Asked::One(Ask::NumberExists(Number::Capabilities));
    }
    let prepared = PreparedTest::new(test);
    let mut folder = Folder::default();
    let bits = (0..64).filter(|bit| {
        folder.forget();
        let one = Value::List(TextList::Capabilities(1 << bit));
        prepared.test(Datum::Known(one), &mut folder) == crate::Truth::True
    });
    Asked::One(Ask::Mask(bits.fold(0u64, |mask, bit| mask | 1 << bit)))
}

/// A test with `all` has one pattern: the caller has taken it apart.
fn text_test(field: Field, text: Text, test: &TextTest) -> Asked {
    let mut literals: Vec<Literal> = Vec::new();
    let mut regexes = Vec::new();
    let mut others = Vec::new();
    for pattern in &test.patterns {
        // It can stand for bytes that are no UTF-8, which the kernel sees as they are.
        if pattern.contains(char::REPLACEMENT_CHARACTER) || pattern.contains('\0') {
            others.push(Asked::One(Ask::Never(Why::Replacement(field))));
            continue;
        }
        let (begin, end) = match test.how {
            TextMatch::Equals => (true, true),
            TextMatch::Contains => (false, false),
            TextMatch::StartsWith => (true, false),
            TextMatch::EndsWith => (false, true),
            TextMatch::Glob => {
                glob(pattern, test.ignore_case, &mut literals, &mut regexes);
                continue;
            }
            TextMatch::Regex => {
                match LazyRegex::new(pattern, test.ignore_case).parse() {
                    Ok(hir) => {
                        let needs = crate::compile::required_literals(pattern, test.ignore_case);
                        let forms = |set: Vec<crate::compile::Literal>| {
                            set.into_iter().map(|literal| literal.form).collect()
                        };
                        regexes.push((hir, needs.into_iter().next().map(forms)));
                    }
                    Err(_) => others.push(Asked::One(Ask::Never(Why::Regex(field)))),
                }
                continue;
            }
        };
        if pattern.is_empty() && !(begin && end) {
            literals.push(anything());
        } else {
            literals.push(literal(begin, pattern, end));
        }
    }
    regexes.retain(|(hir, _)| {
        let fits = regex::rows(text, hir).is_ok();
        if !fits {
            others.push(Asked::One(Ask::Never(Why::Regex(field))));
        }
        fits
    });
    if !literals.is_empty() {
        let folded = test.ignore_case;
        others.push(Asked::One(Ask::Literals {
            text,
            folded,
            literals,
        }));
    }
    if !regexes.is_empty() {
        others.push(Asked::One(Ask::Regexes { text, regexes }));
    }
    match others.len() {
        1 => others.swap_remove(0),
        _ => Asked::Any(others),
    }
}

/// A glob is a literal where it has runs at its ends only.
fn glob(
    pattern: &str,
    ignore_case: bool,
    literals: &mut Vec<Literal>,
    regexes: &mut Vec<(Hir, Option<Vec<String>>)>,
) {
    let glob = Glob::new(pattern, ignore_case);
    let parts = glob.parts();
    let (first, last) = (parts.first(), parts.last());
    let begin = first != Some(&Part::Run);
    let end = last != Some(&Part::Run);
    let from = usize::from(!begin);
    let to = parts.len().saturating_sub(usize::from(!end)).max(from);
    let chars: Option<String> = parts[from..to]
        .iter()
        .map(|part| match part {
            Part::Char(c) => Some(*c),
            _ => None,
        })
        .collect();
    match chars {
        Some(chars) if chars.is_empty() && !(begin && end) => literals.push(anything()),
        Some(chars) => literals.push(literal(begin, &chars, end)),
        None => regexes.push((
            regex::of_glob(pattern, ignore_case),
            crate::compile::glob_literal(&glob).map(|literal| vec![literal]),
        )),
    }
}

/// What every text passes: it has an end.
fn anything() -> Literal {
    vec![Symbol::Anchor]
}

fn literal(begin: bool, text: &str, end: bool) -> Literal {
    let ends = |wanted: bool| wanted.then_some(Symbol::Anchor);
    ends(begin)
        .into_iter()
        .chain(text.bytes().map(Symbol::Byte))
        .chain(ends(end))
        .collect()
}
