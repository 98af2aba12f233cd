//! Roll-outs over the real protocol, with many sensors whose hosts only pretend.

use anyhow::{Result, ensure};
use picket_e2e::fleet::{Control, Simulated, Will, applied, cause};
use picket_e2e::{Scratch, wait};
use picket_server::fleet::{Canary, Plan};
use picket_store::{Content, Definition, RolloutState, Stage};

const SCOPE: &str = "fleet:";

struct Fleet {
    scratch: Scratch,
    control: Control,
    sensors: Vec<Simulated>,
    rule: Definition,
}

impl Fleet {
    /// So many sensors, all of which have version 1 with the rule `first`.
    fn new(
        count: usize,
        plan: impl FnOnce(&mut Plan),
        will: impl Fn(usize) -> Will,
    ) -> Result<Fleet> {
        let scratch = Scratch::new()?;
        let control = Control::start_with(&scratch, |config| plan(&mut config.plan))?;
        let rule = control.rule("first", Stage::Simulate, "process.memfd")?;
        let token = control.join_token(count as u32, &[])?;
        let sensors = (0..count).map(|number| {
            let folder = scratch.path().join(format!("sensor-{number}"));
            Simulated::start(&folder, &control.url(), &token, will(number))
        });
        let fleet = Fleet {
            sensors: sensors.collect::<Result<_>>()?,
            scratch,
            control,
            rule,
        };
        fleet.all_have(1)?;
        fleet.state(RolloutState::Done)?;
        Ok(fleet)
    }

    fn all_have(&self, version: i64) -> Result<()> {
        wait::until(&format!("version {version} everywhere"), || {
            let sensors = self.control.sensors()?;
            let count = sensors
                .iter()
                .filter(|sensor| applied(sensor) == version)
                .count();
            Ok((count == self.sensors.len()).then_some(()))
        })
    }

    fn state(&self, state: RolloutState) -> Result<picket_store::Rollout> {
        wait::until(state.name(), || {
            let rollout = self.control.rollout(SCOPE)?;
            Ok((rollout.state == state).then_some(rollout))
        })
    }

    /// Changes the rule so that its title has that word.
    fn change(&mut self, word: &str) -> Result<()> {
        let content = Content {
            body: self.rule.content.body.replace("End-to-end test", word),
            ..self.rule.content.clone()
        };
        ensure!(content.body.contains(word));
        self.control.change(&self.rule, content)?;
        Ok(())
    }

    fn with_word(&self, word: &str) -> usize {
        let has = |sensor: &&Simulated| sensor.applied().iter().any(|text| text.contains(word));
        self.sensors.iter().filter(has).count()
    }
}

#[test]
fn first_a_share_then_everybody() -> Result<()> {
    let mut fleet = Fleet::new(20, |_| {}, |_| Will::Obey)?;
    fleet.change("BETTER")?;
    // Two of twenty, and the others not before these were watched.
    let rollout = wait::until("the share", || {
        let rollout = fleet.control.rollout(SCOPE)?;
        let watched = rollout.progress["watched_since"].is_i64();
        Ok((rollout.state == RolloutState::Canary && watched).then_some(rollout))
    })?;
    assert_eq!(rollout.progress["canaries"], 2);
    assert_eq!(rollout.progress["applied"], 2);
    fleet.all_have(2)?;
    fleet.state(RolloutState::Done)?;
    assert_eq!(fleet.with_word("BETTER"), 20);
    Ok(())
}

#[test]
fn failures_floods_and_costs_halt_it_where_it_is() -> Result<()> {
    let wills = [
        Will::Fail("WORSE"),
        Will::Flood("WORSE", 5_000),
        Will::Slow("WORSE"),
    ];
    for will in wills {
        let mut fleet = Fleet::new(20, |plan| plan.watch_seconds = 6, |_| will)?;
        fleet.change("WORSE")?;
        let halted = fleet.state(RolloutState::Halted)?;
        ensure!(!halted.reason.is_empty());
        // Two had it, or were to have it; the others never will.
        let reached = fleet.with_word("WORSE");
        ensure!(reached <= 2, "{will:?}: {reached} sensors have it");
        let sensors = fleet.control.sensors()?;
        let old = sensors.iter().filter(|sensor| applied(sensor) == 1).count();
        ensure!(old >= 18, "{will:?}: {old}");

        // One call brings the old content back, under a new version.
        let fleet_of = fleet.control.fleet()?;
        let why = cause("it was worse");
        fleet.control.ask(fleet_of.roll_back(SCOPE, &why))?;
        fleet.all_have(3)?;
        for sensor in &fleet.sensors {
            let applied = sensor.applied();
            ensure!(!applied.last().is_some_and(|text| text.contains("WORSE")));
        }
        // The definitions still say the other: it stays away until they change.
        let done = fleet.state(RolloutState::Done)?;
        fleet.change_again("FIXED")?;
        fleet.all_have(4)?;
        assert_eq!(fleet.with_word("FIXED"), 20);
        assert_ne!(fleet.control.rollout(SCOPE)?.id, done.id);
        ensure!(fleet.scratch.path().exists());
    }
    Ok(())
}

impl Fleet {
    fn change_again(&mut self, word: &str) -> Result<()> {
        self.rule = self
            .control
            .ask(self.control.store().definition(self.rule.id))?;
        let content = Content {
            body: self.rule.content.body.replace("WORSE", word),
            ..self.rule.content.clone()
        };
        self.control.change(&self.rule, content)?;
        Ok(())
    }
}

#[test]
fn labels_choose_who_is_first_and_projects_who_gets_what() -> Result<()> {
    let scratch = Scratch::new()?;
    let canary = [("canary".to_owned(), "yes".to_owned())].into();
    let control = Control::start_with(&scratch, |config| {
        config.plan.canary = Some(Canary::Labels(canary));
        config.plan.watch_seconds = 3600;
    })?;
    let rule = control.rule("first", Stage::Simulate, "process.memfd")?;
    let start = |name: &str, labels: &[(&str, &str)]| {
        let token = control.join_token(1, labels)?;
        let folder = scratch.path().join(name);
        Simulated::start(&folder, &control.url(), &token, Will::Obey)
    };
    let first = start("first", &[("canary", "yes")])?;
    let other = start("other", &[("canary", "no")])?;
    let all = |version| {
        wait::until(&format!("version {version}"), || {
            let sensors = control.sensors()?;
            let all = sensors
                .iter()
                .filter(|sensor| applied(sensor) == version)
                .count();
            Ok((all == 2).then_some(()))
        })
    };
    all(1)?;
    wait::until("done", || {
        Ok((control.rollout(SCOPE)?.state == RolloutState::Done).then_some(()))
    })?;
    let content = Content {
        body: rule.content.body.replace("End-to-end test", "NEXT"),
        ..rule.content.clone()
    };
    control.change(&rule, content)?;
    let known = control.applied(2)?;
    assert_eq!(known.labels["canary"], "yes");
    ensure!(first.applied().len() == 2 && other.applied().len() == 1);

    // A project with one of them: another scope, with the project's rules as well.
    let body = r#"{"labels": {"canary": ["no"]}}"#;
    let project = control.define(picket_store::Kind::Project, "web", Stage::Block, body)?;
    let own = control.rule("own", Stage::Draft, "process.memfd")?;
    let content = Content {
        stage: Stage::Simulate,
        projects: vec![project.id],
        ..own.content.clone()
    };
    control.change(&own, content)?;
    let scoped = control.sensor_where("a sensor of the project", |sensor| {
        let beat = sensor
            .heartbeat
            .as_ref()
            .and_then(|beat| beat.bundle.as_ref());
        beat.is_some_and(|bundle| bundle.scope == "web")
    })?;
    assert_eq!(scoped.labels["canary"], "no");
    wait::until("the project's rule", || {
        let has = other
            .applied()
            .last()
            .is_some_and(|text| text.contains("id: own"));
        Ok(has.then_some(()))
    })?;
    ensure!(!first.applied().iter().any(|text| text.contains("id: own")));
    Ok(())
}

#[test]
fn many_at_once_come_in_by_and_by() -> Result<()> {
    const MANY: usize = 150;
    let scratch = Scratch::new()?;
    let control = Control::start_with(&scratch, |config| {
        config.handshakes_at_once = 4;
        config.enrolments_at_once = 2;
    })?;
    control.rule("first", Stage::Simulate, "process.memfd")?;
    // One use less than there are sensors: exactly one stays out.
    let token = control.join_token(MANY as u32 - 1, &[])?;
    let sensors: Vec<Simulated> = (0..MANY)
        .map(|number| {
            let folder = scratch.path().join(format!("sensor-{number}"));
            Simulated::start(&folder, &control.url(), &token, Will::Obey)
        })
        .collect::<Result<_>>()?;
    wait::until("all but one", || {
        let known = control.sensors()?;
        let have = known.iter().filter(|sensor| applied(sensor) == 1).count();
        ensure!(known.len() < MANY, "a token let in more than it may");
        Ok((have == MANY - 1).then_some(()))
    })?;
    assert_eq!(control.fleet()?.connected(), MANY - 1);
    let outside = wait::until("the one outside", || {
        let used_up =
            |sensor: &&Simulated| sensor.told().iter().any(|text| text.contains("is used up"));
        Ok(Some(sensors.iter().filter(used_up).count()).filter(|count| *count > 0))
    })?;
    assert_eq!(outside, 1);
    sensors.into_iter().for_each(Simulated::stop);
    Ok(())
}

#[test]
fn a_certificate_is_renewed_before_it_ends() -> Result<()> {
    let scratch = Scratch::new()?;
    let control = Control::start_with(&scratch, |config| {
        config.certificate_life = std::time::Duration::from_secs(6);
    })?;
    let token = control.join_token(1, &[])?;
    let folder = scratch.path().join("sensor");
    let sensor = Simulated::start(&folder, &control.url(), &token, Will::Obey)?;
    wait::until("two renewals", || {
        let told = sensor.told();
        let renewed = told
            .iter()
            .filter(|text| text.contains("was renewed"))
            .count();
        ensure!(
            !told.iter().any(|text| text.contains("no line")),
            "{told:?}"
        );
        Ok((renewed >= 2).then_some(()))
    })?;
    assert_eq!(control.sensors()?.len(), 1);
    Ok(())
}

/// By hand: `SENSORS=1000 cargo test --release -p picket-e2e --test fleet_rollout -- --ignored --nocapture`.
#[test]
#[ignore = "figures of a large fleet, by hand"]
fn how_long_a_large_fleet_takes() -> Result<()> {
    use std::time::Instant;
    let many: usize = std::env::var("SENSORS").map_or(Ok(200), |text| text.parse())?;
    let scratch = Scratch::new()?;
    let control = Control::start_with(&scratch, |config| {
        config.plan.canary = None;
        config.heartbeat = std::time::Duration::from_secs(10);
    })?;
    let rule = control.rule("first", Stage::Simulate, "process.memfd")?;
    let token = control.join_token(many as u32, &[])?;
    let began = Instant::now();
    let sensors: Vec<Simulated> = (0..many)
        .map(|number| {
            let folder = scratch.path().join(format!("sensor-{number}"));
            Simulated::start(&folder, &control.url(), &token, Will::Obey)
        })
        .collect::<Result<_>>()?;
    let have = |word: &str| {
        let last = |sensor: &&Simulated| {
            sensor
                .applied()
                .last()
                .is_some_and(|text| text.contains(word))
        };
        sensors.iter().filter(last).count()
    };
    let wait_for = |word: &str, share: f64| -> Result<()> {
        let wanted = (many as f64 * share).ceil() as usize;
        let deadline = Instant::now() + std::time::Duration::from_secs(600);
        while have(word) < wanted {
            ensure!(Instant::now() < deadline, "{} of {wanted}", have(word));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(())
    };
    wait_for("first", 1.0)?;
    println!(
        "{many} sensors joined, each with its bundle: {:?}",
        began.elapsed()
    );
    for round in 1..=3 {
        let word = format!("ROUND{round}");
        let current = control.ask(control.store().definition(rule.id))?;
        let content = Content {
            body: rule.content.body.replace("End-to-end test", &word),
            ..current.content.clone()
        };
        control.change(&current, content)?;
        let began = Instant::now();
        for share in [0.5, 0.99, 1.0] {
            wait_for(&word, share)?;
            println!("changed to applied, {share} of them: {:?}", began.elapsed());
        }
    }
    sensors.into_iter().for_each(Simulated::stop);
    Ok(())
}
