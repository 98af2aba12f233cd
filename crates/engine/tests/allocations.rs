//! Evaluation allocates nothing once its memory has grown.

use picket_engine::{Program, Scratch, Verdicts};
use picket_lang::ir::{Expr, Predicate, Rule, Span, Test, TextMatch, TextTest};
use picket_model::event::{Actor, Detail, EventUid, Exec, Host};
use picket_model::field::{EventAttr, Field, ProcessAttr, ProcessList, Subject};
use picket_model::process::{Image, Parent, Process, ProcessKey};
use picket_model::rule::RuleInfo;
use picket_model::{Datum, Event, EventClass, Severity};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; counting has no
// influence on the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn evaluation_allocates_nothing_in_the_long_run() {
    let program = Program::compile((0..300).map(rule).collect());
    let mut scratch = Scratch::new();
    let mut verdicts = Verdicts::default();
    let root = process(1, "systemd", "/sbin/init", Parent::None);
    let shells: Vec<Arc<Process>> = (0..40)
        .map(|n| process(n, "bash", "bash -c work", Parent::Known(root.clone())))
        .collect();
    // Each round's processes are new; their command lines come again or not.
    let round = |number: u32| -> Vec<Event> {
        (0..2000)
            .map(|n| {
                let line = format!("tool-{} --NEEDLE-{} {}", n % 70, n % 300, number * (n % 2));
                let shell = &shells[n as usize % shells.len()];
                event(
                    process(n, "tool", &line, Parent::Known(shell.clone())),
                    shell,
                )
            })
            .collect()
    };
    let rounds: Vec<Vec<Event>> = (0..12).map(round).collect();
    let mut matches = 0;
    let mut last = 0;
    for (number, events) in rounds.iter().enumerate() {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for event in events {
            program.evaluate(event, &mut scratch, &mut verdicts);
            matches += verdicts.matched.len();
        }
        last = ALLOCATIONS.load(Ordering::Relaxed) - before;
        println!(
            "round {number}: {last} allocations in {} events",
            events.len()
        );
    }
    assert!(matches > 0);
    assert_eq!(last, 0, "allocations in the last round");
}

fn rule(number: u32) -> Rule {
    let text = |field, how, pattern: String| {
        Expr::Predicate(Predicate {
            field,
            test: Test::Text(TextTest {
                how,
                ignore_case: number % 3 == 0,
                patterns: vec![pattern.to_lowercase()],
                all: false,
            }),
            span: Span::default(),
        })
    };
    let of = |attr| Field::Process(Subject::Process, attr);
    let element = Field::Process(Subject::Element, ProcessAttr::Name);
    let line = of(ProcessAttr::CmdLine);
    let needle = format!("needle-{number} ");
    let parts = vec![
        match number % 4 {
            0 => text(line, TextMatch::Regex, format!(r"--\w+-{number}\s")),
            1 => text(line, TextMatch::Glob, format!("*{needle}*")),
            _ => text(line, TextMatch::Contains, needle),
        },
        text(of(ProcessAttr::Name), TextMatch::Equals, "tool".to_owned()),
        text(
            Field::Event(EventAttr::UserName),
            TextMatch::EndsWith,
            "oot".to_owned(),
        ),
        Expr::Any(
            ProcessList::ProcessAncestors,
            Box::new(text(element, TextMatch::Equals, "systemd".to_owned())),
        ),
    ];
    Rule {
        info: Arc::new(RuleInfo::named(&number.to_string(), Severity::Low)),
        classes: vec![EventClass::ProcessExec],
        condition: Expr::And(parts),
        exceptions: Vec::new(),
    }
}

fn process(pid: u32, name: &str, line: &str, parent: Parent) -> Arc<Process> {
    let image = Image {
        name: Datum::Known(name.into()),
        path: Datum::Known(format!("/usr/bin/{name}").into()),
        cmd_line: Datum::Known(line.into()),
        ..Image::default()
    };
    Arc::new(Process::new(
        ProcessKey { pid, start_ns: 1 },
        Arc::new(image),
        parent,
    ))
}

fn event(process: Arc<Process>, shell: &Arc<Process>) -> Event {
    Event {
        uid: EventUid::Sequence { run: 1, number: 1 },
        time_ns: 1,
        class: EventClass::ProcessExec,
        host: Arc::new(Host::default()),
        actor: Actor {
            process: Datum::Known(shell.clone()),
            user_name: Datum::Known("root".into()),
            uid: Datum::Known(0),
            auid: Datum::Absent,
        },
        container: None,
        detail: Detail::Exec(Exec {
            process,
            parent_process: Datum::Known(shell.clone()),
        }),
    }
}
