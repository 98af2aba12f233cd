//! How often each pattern occurs, learned from sample events; a guess without.

use crate::compile::normal::{Interner, Source};
use crate::compile::pattern::Pattern;
use crate::index::grams::GramCounts;
use crate::index::source::{FilterForm, SourceIndex};
use crate::run::code::{Place, Role};
use picket_model::event::{Value, process_value};
use picket_model::field::{Field, ProcessList, Subject};
use picket_model::process::Process;
use picket_model::{Datum, Event};
use std::collections::{BTreeMap, HashMap};

/// More events than this teach nothing new.
const MOST_EVENTS: usize = 4000;

/// What the sample says.
pub(crate) struct Frequencies {
    sources: BTreeMap<Source, SourceSample>,
    /// Events in the sample.
    events: f64,
    /// By list and body: events in which it was looked for, and found.
    any: HashMap<(Place, u32), f64>,
}

struct SourceSample {
    ids: HashMap<Pattern, u32>,
    /// By place: events in which each pattern was hit, or may have been.
    hits: BTreeMap<Place, Vec<u32>>,
    counts: GramCounts,
}

impl Frequencies {
    /// Looks every pattern of the rules up in every sample event.
    pub(crate) fn learn(interner: &Interner, sample: &[Event]) -> Frequencies {
        let mut patterns: BTreeMap<Source, (HashMap<Pattern, u32>, Vec<Pattern>)> = BTreeMap::new();
        for (atom, pieces) in interner.atoms.iter().zip(&interner.pieces) {
            let (ids, list) = patterns.entry(atom.source).or_default();
            for pattern in pieces.iter().flat_map(|piece| piece.lists.iter().flatten()) {
                let next = list.len() as u32;
                if *ids.entry(pattern.clone()).or_insert(next) == next {
                    list.push(pattern.clone());
                }
            }
        }
        let stride = sample.len().div_ceil(MOST_EVENTS).max(1);
        let sample: Vec<&Event> = sample.iter().step_by(stride).collect();
        let sources = patterns
            .into_iter()
            .map(|(source, (ids, list))| {
                let learned = SourceSample::learn(source, ids, &list, &sample);
                (source, learned)
            })
            .collect();
        Frequencies {
            sources,
            events: sample.len() as f64,
            any: HashMap::new(),
        }
    }

    /// The share of events in which the pattern is hit.
    pub(crate) fn share(&self, place: Place, source: Source, pattern: &Pattern) -> f64 {
        let guess = guess(pattern);
        let Some(sample) = self.sources.get(&source) else {
            return guess;
        };
        let hits = sample.ids.get(pattern).map_or(0.0, |&id| {
            sample
                .hits
                .get(&place)
                .map_or(0.0, |hits| f64::from(hits[id as usize]))
        });
        // The guess counts as much as ten events do.
        (hits + 10.0 * guess) / (self.events + 10.0)
    }

    /// The share of events in which a body holds of one of the list.
    pub(crate) fn any(&self, list: Place, body: u32) -> f64 {
        self.any.get(&(list, body)).copied().unwrap_or(0.05)
    }

    /// What looking for the pattern costs, in nanoseconds for each event.
    pub(crate) fn looking(&self, pattern: &Pattern) -> f64 {
        match pattern {
            Pattern::Ask => 5.0,
            Pattern::Contains(needle) => match needle.form.len() {
                0..4 => 5.0,
                4 => 0.5,
                5 | 6 => 0.1,
                _ => 0.03,
            },
            Pattern::Prefix(_) | Pattern::Suffix(_) => 0.02,
            Pattern::Range(..) => 0.5,
            _ => 0.005,
        }
    }

    /// How often grams occur in the texts of a source.
    pub(crate) fn grams(&self, source: Source) -> Option<&GramCounts> {
        self.sources.get(&source).map(|sample| &sample.counts)
    }
}

/// The share of events in which a pattern is hit, from its looks alone.
fn guess(pattern: &Pattern) -> f64 {
    match pattern {
        Pattern::Ask | Pattern::Present => 1.0,
        Pattern::Bool(_) => 0.3,
        Pattern::Equals(_) => 0.002,
        Pattern::Number(_) => 0.02,
        Pattern::Range(..) | Pattern::Network(_) => 0.2,
        Pattern::Prefix(needle) | Pattern::Suffix(needle) | Pattern::Contains(needle) => {
            0.5f64.powi(needle.form.len().min(14) as i32)
        }
    }
}

impl SourceSample {
    fn learn(
        source: Source,
        ids: HashMap<Pattern, u32>,
        patterns: &[Pattern],
        sample: &[&Event],
    ) -> SourceSample {
        let mut counts = GramCounts::new();
        let mut filter = FilterForm::default();
        each_value(source, sample, &mut |_, value| {
            if let Datum::Known(value) | Datum::Truncated(value) = value {
                match value {
                    Value::Str(text) => counts.add(filter.of(text), 1),
                    Value::List(list) => {
                        list.iter().for_each(|text| counts.add(filter.of(text), 1));
                    }
                    _ => {}
                }
            }
        });
        let index = SourceIndex::new(patterns, &counts);
        let mut hits: BTreeMap<Place, Vec<u32>> = BTreeMap::new();
        let mut found = Vec::new();
        // Texts come again and again: what one holds is looked up once.
        let mut known: HashMap<&str, Vec<u32>> = HashMap::new();
        each_value(source, sample, &mut |place, value| {
            let hits = hits.entry(place).or_insert_with(|| vec![0; patterns.len()]);
            let value = match value {
                Datum::Absent => return,
                Datum::Unknown | Datum::Truncated(_) => {
                    hits.iter_mut().for_each(|count| *count += 1);
                    return;
                }
                Datum::Known(value) => value,
            };
            if let Value::Str(text) = value {
                if let Some(ids) = known.get(text) {
                    ids.iter().for_each(|&id: &u32| hits[id as usize] += 1);
                    return;
                }
            }
            found.clear();
            index.look_up(value, &mut filter, &mut found);
            found.sort_unstable();
            found.dedup();
            found.iter().for_each(|&id| hits[id as usize] += 1);
            if let Value::Str(text) = value {
                known.insert(text, found.clone());
            }
        });
        SourceSample { ids, hits, counts }
    }
}

/// Calls `each` on every value of a source in the sample.
fn each_value<'e>(
    source: Source,
    sample: &[&'e Event],
    each: &mut dyn FnMut(Place, Datum<Value<'e>>),
) {
    let mut lines: HashMap<*const Process, u32> = HashMap::new();
    for event in sample {
        let attr = match source {
            Source::Event(attr) => {
                each(Place::Event, event.value(Field::Event(attr)));
                continue;
            }
            Source::Process(attr) => attr,
        };
        for (role, subject) in [
            (Role::Process, Subject::Process),
            (Role::Parent, Subject::Parent),
            (Role::Actor, Subject::Actor),
        ] {
            match event.subject(subject) {
                Datum::Known(process) | Datum::Truncated(process) => {
                    each(Place::of(role), process_value(process, attr));
                }
                Datum::Unknown => each(Place::of(role), Datum::Unknown),
                Datum::Absent => {}
            }
        }
        for process in event.processes(ProcessList::ProcessAncestors) {
            let seen = lines.entry(std::ptr::from_ref(process)).or_default();
            *seen += 1;
            if *seen > 1 {
                break;
            }
            each(Place::Element, process_value(process, attr));
        }
    }
}
