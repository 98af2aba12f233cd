//! The measurement, one part after another, each a row of the table.

use crate::arguments::Arguments;
use crate::enrolment;
use crate::figures::{Spread, kibibytes_each, mebibytes};
use crate::fleet::{Event, Joined, World};
use crate::process::{self, Usage};
use crate::publish::{self, Published};
use crate::sensor::Sensor;
use crate::server::Server;
use anyhow::{Context, Result, anyhow, ensure};
use picket_store::Location;
use picket_store::testing::PostgresServer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(300);
/// With nothing but heartbeats.
const REST: Duration = Duration::from_secs(10);

/// Where the enrolled fleet is.
pub struct Base {
    pub folder: PathBuf,
    pub server: PathBuf,
    pub store: Location,
}

pub async fn run(arguments: &Arguments) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let kept = arguments.folder.clone();
    let folder = kept.unwrap_or_else(|| scratch.path().join("base"));
    std::fs::create_dir_all(&folder)?;
    let mut postgres = None;
    let store = if arguments.postgres {
        let place = tempfile::tempdir()?;
        let started = PostgresServer::start_in(place, true).map_err(|why| anyhow!(why))?;
        let store = started.database().map_err(|why| anyhow!(why))?;
        postgres = Some(started);
        store
    } else {
        Location::Sqlite(folder.join("picket.db"))
    };
    let base = Base {
        server: folder.join("server"),
        store,
        folder,
    };
    let limit = process::raise_file_limit()?;
    ensure!(
        limit > arguments.sensors as u64 + 100,
        "only {limit} files may be open: raise the hard limit (ulimit -Hn)"
    );
    println!(
        "\n| {} sensors, {}, {} rules | measured |\n|---|---|",
        arguments.sensors,
        if arguments.postgres {
            "PostgreSQL"
        } else {
            "SQLite"
        },
        arguments.rules
    );
    let joined = enrolment::fleet(arguments, &base).await?;
    // The kept fleet stays as it is.
    let store = match &base.store {
        Location::Sqlite(file) => {
            let copy = scratch.path().join("run.db");
            std::fs::copy(file, &copy)?;
            Location::Sqlite(copy)
        }
        other => other.clone(),
    };
    let server = Server::start(&base.server, &store).await?;
    let done = Measured::of(server, &joined)?.all(arguments).await;
    drop(postgres);
    done
}

struct Measured {
    server: Server,
    world: Arc<World>,
    events: UnboundedReceiver<Event>,
    sensors: Vec<Sensor>,
    tasks: JoinSet<()>,
}

impl Measured {
    fn of(server: Server, joined: &Joined) -> Result<Measured> {
        let (world, events) = World::new(server.address, joined)?;
        let sensors = joined.sensors.iter().enumerate();
        let sensors = sensors.map(|(number, identity)| Sensor::new(&world, number, identity));
        Ok(Measured {
            sensors: sensors.collect::<Result<_>>()?,
            server,
            world,
            events,
            tasks: JoinSet::new(),
        })
    }

    async fn all(mut self, arguments: &Arguments) -> Result<()> {
        let count = self.sensors.len();
        let before = self.usage()?;
        self.connect(count).await?;
        self.rest(before, count).await?;
        self.publish(arguments, count).await?;
        self.deliver(arguments, count).await?;
        println!(
            "| in all | {}; {} |",
            self.world.counters.text(),
            self.server.order("counters").await?
        );
        self.tasks.shutdown().await;
        self.server.stop().await
    }

    /// Of the server and of the sensors.
    fn usage(&self) -> Result<(Usage, Usage)> {
        Ok((self.server.usage()?, process::usage(std::process::id())?))
    }

    async fn connect(&mut self, count: usize) -> Result<()> {
        let before = self.usage()?;
        let begun = Instant::now();
        for sensor in self.sensors.drain(..) {
            self.tasks.spawn(sensor.run());
        }
        let mut took = Vec::with_capacity(count);
        while took.len() < count {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let event = tokio::time::timeout(left, self.events.recv()).await;
            let event = event.with_context(|| format!("{} of {count} came in", took.len()))?;
            if let Event::Welcomed(at) = event.context("no sensor is left")? {
                took.push(at - begun);
            }
        }
        let after = self.usage()?;
        println!("| all come at once: until Welcome | {} |", Spread::of(took));
        let each = |before: Usage, after: Usage| {
            (after.cpu - before.cpu).as_secs_f64() * 1e3 / count as f64
        };
        println!(
            "| of that, CPU time of each | server {:.2} ms, sensor {:.2} ms; {} |",
            each(before.0, after.0),
            each(before.1, after.1),
            self.world.counters.text()
        );
        Ok(())
    }

    async fn rest(&mut self, before: (Usage, Usage), count: usize) -> Result<()> {
        publish::settle(&mut self.server).await?;
        // Until the first reports are stored.
        let busy = REST / 5;
        let patience = Instant::now() + PATIENCE;
        loop {
            let before = self.server.usage()?.cpu;
            tokio::time::sleep(REST).await;
            if self.server.usage()?.cpu - before < busy || Instant::now() > patience {
                break;
            }
        }
        let begun = self.usage()?;
        tokio::time::sleep(REST).await;
        let after = self.usage()?;
        let share = |before: Usage, after: Usage| {
            (after.cpu - before.cpu).as_secs_f64() / REST.as_secs_f64() * 100.0
        };
        let server = after.0.resident;
        println!(
            "| memory of the server with all connected | {} ({} before them), {} a sensor, peak {} |",
            mebibytes(server),
            mebibytes(before.0.resident),
            kibibytes_each(server.saturating_sub(before.0.resident), count),
            mebibytes(after.0.peak),
        );
        println!(
            "| CPU of one core at rest (a heartbeat every 10 s) | server {:.1} %, sensors {:.1} % ({}) |",
            share(begun.0, after.0),
            share(begun.1, after.1),
            mebibytes(after.1.resident),
        );
        Ok(())
    }

    async fn publish(&mut self, arguments: &Arguments, count: usize) -> Result<()> {
        process::forget_peak(self.server.pid()?);
        let before = self.usage()?;
        let mut all: Vec<Published> = Vec::new();
        for number in 0..arguments.publications {
            let name = format!("next-{number}");
            let (server, events) = (&mut self.server, &mut self.events);
            all.push(publish::publish(server, events, &name, count, |_, _| {}).await?);
        }
        let after = self.usage()?;
        let times = all.len().max(1) as f64;
        let each = |before: Usage, after: Usage| (after.cpu - before.cpu).as_secs_f64() / times;
        println!(
            "| a rule, published to applied ({} times) | {} |",
            all.len(),
            publish::spread(&all)
        );
        println!(
            "| until the server knows it of all | {}; CPU: server {:.2} s, sensors {:.2} s; memory peak {} |",
            publish::known(&all),
            each(before.0, after.0),
            each(before.1, after.1),
            mebibytes(after.0.peak),
        );
        Ok(())
    }

    async fn deliver(&mut self, arguments: &Arguments, count: usize) -> Result<()> {
        let share = arguments.findings.div_ceil(count);
        let wanted = share * count;
        let before = self.usage()?;
        let begun = Instant::now();
        self.world.findings.send_replace(share);
        let (mut stored, mut last) = (0, begun);
        let mut published = None;
        while stored < wanted {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let event = tokio::time::timeout(left, self.events.recv()).await;
            let event = event.with_context(|| format!("{stored} of {wanted} are stored"))?;
            if let Event::Stored(findings, at) = event.context("no sensor is left")? {
                (stored, last) = (stored + findings, at);
            }
            if published.is_none() && stored > wanted / 10 {
                // A rule in the middle of it.
                let name = format!("next-{}", arguments.publications);
                let (server, events) = (&mut self.server, &mut self.events);
                let done = publish::publish(server, events, &name, count, |findings, at| {
                    (stored, last) = (stored + findings, at);
                });
                published = Some(done.await?);
            }
        }
        let after = self.usage()?;
        let took = (last - begun).as_secs_f64();
        let each = |before: Usage, after: Usage| {
            (after.cpu - before.cpu).as_secs_f64() * 1e6 / wanted as f64
        };
        println!(
            "| {wanted} findings from all at once, 20 a message | {:.0}/s acknowledged; CPU: server {:.0} us each, sensors {:.0} us |",
            wanted as f64 / took,
            each(before.0, after.0),
            each(before.1, after.1),
        );
        if let Some(published) = published {
            let all = [published];
            println!("| a rule published meanwhile | {} |", publish::spread(&all));
        }
        let there: usize = self.server.order("findings").await?.parse()?;
        ensure!(there == wanted, "{there} findings are stored of {wanted}");
        Ok(())
    }
}
