//! Findings arrive, each once, whatever is killed on the way.

use anyhow::{Context, Result, ensure};
use picket_e2e::fleet::{Control, Dice, Front, Server, Simulated, Will, applied, finding, sensor};
use picket_e2e::rules::quote;
use picket_e2e::{Cause, Scratch, needs_root, skipped, wait};
use picket_model::Severity;
use picket_store::testing::PostgresServer;
use picket_store::{Location, Stage};

const PROGRAM: &str = env!("CARGO_BIN_EXE_picket-test-fleet");

#[test]
fn two_servers_on_one_database_are_killed_in_turn_and_nothing_is_lost_or_doubled() -> Result<()> {
    let postgres = match PostgresServer::start() {
        Ok(postgres) => postgres,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    let Location::Postgres(url) = postgres.database().map_err(anyhow::Error::msg)? else {
        anyhow::bail!("no URL of a database");
    };
    let scratch = Scratch::new()?;
    let control = Control::without_server(&scratch, &Location::Postgres(url.clone()))?;
    let token = control.join_token(3, &[])?;
    let front = Front::new()?;
    let mut servers = vec![
        Server::start(PROGRAM, &url, control.folder())?,
        Server::start(PROGRAM, &url, control.folder())?,
    ];
    let put = |servers: &[Server]| front.put(servers.iter().map(|server| server.address).collect());
    put(&servers);
    let sensors = (0..3)
        .map(|number| {
            let folder = scratch.path().join(format!("sensor-{number}"));
            Simulated::start(&folder, &front.url(), &token, Will::Obey)
        })
        .collect::<Result<Vec<_>>>()?;
    wait::until("three sensors", || {
        Ok((control.sensors()?.len() == 3).then_some(()))
    })?;

    let mut dice = Dice(20_261_126);
    let mut pushed = 0;
    for round in 0..4 {
        // While findings are on their way, the one in front dies.
        let batch = 800 + dice.next(800);
        let before = control.ask(control.store().findings_tally())?.findings;
        for number in 0..batch {
            for sensor in &sensors {
                ensure!(
                    sensor
                        .spool()
                        .push(Severity::High, &finding(pushed + number))
                );
            }
        }
        pushed += batch;
        let some = before + 1 + dice.next(batch) as i64;
        wait::until("some of them in the store", || {
            let tally = control.ask(control.store().findings_tally())?;
            Ok((tally.findings >= some).then_some(()))
        })?;
        servers.remove(0).kill()?;
        put(&servers);
        servers.push(Server::start(PROGRAM, &url, control.folder())?);
        put(&servers);
        ensure!(servers.len() == 2, "round {round}");
    }
    let expected = pushed as i64 * 3;
    wait::until("all of them in the store", || {
        let tally = control.ask(control.store().findings_tally())?;
        ensure!(tally.findings <= expected, "more than were pushed");
        Ok((tally.findings == expected).then_some(()))
    })?;
    // Each of them once: findings() fails otherwise.
    assert_eq!(control.findings()?.len() as i64, expected);
    wait::until("empty spools", || {
        let empty = sensors
            .iter()
            .all(|sensor| sensor.spool().state().findings == 0);
        Ok(empty.then_some(()))
    })?;
    sensors.into_iter().for_each(Simulated::stop);
    drop(control);
    Ok(())
}

#[test]
fn a_rule_published_by_one_server_reaches_the_sensors_of_the_other() -> Result<()> {
    let postgres = match PostgresServer::start() {
        Ok(postgres) => postgres,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    let Location::Postgres(url) = postgres.database().map_err(anyhow::Error::msg)? else {
        anyhow::bail!("no URL of a database");
    };
    let scratch = Scratch::new()?;
    let control = Control::without_server(&scratch, &Location::Postgres(url.clone()))?;
    let token = control.join_token(2, &[])?;
    let servers = [
        Server::start(PROGRAM, &url, control.folder())?,
        Server::start(PROGRAM, &url, control.folder())?,
    ];
    let sensors = servers
        .iter()
        .enumerate()
        .map(|(number, server)| {
            let folder = scratch.path().join(format!("sensor-{number}"));
            let url = format!("https://{}", server.address);
            Simulated::start(&folder, &url, &token, Will::Obey)
        })
        .collect::<Result<Vec<_>>>()?;
    control.rule("first", Stage::Simulate, "process.memfd")?;
    let version = wait::until("one version on both", || {
        let known = control.sensors()?;
        let versions: Vec<i64> = known.iter().map(applied).collect();
        let same = versions.len() == 2 && versions[0] == versions[1] && versions[0] > 0;
        Ok(same.then(|| versions[0]))
    })?;
    // Revoked by way of the store: whoever holds the stream ends it.
    let known = control.sensors()?;
    for sensor in &known {
        let why = picket_e2e::fleet::cause("test");
        control.ask(control.store().revoke_sensor(sensor.id, &why))?;
    }
    wait::until("both ended", || {
        let ended = |sensor: &Simulated| sensor.told().iter().any(|text| text.contains("revoked"));
        Ok(sensors.iter().all(ended).then_some(()))
    })?;
    ensure!(version >= 1);
    Ok(())
}

#[test]
fn a_sensor_that_is_killed_delivers_what_it_had_spooled() -> Result<()> {
    needs_root!();
    const PROCESSES: usize = 400;
    let scratch = Scratch::new()?;
    let mut control = Control::start(&scratch)?;
    let token = control.join_token(1, &[])?;
    let target = Cause::new(&scratch, "target")?.path_text();
    let condition = format!("process.path == {}", quote(&target));
    control.rule("found", Stage::Simulate, &condition)?;
    let url = control.url();
    let builder = sensor(&scratch, "state", &url, &token);
    let running = builder.start()?;
    control.applied(1)?;
    // The server goes; the findings stay.
    control.stop_serving();
    let cause = Cause::new(&scratch, "cause")?;
    cause.run(["burst", &PROCESSES.to_string(), &target])?;
    let spool = scratch.path().join("state/fleet/spool/high");
    let spooled = wait::until("all of them on disk", || {
        let mut records = 0;
        for entry in std::fs::read_dir(&spool)? {
            let bytes = std::fs::read(entry?.path()).unwrap_or_default();
            records += picket_sensor::spool::parse(&bytes).0.len();
        }
        Ok((records == PROCESSES).then_some(records))
    })?;
    running.signal(rustix::process::Signal::KILL)?;
    drop(running);
    // Killed while it wrote: a torn end.
    let last = std::fs::read_dir(&spool)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .max()
        .context("a segment")?;
    let mut torn = std::fs::read(&last)?;
    torn.extend([7; 11]);
    std::fs::write(&last, torn)?;

    control.serve()?;
    let again = builder.start()?;
    wait::until("all of them in the store", || {
        Ok((control.findings()?.len() == spooled).then_some(()))
    })?;
    let told = control.sensor_where("the damage in a heartbeat", |sensor| {
        let beat = sensor.heartbeat.as_ref();
        beat.is_some_and(|beat| beat.coverage["spool"]["damaged"] == 1)
    })?;
    let blind = told
        .heartbeat
        .map(|beat| beat.coverage["blind"].to_string());
    ensure!(blind.is_some_and(|blind| blind.contains("no sensor ran")));
    again.stop()?;
    assert_eq!(control.findings()?.len(), PROCESSES);
    Ok(())
}
