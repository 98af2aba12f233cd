use super::*;
use picket_model::Field;
use picket_model::field::EventAttr;

const KILL: Effects = Effects {
    kill: true,
    deny: false,
};
const DENY: Effects = Effects {
    kill: false,
    deny: true,
};
const WHY: Why = Why::Field(Field::Event(EventAttr::ContainerUid));

fn refuses(lsm: bool) -> ClassSet {
    if lsm {
        ClassSet::all()
    } else {
        ClassSet::EMPTY
    }
}

fn with(reach: &Reach) -> Decision<'_> {
    Decision { reach, after: None }
}

fn powers(kills_in_cgroups: bool, lsm: bool) -> Powers {
    Powers {
        kills_in_cgroups,
        refuses: refuses(lsm),
        pidfd: true,
        unseen: ClassSet::EMPTY,
    }
}

fn every_power() -> impl Iterator<Item = Powers> {
    (0..8).map(|bits| Powers {
        kills_in_cgroups: bits & 1 != 0,
        refuses: refuses(bits & 2 != 0),
        pidfd: bits & 4 != 0,
        unseen: ClassSet::EMPTY,
    })
}

fn every_case() -> impl Iterator<Item = (EventClass, Effects, Powers)> {
    EventClass::ALL.into_iter().flat_map(|class| {
        [Effects::BLOCK, KILL, DENY]
            .into_iter()
            .flat_map(move |effects| every_power().map(move |powers| (class, effects, powers)))
    })
}

/// For each class, with neither power, with kills in cgroups, with security
/// hooks, with both: block, kill, deny.
///
/// D denied, K killed in kernel, U killed from user space, - nothing; after a `/`
/// what is done in some events; `!` where less is done than asked for.
const DECIDED: [(EventClass, [&str; 4]); 9] = [
    (
        EventClass::ProcessExec,
        ["K K -!", "K K -!", "D K D", "D K D"],
    ),
    (
        EventClass::NetworkConnect,
        ["D! U! D", "D K D", "D! U! D", "D K D"],
    ),
    (
        EventClass::NetworkListen,
        ["D/K! K/U! D/-!", "D/K! K D/-!", "D! U! D", "D K D"],
    ),
    (
        EventClass::DnsQuery,
        ["D! U! D", "D K D", "D! U! D", "D K D"],
    ),
    (
        EventClass::FileOpen,
        ["K! K -!", "K! K -!", "D K D", "D K D"],
    ),
    (
        EventClass::FileCreate,
        ["K! K -!", "K! K -!", "D K D", "D K D"],
    ),
    (
        EventClass::FileRename,
        ["K! K -!", "K! K -!", "D K D", "D K D"],
    ),
    (
        EventClass::FileDelete,
        ["K! K -!", "K! K -!", "D K D", "D K D"],
    ),
    (
        EventClass::FileChmod,
        ["K! K -!", "K! K -!", "D K D", "D K D"],
    ),
];

fn short(mode: &Mode) -> String {
    let letter = |answer: &Answer| match answer.step {
        Step::DeniedInKernel => "D",
        Step::KilledInKernel => "K",
        Step::KilledFromUserSpace => "U",
        Step::CannotBeEnforced => "-",
    };
    let mut text = letter(&mode.usual).to_owned();
    if let Some(otherwise) = &mode.otherwise {
        text = format!("{text}/{}", letter(otherwise));
    }
    if mode.falls_short() {
        text.push('!');
    }
    text
}

#[test]
fn what_the_kernel_decides_is_done_as_its_hooks_can() {
    for (class, expected) in DECIDED {
        let found = [(false, false), (true, false), (false, true), (true, true)].map(
            |(kills_in_cgroups, lsm)| {
                let powers = powers(kills_in_cgroups, lsm);
                [Effects::BLOCK, KILL, DENY]
                    .map(|effects| short(&enforcement(class, effects, Decision::WHOLE, &powers)))
                    .join(" ")
            },
        );
        assert_eq!(found, expected, "{class}");
    }
}

#[test]
fn what_the_kernel_does_not_decide_is_the_sensor_s_and_it_says_why() {
    for (class, effects, powers) in every_case() {
        for (reach, cause) in [
            (Reach::User(vec![WHY]), Cause::Rule(WHY)),
            (Reach::NoRoom, Cause::NoRoom),
        ] {
            let mode = enforcement(class, effects, with(&reach), &powers);
            let kills = effects.kill && powers.pidfd;
            let step = if kills {
                Step::KilledFromUserSpace
            } else {
                Step::CannotBeEnforced
            };
            assert_eq!(mode.usual.step, step, "{class} {effects:?} {powers:?}");
            assert_eq!(mode.otherwise, None);
            assert!(mode.usual.why.contains(&cause) && mode.falls_short());
            assert_eq!(
                mode.usual.why.contains(&Cause::NoPidfd),
                effects.kill && !powers.pidfd
            );
        }
    }
}

#[test]
fn what_the_kernel_decides_at_times_is_the_weaker_of_the_two_at_other_times() {
    let reach = Reach::Partly(vec![WHY]);
    for (class, effects, powers) in every_case() {
        let decided = enforcement(class, effects, Decision::WHOLE, &powers);
        let left = enforcement(class, effects, with(&Reach::User(vec![WHY])), &powers);
        let mode = enforcement(class, effects, with(&reach), &powers);
        assert_eq!(mode.usual, decided.usual, "{class} {effects:?} {powers:?}");
        let otherwise = mode.otherwise.unwrap();
        let weakest = decided
            .otherwise
            .map_or(left.usual.step, |own| own.step.max(left.usual.step));
        assert_eq!(otherwise.step, weakest);
        assert!(otherwise.why.contains(&Cause::Rule(WHY)));
    }
}

/// With security hooks and without, of a rule that asks for what is known only when
/// the operation is over: block, kill, deny.
#[test]
fn what_is_known_too_late_is_not_refused() {
    let command_line = Field::Process(Subject::Process, ProcessAttr::CmdLine);
    let status = Field::Event(EventAttr::Status);
    for (class, field, expected) in [
        (EventClass::ProcessExec, command_line, ["K K -!", "K K -!"]),
        (EventClass::NetworkConnect, status, ["U! U! -!", "U! U! -!"]),
        (EventClass::FileDelete, status, ["K! K -!", "K! K -!"]),
    ] {
        assert_eq!(Decision::after(class, [field].into_iter()), Some(field));
        let decision = Decision {
            reach: &Reach::Kernel,
            after: Some(field),
        };
        let found = [true, false].map(|lsm| {
            [Effects::BLOCK, KILL, DENY]
                .map(|effects| short(&enforcement(class, effects, decision, &powers(true, lsm))))
                .join(" ")
        });
        assert_eq!(found, expected, "{class}");
    }
    let deny = |lsm| {
        let decision = Decision {
            reach: &Reach::Kernel,
            after: Some(status),
        };
        enforcement(EventClass::FileOpen, DENY, decision, &powers(true, lsm)).usual
    };
    assert_eq!(deny(true).why, [Cause::After(status)]);
    assert_eq!(deny(false).why, [Cause::NoLsm]);
    // Known from the start: whose command line it was, and the socket's.
    let actors = Field::Process(Subject::Actor, ProcessAttr::CmdLine);
    assert_eq!(
        Decision::after(EventClass::ProcessExec, [actors].into_iter()),
        None
    );
    assert_eq!(
        Decision::after(EventClass::NetworkListen, [status].into_iter()),
        None
    );
}

#[test]
fn a_class_that_is_not_seen_is_not_enforced() {
    for (class, effects, mut powers) in every_case() {
        powers.unseen = ClassSet::EMPTY.with(class);
        let mode = enforcement(class, effects, Decision::WHOLE, &powers);
        assert_eq!(
            mode,
            Mode::always(Step::CannotBeEnforced, vec![Cause::Unseen])
        );
        powers.unseen = ClassSet::all().without(class);
        let mode = enforcement(class, effects, Decision::WHOLE, &powers);
        assert!(!mode.usual.why.contains(&Cause::Unseen));
    }
}

#[test]
fn without_a_pidfd_the_sensor_kills_nothing() {
    for (class, effects, powers) in every_case().filter(|(.., powers)| !powers.pidfd) {
        for reach in [Reach::Kernel, Reach::Partly(vec![WHY]), Reach::NoRoom] {
            let mode = enforcement(class, effects, with(&reach), &powers);
            let steps = [Some(&mode.usual), mode.otherwise.as_ref()];
            for answer in steps.into_iter().flatten() {
                assert_ne!(
                    answer.step,
                    Step::KilledFromUserSpace,
                    "{class} {effects:?}"
                );
                assert!(!answer.why.contains(&Cause::KilledLater));
            }
        }
    }
}

#[test]
fn modes_as_people_read_them() {
    let poor = powers(false, false);
    let show =
        |class, effects, reach: &Reach| enforcement(class, effects, with(reach), &poor).to_string();
    let partly = Reach::Partly(vec![WHY]);
    for (mode, text) in [
        (
            show(EventClass::ProcessExec, Effects::BLOCK, &Reach::Kernel),
            "killed in kernel",
        ),
        (
            show(EventClass::FileOpen, Effects::BLOCK, &Reach::Kernel),
            "killed in kernel: no security hook (BPF LSM) refuses it here",
        ),
        (
            show(EventClass::DnsQuery, Effects::BLOCK, &Reach::Kernel),
            "denied in kernel: the process itself is killed from user space, since this kernel's cgroup \
             hooks cannot end it",
        ),
        (
            show(EventClass::DnsQuery, DENY, &partly),
            "denied in kernel; in some events cannot be enforced: container.uid is known to the sensor only",
        ),
        (
            show(EventClass::ProcessExec, KILL, &Reach::NoRoom),
            "killed from user space: the kernel's tables have no room for the rule",
        ),
        (
            show(EventClass::NetworkListen, DENY, &Reach::Kernel),
            "denied in kernel; in some events cannot be enforced: a UDP bind is refused, but no security \
             hook (BPF LSM) here refuses that a TCP socket listens",
        ),
    ] {
        assert_eq!(mode, text);
    }
}
