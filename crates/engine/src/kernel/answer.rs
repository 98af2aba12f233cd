//! Questions answered from the sensor's own view of an event or a process: for
//! processes that ran before their tables did, and to show that the questions
//! ask what the rules mean.

use super::ask::Ask;
use super::automaton::{Literal, Symbol};
use super::layout::{Address, Number, Text};
use crate::fold::fold;
use crate::truth::Truth;
use picket_model::Datum;
use picket_model::event::{TextList, Value, process_value};
use picket_model::field::{EventAttr, ProcessAttr};
use picket_model::process::Process;
use regex::Regex;
use regex_syntax::hir::{Dot, Hir};
use std::net::IpAddr;
use std::sync::OnceLock;

/// A question with what answering it takes; built when first needed.
#[derive(Debug)]
pub(super) struct Question {
    ask: Ask,
    searches: OnceLock<Vec<Search>>,
}

/// A regex over a whole text and over one that is cut; none if it is too large
/// for the `regex` crate, which the checker has excluded.
#[derive(Debug)]
struct Search {
    whole: Option<Regex>,
    cut: Option<Regex>,
}

impl Question {
    pub(super) fn new(ask: Ask) -> Question {
        Question {
            ask,
            searches: OnceLock::new(),
        }
    }

    fn searches(&self) -> &[Search] {
        self.searches.get_or_init(|| match &self.ask {
            Ask::Regexes { regexes, .. } => regexes.iter().map(|(hir, _)| search(hir)).collect(),
            _ => Vec::new(),
        })
    }
}

/// Of a cut text, a match must end before the cut.
fn search(hir: &Hir) -> Search {
    let more = Hir::dot(Dot::AnyChar);
    let cut = Hir::concat(vec![hir.clone(), more]);
    Search {
        whole: Regex::new(&hir.to_string()).ok(),
        cut: Regex::new(&cut.to_string()).ok(),
    }
}

/// Where values are looked up.
pub(super) trait View {
    /// An attribute of the process that is asked about.
    fn process(&self, attr: ProcessAttr) -> Datum<Value<'_>>;

    /// An attribute of the event.
    fn event(&self, attr: EventAttr) -> Datum<Value<'_>>;

    /// The executed file: `device << 32 | inode`.
    fn file(&self) -> Datum<u64>;
}

/// A process by itself; everything else is absent.
impl View for Process {
    fn process(&self, attr: ProcessAttr) -> Datum<Value<'_>> {
        process_value(self, attr)
    }

    fn event(&self, _: EventAttr) -> Datum<Value<'_>> {
        Datum::Absent
    }

    fn file(&self) -> Datum<u64> {
        match self.image.file {
            Datum::Known(file) if file.inode <= u64::from(u32::MAX) => {
                Datum::Known(u64::from(file.device) << 32 | file.inode)
            }
            Datum::Absent => Datum::Absent,
            _ => Datum::Unknown,
        }
    }
}

/// The answer, as the kernel programs would give it: of a value that is cut they
/// know what they found, and nothing else.
pub(super) fn answer(question: &Question, view: &dyn View) -> Truth {
    match &question.ask {
        Ask::Never(_) => Truth::Unknown,
        Ask::TextExists(which) => text(*which, view).is_present().into(),
        Ask::NumberExists(which) => number(*which, view).is_present().into(),
        Ask::Literals {
            text: which,
            folded,
            literals,
        } => texts(text(*which, view), |text, cut| {
            literals
                .iter()
                .any(|literal| holds(literal, *folded, text, cut))
        }),
        Ask::Regexes { text: which, .. } => texts(text(*which, view), |text, cut| {
            question.searches().iter().any(|search| {
                let regex = if cut { &search.cut } else { &search.whole };
                regex.as_ref().is_some_and(|regex| regex.is_match(text))
            })
        }),
        Ask::Number(which, ranges) => numbers(number(*which, view), |value| {
            ranges.iter().any(|range| range.contains(&value))
        }),
        Ask::Mask(any) => numbers(number(Number::Capabilities, view), |value| value & any != 0),
        Ask::Address(which, v4, v6) => {
            let attr = match which {
                Address::Dst => EventAttr::DstIp,
                Address::Src => EventAttr::SrcIp,
            };
            match view.event(attr) {
                Datum::Absent => Truth::False,
                Datum::Known(Value::Ip(IpAddr::V4(ip))) => {
                    let ip = u64::from(ip.to_bits());
                    v4.iter().any(|range| range.contains(&ip)).into()
                }
                Datum::Known(Value::Ip(IpAddr::V6(ip))) => {
                    v6.iter().any(|range| range.contains(&ip.to_bits())).into()
                }
                _ => Truth::Unknown,
            }
        }
    }
}

fn text(which: Text, view: &dyn View) -> Datum<Value<'_>> {
    use {EventAttr as E, ProcessAttr as P};
    match which {
        Text::Name => view.process(P::Name),
        Text::Path => view.process(P::ExePath),
        Text::CmdLine => view.process(P::CmdLine),
        Text::Args => view.process(P::Args),
        Text::WorkingDirectory => view.process(P::WorkingDirectory),
        Text::Tty => view.process(P::Tty),
        Text::Interpreter => view.process(P::Interpreter),
        Text::Script => view.process(P::Script),
        Text::Query => view.event(E::QueryHostname),
        Text::File => view.event(E::FilePath),
        Text::FileName => view.event(E::FileName),
        Text::FileFolder => view.event(E::FileParentFolder),
        Text::RenameFrom => view.event(E::FileRenameFrom),
    }
}

fn number(which: Number, view: &dyn View) -> Datum<u64> {
    use {EventAttr as E, ProcessAttr as P};
    let value = match which {
        Number::Pid => view.process(P::Pid),
        Number::Uid => view.process(P::Uid),
        Number::Gid => view.process(P::Gid),
        Number::Euid => view.process(P::Euid),
        Number::Memfd => view.process(P::Memfd),
        Number::Deleted => view.process(P::Deleted),
        Number::UpperLayer => view.process(P::UpperLayer),
        Number::PidNamespace => view.process(P::PidNamespace),
        Number::MountNamespace => view.process(P::MountNamespace),
        Number::Inode => view.process(P::Inode),
        Number::File => return view.file(),
        Number::Capabilities => view.process(P::Capabilities),
        Number::User => view.event(E::UserUid),
        Number::Auid => view.event(E::SessionAuid),
        Number::DstIp4 => view.event(E::DstIp),
        Number::DstPort => view.event(E::DstPort),
        Number::SrcIp4 => view.event(E::SrcIp),
        Number::SrcPort => view.event(E::SrcPort),
        Number::Protocol => view.event(E::Protocol),
        Number::QueryType => view.event(E::QueryType),
        Number::OpenRead => view.event(E::FileOpenRead),
        Number::OpenWrite => view.event(E::FileOpenWrite),
        Number::OpenCreate => view.event(E::FileOpenCreate),
        Number::Mode => view.event(E::FileMode),
        Number::Status => view.event(E::Status),
    };
    match value {
        Datum::Absent => Datum::Absent,
        Datum::Known(value) => match natural(which, value) {
            Some(value) => Datum::Known(value),
            None => Datum::Unknown,
        },
        Datum::Unknown | Datum::Truncated(_) => Datum::Unknown,
    }
}

/// The number that the kernel would see.
fn natural(which: Number, value: Value<'_>) -> Option<u64> {
    match (which, value) {
        (_, Value::Int(value)) => u64::try_from(value).ok(),
        (_, Value::Bool(value)) => Some(value.into()),
        (_, Value::List(TextList::Capabilities(bits))) => Some(bits),
        // Whether there is one is all that is asked of it as a number.
        (Number::DstIp4 | Number::SrcIp4, Value::Ip(_)) => Some(0),
        (Number::Protocol | Number::QueryType | Number::Status, Value::Str(name)) => {
            super::ask::number_named(which, name)
        }
        _ => None,
    }
}

fn texts(value: Datum<Value<'_>>, passes: impl Fn(&str, bool) -> bool) -> Truth {
    let (value, cut) = match value {
        Datum::Absent => return Truth::False,
        Datum::Unknown => return Truth::Unknown,
        Datum::Known(value) => (value, false),
        Datum::Truncated(value) => (value, true),
    };
    let found = match value {
        Value::Str(text) => passes(text, cut),
        Value::List(list) => {
            let mut elements = list.iter().peekable();
            let mut found = false;
            while let Some(text) = elements.next() {
                found |= passes(text, cut && elements.peek().is_none());
            }
            found
        }
        _ => return Truth::Unknown,
    };
    match found {
        true => Truth::True,
        false if cut => Truth::Unknown,
        false => Truth::False,
    }
}

fn numbers(value: Datum<u64>, passes: impl Fn(u64) -> bool) -> Truth {
    match value {
        Datum::Absent => Truth::False,
        Datum::Known(value) => passes(value).into(),
        _ => Truth::Unknown,
    }
}

fn holds(literal: &Literal, folded: bool, text: &str, cut: bool) -> bool {
    let begin = literal.first() == Some(&Symbol::Anchor);
    let end = literal.last() == Some(&Symbol::Anchor) && literal.len() > 1;
    let bytes: Vec<u8> = literal
        .iter()
        .filter_map(|symbol| match symbol {
            Symbol::Byte(byte) => Some(*byte),
            Symbol::Anchor => None,
        })
        .collect();
    let own;
    let text = if folded {
        own = fold(text);
        own.as_bytes()
    } else {
        text.as_bytes()
    };
    match (begin, end) {
        (_, true) if cut => false,
        (true, true) => text == bytes,
        (true, false) => text.starts_with(&bytes),
        (false, true) => text.ends_with(&bytes),
        (false, false) => memchr::memmem::find(text, &bytes).is_some(),
    }
}
