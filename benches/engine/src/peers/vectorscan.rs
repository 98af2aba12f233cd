//! Vectorscan (Debian's `libvectorscan-dev`) behind an access index.
//!
//! Each rule is filed under that predicate of its topmost *and* which the sample
//! fulfils least often: under a hash for equality, else in one multi-pattern
//! database for each field. What the databases report is then asked of the rule
//! itself, by the reference evaluator.

use super::Peer;
use crate::workload::{Neutral, World};
use picket_engine::fold::Folder;
use picket_engine::naive::{Evaluator, PreparedTest};
use picket_engine::{Truth, Verdicts};
use picket_lang::ir::{Expr, Predicate, Rule, Test, TextMatch, TextTest};
use picket_model::event::Value;
use picket_model::field::Field;
use picket_model::{Datum, Event, EventClass};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr::{null, null_mut};

type OnMatch = extern "C" fn(c_uint, c_ulonglong, c_ulonglong, c_uint, *mut c_void) -> c_int;

#[link(name = "hs")]
unsafe extern "C" {
    fn hs_compile_multi(
        expressions: *const *const c_char,
        flags: *const c_uint,
        ids: *const c_uint,
        elements: c_uint,
        mode: c_uint,
        platform: *const c_void,
        database: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> c_int;
    fn hs_alloc_scratch(database: *const c_void, scratch: *mut *mut c_void) -> c_int;
    fn hs_scan(
        database: *const c_void,
        data: *const c_char,
        length: c_uint,
        flags: c_uint,
        scratch: *mut c_void,
        on_match: OnMatch,
        context: *mut c_void,
    ) -> c_int;
}

const CASELESS: c_uint = 1;
const DOTALL: c_uint = 2;
const SINGLEMATCH: c_uint = 8;
const PREFILTER: c_uint = 128;
const MODE_BLOCK: c_uint = 1;

/// What one field of one class is looked up in.
#[derive(Default)]
struct FieldIndex {
    equals: HashMap<String, Vec<u32>>,
    patterns: Vec<(CString, c_uint, u32)>,
    database: Option<*mut c_void>,
}

pub struct Vectorscan {
    rules: Vec<Evaluator>,
    fields: BTreeMap<(EventClass, Field), FieldIndex>,
    always: HashMap<EventClass, Vec<u32>>,
    scratch: *mut c_void,
    candidates: Vec<u32>,
    matched: Vec<u32>,
    folder: Folder,
    verdicts: Verdicts,
}

impl Vectorscan {
    pub fn new(rules: &[Rule], sample: &[Neutral]) -> Vectorscan {
        let mut world = World::default();
        let sample: Vec<Event> = sample
            .iter()
            .take(500)
            .map(|one| world.event(one))
            .collect();
        let mut this = Vectorscan {
            rules: rules
                .iter()
                .map(|rule| Evaluator::new(std::slice::from_ref(rule)))
                .collect(),
            fields: BTreeMap::new(),
            always: HashMap::new(),
            scratch: null_mut(),
            candidates: Vec::new(),
            matched: Vec::new(),
            folder: Folder::default(),
            verdicts: Verdicts::default(),
        };
        for (rule, number) in rules.iter().zip(0..) {
            this.file(rule, number, &sample);
        }
        for index in this.fields.values_mut() {
            index.compile(&mut this.scratch);
        }
        this
    }

    fn file(&mut self, rule: &Rule, number: u32, sample: &[Event]) {
        let parts = match &rule.condition {
            Expr::And(parts) => &parts[..],
            other => std::slice::from_ref(other),
        };
        let best = parts
            .iter()
            .filter_map(|part| match part {
                Expr::Predicate(Predicate {
                    field,
                    test: Test::Text(text),
                    ..
                }) => {
                    let test = PreparedTest::new(&Test::Text(text.clone()));
                    let mut folder = Folder::default();
                    let hits = sample
                        .iter()
                        .filter(|event| {
                            folder.forget();
                            test.test(event.value(*field), &mut folder) == Truth::True
                        })
                        .count();
                    let shortest = text.patterns.iter().map(String::len).min().unwrap_or(0);
                    Some((
                        hits,
                        text.how == TextMatch::Regex,
                        usize::MAX - shortest,
                        *field,
                        text,
                    ))
                }
                _ => None,
            })
            .min_by_key(|&(hits, regex, short, ..)| (hits, regex, short));
        for &class in &rule.classes {
            match best {
                Some((.., field, text)) => {
                    self.fields
                        .entry((class, field))
                        .or_default()
                        .add(text, number);
                }
                None => self.always.entry(class).or_default().push(number),
            }
        }
    }
}

impl FieldIndex {
    fn add(&mut self, text: &TextTest, rule: u32) {
        for pattern in &text.patterns {
            if text.how == TextMatch::Equals && !text.ignore_case {
                self.equals.entry(pattern.clone()).or_default().push(rule);
                continue;
            }
            let literal = escape(pattern);
            let expression = match text.how {
                TextMatch::Contains => literal,
                TextMatch::Equals => format!("^{literal}$"),
                TextMatch::StartsWith => format!("^{literal}"),
                TextMatch::EndsWith => format!("{literal}$"),
                TextMatch::Glob => format!("^{}$", glob(pattern)),
                TextMatch::Regex => pattern.clone(),
            };
            let case = if text.ignore_case { CASELESS } else { 0 };
            let flags = case
                | SINGLEMATCH
                | PREFILTER
                | if text.how == TextMatch::Glob {
                    DOTALL
                } else {
                    0
                };
            if let Ok(expression) = CString::new(expression) {
                self.patterns.push((expression, flags, rule));
            }
        }
    }

    fn compile(&mut self, scratch: &mut *mut c_void) {
        if self.patterns.is_empty() {
            return;
        }
        let expressions: Vec<*const c_char> = self
            .patterns
            .iter()
            .map(|(text, ..)| text.as_ptr())
            .collect();
        let flags: Vec<c_uint> = self.patterns.iter().map(|&(_, flags, _)| flags).collect();
        let ids: Vec<c_uint> = self.patterns.iter().map(|&(.., rule)| rule).collect();
        let (mut database, mut error) = (null_mut(), null_mut());
        // SAFETY: the arrays have `elements` entries each, the texts end in 0, and
        // the library writes one pointer to each of the last two places.
        let status = unsafe {
            hs_compile_multi(
                expressions.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                expressions.len() as c_uint,
                MODE_BLOCK,
                null(),
                &mut database,
                &mut error,
            )
        };
        assert_eq!(status, 0, "vectorscan did not compile the patterns");
        // SAFETY: the database was just made; the scratch is null or the library's.
        let status = unsafe { hs_alloc_scratch(database, scratch) };
        assert_eq!(status, 0, "vectorscan has no scratch memory");
        self.database = Some(database);
    }
}

extern "C" fn on_match(
    id: c_uint,
    _: c_ulonglong,
    _: c_ulonglong,
    _: c_uint,
    context: *mut c_void,
) -> c_int {
    // SAFETY: `matches` passes its own list, which nothing else touches meanwhile.
    unsafe { &mut *context.cast::<Vec<u32>>() }.push(id);
    0
}

impl Peer for Vectorscan {
    fn name(&self) -> &'static str {
        "vectorscan behind an access index"
    }

    fn matches(&mut self, event: &Event) -> &[u32] {
        self.candidates.clear();
        self.matched.clear();
        self.candidates
            .extend(self.always.get(&event.class).into_iter().flatten());
        for ((class, field), index) in &self.fields {
            if *class != event.class {
                continue;
            }
            let Datum::Known(Value::Str(text)) = event.value(*field) else {
                continue;
            };
            self.candidates
                .extend(index.equals.get(text).into_iter().flatten());
            let Some(database) = index.database else {
                continue;
            };
            // SAFETY: database and scratch are the library's; the text and the list
            // outlive the call.
            let status = unsafe {
                hs_scan(
                    database,
                    text.as_ptr().cast(),
                    text.len() as c_uint,
                    0,
                    self.scratch,
                    on_match,
                    (&raw mut self.candidates).cast(),
                )
            };
            assert_eq!(status, 0, "vectorscan did not scan");
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
        for &rule in &self.candidates {
            self.rules[rule as usize].evaluate(event, &mut self.folder, &mut self.verdicts);
            if !self.verdicts.matched.is_empty() {
                self.matched.push(rule);
            }
        }
        &self.matched
    }
}

fn escape(text: &str) -> String {
    let special = |c: char| c.is_ascii_punctuation();
    text.chars().fold(String::new(), |mut all, c| {
        if special(c) {
            all.push('\\');
        }
        all.push(c);
        all
    })
}

fn glob(pattern: &str) -> String {
    let mut all = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => all += ".*",
            '?' => all += ".",
            '\\' => all += &escape(&chars.next().unwrap_or('\\').to_string()),
            c => all += &escape(&c.to_string()),
        }
    }
    all
}
