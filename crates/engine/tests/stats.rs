//! What each rule costs is told by rule.

use picket_engine::{Program, Scratch, Verdicts};
use picket_lang::ir::{Expr, Predicate, Rule, Span, Test, TextMatch, TextTest};
use picket_model::event::{Actor, Detail, EventUid, Exec, Host};
use picket_model::field::{EventAttr, Field, ProcessAttr, Subject};
use picket_model::process::{Image, Parent, Process, ProcessKey};
use picket_model::rule::RuleInfo;
use picket_model::{Datum, Event, EventClass, Severity};
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Ten nanoseconds pass whenever somebody looks.
fn clock() -> u64 {
    NOW.set(NOW.get() + 10);
    NOW.get()
}

fn predicate(field: Field, how: TextMatch, pattern: &str) -> Expr {
    Expr::Predicate(Predicate {
        field,
        test: Test::Text(TextTest {
            how,
            ignore_case: false,
            patterns: vec![pattern.to_owned()],
            all: false,
        }),
        span: Span::default(),
    })
}

fn rule(id: &str, class: EventClass, parts: Vec<Expr>) -> Rule {
    Rule {
        info: Arc::new(RuleInfo::named(id, Severity::Low)),
        classes: vec![class],
        condition: Expr::And(parts),
        exceptions: Vec::new(),
    }
}

fn exec(line: &str, user: &str) -> Event {
    let image = Image {
        name: Datum::Known("tool".into()),
        path: Datum::Known("/usr/bin/tool".into()),
        cmd_line: Datum::Known(line.into()),
        ..Image::default()
    };
    let key = ProcessKey {
        pid: 7,
        start_ns: 1,
    };
    Event {
        uid: EventUid::Sequence { run: 1, number: 1 },
        time_ns: 1,
        class: EventClass::ProcessExec,
        host: Arc::new(Host::default()),
        actor: Actor {
            user_name: Datum::Known(user.into()),
            ..Actor::default()
        },
        container: None,
        detail: Detail::Exec(Exec {
            process: Arc::new(Process::new(key, Arc::new(image), Parent::None)),
            parent_process: Datum::Absent,
        }),
    }
}

#[test]
fn a_dear_rule_is_found_by_what_it_takes() {
    let line = Field::Process(Subject::Process, ProcessAttr::CmdLine);
    let user = Field::Event(EventAttr::UserName);
    let program = Program::compile(vec![
        // Nothing but the regex itself can find it: it is run on every new line.
        rule(
            "regex",
            EventClass::ProcessExec,
            vec![predicate(line, TextMatch::Regex, "[0-9]{3}")],
        ),
        rule(
            "literal",
            EventClass::ProcessExec,
            vec![
                predicate(line, TextMatch::Contains, "needle"),
                predicate(user, TextMatch::Contains, "oo"),
            ],
        ),
        rule(
            "elsewhere",
            EventClass::DnsQuery,
            vec![predicate(user, TextMatch::Contains, "oo")],
        ),
    ]);
    let mut scratch = Scratch::new();
    let mut verdicts = Verdicts::default();
    let mut evaluate = |scratch: &mut Scratch, line: &str, user: &str| {
        program.evaluate(&exec(line, user), scratch, &mut verdicts);
        verdicts
            .matched
            .iter()
            .map(|rule| rule.0)
            .collect::<Vec<_>>()
    };
    evaluate(&mut scratch, "warm up", "root");
    scratch.set_clock(clock, 1);
    for number in 0..50 {
        assert!(evaluate(&mut scratch, &format!("tool --{number}"), "root").is_empty());
    }
    assert_eq!(evaluate(&mut scratch, "a needle", "root"), [1]);
    assert!(evaluate(&mut scratch, "a needle", "nobody").is_empty());
    assert_eq!(evaluate(&mut scratch, "tool 4711", "root"), [0]);

    let [regex, literal, elsewhere] = scratch.stats(&program)[..] else {
        panic!("three rules");
    };
    assert_eq!((regex.evaluations, regex.matches), (54, 1));
    assert!(regex.runs >= 52, "once for each new line: {regex:?}");
    assert_eq!((literal.evaluations, literal.candidates), (54, 2));
    assert_eq!((literal.matches, literal.undecided), (1, 0));
    assert_eq!(elsewhere, Default::default());
    assert!(regex.ns_per_event() > 5.0, "{regex:?}");
    assert!(literal.ns_per_event() < 1.0, "{literal:?}");
    let over = scratch.over_budget(&program, 5.0);
    assert_eq!(over.len(), 1);
    assert_eq!(program.rule(over[0].rule).info.id, "regex");
    let twice = literal.plus(literal);
    assert_eq!((twice.evaluations, twice.matches), (108, 2));
    assert_eq!(twice.ns_per_event(), literal.ns_per_event());
}

#[test]
fn what_a_long_line_repeats_is_asked_once() {
    let line = Field::Process(Subject::Process, ProcessAttr::CmdLine);
    let regex = predicate(line, TextMatch::Regex, "needle.*haystack");
    let program = Program::compile(vec![rule("regex", EventClass::ProcessExec, vec![regex])]);
    let mut scratch = Scratch::new();
    let mut verdicts = Verdicts::default();
    program.evaluate(
        &exec(&"needle ".repeat(5000), "root"),
        &mut scratch,
        &mut verdicts,
    );
    assert!(verdicts.matched.is_empty());
    let runs = scratch.stats(&program)[0].runs;
    assert!(runs <= 2, "{runs} runs");
}
