//! The server inside `picket up`: on the embedded store, with this host's sensor as a
//! member of its fleet. Findings, rules and heartbeats take the way that those of other
//! hosts take.

use super::fleet::Membership;
use crate::commands::server::{greet, runtime};
use crate::console;
use anyhow::{Context, Result};
use picket_proto::fleet::JoinToken;
use picket_sensor::fleet::Identity;
use picket_server::api::{Seeded, seed};
use picket_server::config::Config;
use picket_server::{Server, start, telemetry};
use picket_store::{Cause, Labels, Micros, NewJoinToken, StoreError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// Where the server's files lie, below the data folder.
const SERVER: &str = "server";
/// Where the sensor's lie.
const SENSOR: &str = "sensor";
/// How long the sensor may take to join.
const JOIN: Duration = Duration::from_secs(600);

/// The rules that stand go on; a server that does not start would help nobody.
fn tell_seeded(seeded: Result<Seeded, String>) {
    match seeded {
        Ok(seeded) if seeded.held.is_empty() => {}
        Ok(seeded) => console::warning(&format!(
            "these rules may block, and keep the text that they were armed with; Picket {} comes \
             with a newer one: {}",
            env!("CARGO_PKG_VERSION"),
            seeded.held.join(", ")
        )),
        Err(why) => console::warning(&format!(
            "the built-in rules were not brought up to this version: {why}"
        )),
    }
}

/// A running server.
pub struct Embedded {
    runtime: Runtime,
    server: Server,
}

impl Embedded {
    /// Starts it.
    pub fn start(data: &Path, listen: SocketAddr) -> Result<Embedded> {
        let mut config = Config::in_folder(&data.join(SERVER));
        config.listen = listen;
        // For the sensor in this process alone; others join a `picket server`.
        config.fleet.listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        // One sensor is no crowd to try something on first.
        config.fleet.plan.canary = None;
        // What people are told here they are told in words.
        config.log.level = picket_server::config::QUIET;
        telemetry::init(config.log);
        let runtime = runtime()?;
        let server = runtime.block_on(start(config))?;
        tell_seeded(runtime.block_on(seed(&**server.store(), builtin())));
        greet(&server);
        Ok(Embedded { runtime, server })
    }

    /// What the sensor needs to join it, or to come back.
    pub fn membership(&self, data: &Path) -> Result<Membership> {
        let folder = data.join(SENSOR);
        let join = self.server.fleet().join_token()?;
        if !self.knows(&folder)? {
            self.let_in(&join)?;
        }
        Ok(Membership {
            server: format!("https://{}", self.server.fleet().address()).parse()?,
            join,
            folder,
            spool_bytes: picket_sensor::spool::DEFAULT_BYTES,
            actions: picket_proto::order::KINDS.to_vec(),
            shown: true,
        })
    }

    /// Whether the identity in the folder is one of this server. One of a server that
    /// was here before is put aside: its bundle would be in the way as well.
    fn knows(&self, folder: &Path) -> Result<bool> {
        let Some(identity) = Identity::load(folder)? else {
            return Ok(false);
        };
        let id = identity.sensor.parse();
        let found = match id {
            Ok(id) => self.runtime.block_on(self.server.store().sensor(id)),
            Err(_) => return Ok(false),
        };
        match found {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => {
                let aside = unused(folder);
                std::fs::rename(folder, &aside)
                    .with_context(|| format!("cannot move {}", folder.display()))?;
                console::warning(&format!(
                    "the server does not know this host's sensor (is its database new?): it joins \
                     anew; what it kept is in {}",
                    aside.display()
                ));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn let_in(&self, join: &JoinToken) -> Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = since.map_or(0, |since| since.as_micros() as Micros);
        let token = NewJoinToken {
            hash: join.hash(),
            labels: Labels::new(),
            expires_at: at + JOIN.as_micros() as Micros,
            uses: 1,
        };
        let cause = Cause {
            actor: "system:up".to_owned(),
            reason: "for the sensor of this host".to_owned(),
            at,
        };
        let store = self.server.store();
        self.runtime
            .block_on(store.make_join_token(token, &cause))?;
        Ok(())
    }

    /// Lets requests end, and closes the store.
    pub fn stop(self) {
        self.runtime.block_on(self.server.stop());
    }
}

/// The built-in rules, as files.
fn builtin() -> Vec<(String, String)> {
    let sources = crate::builtin::sources().into_iter();
    sources
        .map(|source| {
            let text = String::from_utf8_lossy(&source.bytes).into_owned();
            (source.name, text)
        })
        .collect()
}

/// A name beside it that is free.
fn unused(folder: &Path) -> PathBuf {
    (1..)
        .map(|number| folder.with_extension(format!("old-{number}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.with_extension("old"))
}
