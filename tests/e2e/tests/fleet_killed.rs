//! While sensors deliver, the server, one of two, or the database is killed with
//! SIGKILL, at moments that the dice choose. What was acknowledged to a sensor is there
//! once, and nothing that no sensor said.
//!
//! Longer by hand, and with other moments:
//! `PICKET_KILLS=200 PICKET_SEED=7 cargo test -p picket-e2e --test fleet_killed`.

use anyhow::{Context, Result, ensure};
use picket_e2e::fleet::{Control, Dice, Front, Server, Simulated, Will, finding};
use picket_e2e::{Scratch, skipped, wait};
use picket_model::Severity;
use picket_store::Location;
use picket_store::testing::PostgresServer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_picket-test-fleet");
/// Enough that one of them is never far from its next attempt.
const SENSORS: usize = 8;
/// Findings in a spool; it has room for some thousands.
const MUCH: u64 = 1_500;
const KILLS: u64 = 5;
const SEED: u64 = 20_261_126;
/// A sensor that has failed often waits up to a minute.
const LONG: Duration = Duration::from_secs(180);

fn number(name: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{name} is no number: {text}")),
        Err(_) => Ok(otherwise),
    }
}

/// Servers on one store behind one address, and sensors that deliver to them.
struct Field {
    control: Control,
    /// Keeps the servers' and sensors' files.
    scratch: Scratch,
    location: String,
    front: Front,
    servers: Vec<Server>,
    sensors: Vec<Simulated>,
    /// Findings that each sensor was given.
    pushed: Vec<u64>,
    dice: Dice,
}

impl Field {
    fn new(scratch: Scratch, location: &Location, servers: usize) -> Result<Field> {
        let control = Control::without_server(&scratch, location)?;
        let token = control.join_token(SENSORS as u32, &[])?;
        let front = Front::new()?;
        let text = match location {
            Location::Sqlite(file) => format!("sqlite:{}", file.display()),
            Location::Postgres(url) => url.clone(),
        };
        let mut field = Field {
            control,
            location: text,
            front,
            servers: Vec::new(),
            sensors: Vec::new(),
            pushed: vec![0; SENSORS],
            dice: Dice(number("PICKET_SEED", SEED)?),
            scratch,
        };
        for _ in 0..servers {
            field.start_server()?;
        }
        for number in 0..SENSORS {
            let folder = field.scratch.path().join(host(number));
            let sensor = Simulated::start(&folder, &field.front.url(), &token, Will::Obey)?;
            field.sensors.push(sensor);
        }
        wait::until("all sensors have joined", || {
            Ok((field.control.sensors()?.len() == SENSORS).then_some(()))
        })?;
        Ok(field)
    }

    fn start_server(&mut self) -> Result<()> {
        let folder = self.control.folder();
        self.servers
            .push(Server::start(PROGRAM, &self.location, folder)?);
        let addresses = self.servers.iter().map(|server| server.address);
        self.front.put(addresses.collect());
        Ok(())
    }

    fn kill_server(&mut self, which: usize) -> Result<()> {
        self.servers.remove(which).kill()?;
        self.start_server()
    }

    /// Findings that wait at the sensors: everything else is acknowledged.
    fn waiting(&self) -> Result<u64> {
        let mut all = 0;
        for sensor in &self.sensors {
            let state = sensor.spool().state();
            ensure!(state.dropped.is_empty(), "a spool was full: {state:?}");
            all += state.findings;
        }
        Ok(all)
    }

    /// Gives the sensors findings, and returns when some of them are acknowledged.
    fn until_some_moment(&mut self) -> Result<()> {
        for (sensor, pushed) in self.sensors.iter().zip(&mut self.pushed) {
            // One that still waits for its next attempt has enough.
            if sensor.spool().state().findings > MUCH {
                continue;
            }
            let next = *pushed + 300 + self.dice.next(500);
            for number in *pushed..next {
                ensure!(sensor.spool().push(Severity::High, &finding(number)));
            }
            *pushed = next;
        }
        let left = self.waiting()?;
        let some = 1 + self.dice.next(left.min(2_000));
        wait::until_within(LONG, "some are acknowledged", || {
            Ok((self.waiting()? + some <= left).then_some(()))
        })
    }

    /// What was acknowledged until now is in the store.
    fn nothing_is_lost(&self) -> Result<()> {
        let acknowledged = self.pushed.iter().sum::<u64>() - self.waiting()?;
        // A database that has just come back closes old connections first.
        let stored = wait::until("the store answers", || {
            Ok(self.control.ask(self.control.store().findings_tally()).ok())
        })?;
        ensure!(
            stored.findings as u64 >= acknowledged,
            "{acknowledged} findings were acknowledged, {} are there",
            stored.findings
        );
        Ok(())
    }

    /// Waits for the last acknowledgement, and looks at every finding.
    fn each_is_there_once(self) -> Result<()> {
        wait::until_within(LONG, "empty spools", || {
            Ok((self.waiting()? == 0).then_some(()))
        })?;
        let mut of_host: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        // It fails where one stands twice.
        for row in self.control.findings()? {
            of_host.entry(row.columns.host).or_default().insert(row.uid);
        }
        ensure!(of_host.len() == SENSORS, "{} sensors", of_host.len());
        for (number, pushed) in self.pushed.into_iter().enumerate() {
            let said: BTreeSet<String> = (0..pushed).map(|number| format!("f-{number}")).collect();
            let stored = of_host.remove(&host(number)).unwrap_or_default();
            let lost = said.difference(&stored).count();
            let invented = stored.difference(&said).count();
            ensure!(
                lost + invented == 0,
                "{}: {lost} lost, {invented} invented",
                host(number)
            );
        }
        Ok(())
    }
}

fn host(number: usize) -> String {
    format!("sensor-{number}")
}

#[test]
fn a_server_on_sqlite_that_is_killed_at_any_moment_has_what_it_acknowledged() -> Result<()> {
    let scratch = Scratch::new()?;
    let location = Location::Sqlite(scratch.path().join("picket.db"));
    let mut field = Field::new(scratch, &location, 1)?;
    for _ in 0..number("PICKET_KILLS", KILLS)? {
        field.until_some_moment()?;
        field.kill_server(0)?;
        field.nothing_is_lost()?;
    }
    field.each_is_there_once()
}

#[test]
fn replicas_and_their_database_that_are_killed_at_any_moment_have_what_they_acknowledged()
-> Result<()> {
    let mut postgres = match PostgresServer::start() {
        Ok(postgres) => postgres,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    let location = postgres.database().map_err(anyhow::Error::msg)?;
    let mut field = Field::new(Scratch::new()?, &location, 2)?;
    for kill in 0..number("PICKET_KILLS", KILLS)? {
        field.until_some_moment()?;
        // In turn, so that a short run has each.
        match kill % 3 {
            0 => field.kill_server(0)?,
            1 => postgres.crash().map_err(anyhow::Error::msg)?,
            _ => field.kill_server(1)?,
        }
        field.nothing_is_lost()?;
    }
    field.each_is_there_once()
}
