//! A control plane under test: a store, the fleet half of a server, sensors.

mod front;
mod replica;
mod simulated;

pub use front::Front;
pub use replica::{Dice, Server, finding};
pub use simulated::{Simulated, Will};

use crate::scratch::Scratch;
use crate::sensor::Builder;
use crate::wait;
use anyhow::{Context, Result, ensure};
use picket_proto::bundle::SigningKey;
use picket_server::fleet::{Canary, Fleet, FleetConfig, Plan};
use picket_store::{
    Cause, Content, Definition, FindingFilter, FindingRow, Kind, Labels, Location, NewJoinToken,
    PageSize, Rollout, Sensor, SensorFilter, SensorRule, Stage, Store, Uuid,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// A server and its store, with the test as the person who decides.
pub struct Control {
    runtime: Runtime,
    store: Arc<dyn Store>,
    folder: PathBuf,
    fleet: Option<Fleet>,
    config: FleetConfig,
}

/// A server's settings, for tests: everything soon.
pub fn quick(folder: PathBuf) -> FleetConfig {
    let mut config = FleetConfig::new(folder, ([127, 0, 0, 1], 0).into());
    config.heartbeat = Duration::from_millis(500);
    config.plan = Plan {
        canary: Some(Canary::Share { percent: 10 }),
        watch_seconds: 1,
        patience_seconds: 60,
        ..Plan::default()
    };
    config
}

/// Microseconds since the epoch.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as i64)
}

/// The test's own word.
pub fn cause(reason: &str) -> Cause {
    Cause {
        actor: "user:test".to_owned(),
        reason: reason.to_owned(),
        at: now(),
    }
}

impl Control {
    /// On a SQLite store in the scratch folder.
    pub fn start(scratch: &Scratch) -> Result<Control> {
        Control::start_with(scratch, |_| {})
    }

    /// The same, with other settings.
    pub fn start_with(scratch: &Scratch, set: impl FnOnce(&mut FleetConfig)) -> Result<Control> {
        let location = Location::Sqlite(scratch.path().join("picket.db"));
        let mut control = Control::without_server(scratch, &location)?;
        set(&mut control.config);
        control.serve()?;
        Ok(control)
    }

    /// A store, with servers of the test's own on it or none.
    pub fn without_server(scratch: &Scratch, location: &Location) -> Result<Control> {
        let runtime = Runtime::new()?;
        let store = runtime.block_on(picket_store::open(location))?;
        let folder = scratch.path().join("server");
        Ok(Control {
            runtime,
            store,
            config: quick(folder.clone()),
            folder,
            fleet: None,
        })
    }

    /// Starts the server, where it was before if it was.
    pub fn serve(&mut self) -> Result<()> {
        let start = Fleet::start(self.config.clone(), self.store.clone());
        let fleet = self.runtime.block_on(start)?;
        self.config.listen = fleet.address();
        self.fleet = Some(fleet);
        Ok(())
    }

    /// Changes the settings of the next [`Control::serve`].
    pub fn set(&mut self, set: impl FnOnce(&mut FleetConfig)) {
        set(&mut self.config);
    }

    /// Stops the server; the store stays.
    pub fn stop_serving(&mut self) {
        if let Some(fleet) = self.fleet.take() {
            self.runtime.block_on(fleet.stop());
        }
    }

    /// The server.
    pub fn fleet(&self) -> Result<&Fleet> {
        self.fleet.as_ref().context("no server runs")
    }

    /// Where sensors find it.
    pub fn url(&self) -> String {
        format!("https://{}", self.config.listen)
    }

    /// Where its keys lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key that signs its bundles.
    pub fn signing_key(&self) -> Result<SigningKey> {
        let text = std::fs::read_to_string(self.folder.join("bundle.key"))?;
        Ok(SigningKey::parse(&text)?)
    }

    /// Runs it in the server's runtime.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Asks the store.
    pub fn ask<T>(&self, work: impl Future<Output = picket_store::Result<T>>) -> Result<T> {
        Ok(self.runtime.block_on(work)?)
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// A join token for so many sensors, as its text.
    pub fn join_token(&self, uses: u32, labels: &[(&str, &str)]) -> Result<String> {
        let _runtime = self.runtime.enter();
        let authority = picket_server::fleet::Authority::open(&self.folder)?;
        let mut secret = [0; 32];
        rustix_random(&mut secret)?;
        let token = picket_proto::fleet::JoinToken {
            secret,
            authority: picket_proto::fleet::hash_of_authority(authority.certificate()),
        };
        let labels: Labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let new = NewJoinToken {
            hash: token.hash(),
            labels,
            expires_at: now() + 3_600_000_000,
            uses,
        };
        self.ask(self.store.make_join_token(new, &cause("test")))?;
        Ok(token.to_string())
    }

    /// A rule at a stage; the condition as it stands in rule files.
    pub fn rule(&self, id: &str, stage: Stage, condition: &str) -> Result<Definition> {
        let body = crate::rules::RuleFile::new()
            .rule(id, "process.exec", condition)
            .text();
        self.define(Kind::Rule, id, stage, &body)
    }

    /// A policy at a stage, which blocks what a rule finds.
    pub fn policy(&self, id: &str, stage: Stage, rule: &str) -> Result<Definition> {
        let body = crate::rules::RuleFile::new()
            .policy(id, rule, "block")
            .text();
        self.define(Kind::Policy, id, stage, &body)
    }

    /// A definition, taken through its stages.
    pub fn define(&self, kind: Kind, name: &str, stage: Stage, body: &str) -> Result<Definition> {
        let content = |stage| Content {
            stage,
            body: body.to_owned(),
            projects: Vec::new(),
        };
        let free = matches!(kind, Kind::List | Kind::Project);
        let first = if free { stage } else { Stage::Draft };
        let by = cause("test");
        let define = self.store.define(kind, name, content(first), &by);
        let mut made = self.ask(define)?;
        for next in Stage::ALL {
            if next > made.content.stage && next <= stage {
                made = self.change(&made, content(next))?;
            }
        }
        Ok(made)
    }

    /// The next version of a definition.
    pub fn change(&self, before: &Definition, content: Content) -> Result<Definition> {
        let by = cause("test");
        self.ask(self.store.redefine(before.id, before.version, content, &by))
    }

    /// Every sensor.
    pub fn sensors(&self) -> Result<Vec<Sensor>> {
        let filter = SensorFilter::default();
        let page = self.ask(self.store.sensors(&filter, None, PageSize::new(500)?))?;
        Ok(page.items)
    }

    /// Waits for a sensor that is as wanted.
    pub fn sensor_where(&self, what: &str, wanted: impl Fn(&Sensor) -> bool) -> Result<Sensor> {
        wait::until(what, || Ok(self.sensors()?.into_iter().find(&wanted)))
            .with_context(|| format!("{:#?}", self.sensors().unwrap_or_default()))
    }

    /// Waits for a sensor that goes by that version.
    pub fn applied(&self, version: i64) -> Result<Sensor> {
        self.sensor_where(&format!("a sensor with version {version}"), |sensor| {
            applied(sensor) == version
        })
    }

    /// The newest roll-out of a scope.
    pub fn rollout(&self, scope: &str) -> Result<Rollout> {
        let one = PageSize::new(1)?;
        let page = self.ask(self.store.rollouts(Some(scope), false, None, one))?;
        page.items.into_iter().next().context("no roll-out")
    }

    /// Every finding; fails where one stands twice.
    pub fn findings(&self) -> Result<Vec<FindingRow>> {
        let mut all: Vec<FindingRow> = Vec::new();
        let mut before = None;
        loop {
            let filter = FindingFilter::default();
            let page = self.ask(self.store.findings(&filter, before, PageSize::new(500)?))?;
            all.extend(page.items);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let mut uids: Vec<(Uuid, &str)> = all
            .iter()
            .map(|finding| (finding.sensor, finding.uid.as_str()))
            .collect();
        uids.sort_unstable();
        let before = uids.len();
        uids.dedup();
        ensure!(uids.len() == before, "a finding stands twice in the store");
        Ok(all)
    }

    /// Waits for a finding of that rule.
    pub fn finding(&self, rule: &str) -> Result<FindingRow> {
        wait::until(&format!("a finding of {rule} in the store"), || {
            let found = self.findings()?.into_iter();
            Ok(found
                .into_iter()
                .find(|finding| finding.columns.rule == rule))
        })
    }

    /// How rules stand on a sensor.
    pub fn rules_on(&self, sensor: Uuid) -> Result<Vec<SensorRule>> {
        let page = self
            .store
            .rules_on_sensor(sensor, None, PageSize::new(500)?);
        Ok(self.ask(page)?.items)
    }

    /// A real sensor that joins this server; its state is kept under that name.
    pub fn sensor(&self, scratch: &Scratch, name: &str, token: &str) -> Builder {
        sensor(scratch, name, &self.url(), token)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop_serving();
    }
}

/// A real sensor that joins the server of that URL.
pub fn sensor(scratch: &Scratch, name: &str, url: &str, token: &str) -> Builder {
    Builder::of_fleet()
        .arg("--server")
        .arg(url)
        .arg("--join")
        .arg(token)
        .arg("--state")
        .arg(scratch.path().join(name))
        .arg("--control")
        .arg(socket(scratch, name))
}

/// Where that sensor answers those on its host.
pub fn socket(scratch: &Scratch, name: &str) -> PathBuf {
    scratch.path().join(format!("{name}.sock"))
}

/// The version that a sensor says it goes by; 0: none.
pub fn applied(sensor: &Sensor) -> i64 {
    let bundle = sensor
        .heartbeat
        .as_ref()
        .and_then(|beat| beat.bundle.as_ref());
    bundle.map_or(0, |bundle| bundle.version)
}

/// A number of a sensor's health.
pub fn health(sensor: &Sensor, key: &str) -> serde_json::Value {
    let beat = sensor.heartbeat.as_ref();
    beat.and_then(|beat| beat.health.get(key).cloned())
        .unwrap_or_default()
}

fn rustix_random(bytes: &mut [u8]) -> Result<()> {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")?.read_exact(bytes)?;
    Ok(())
}
