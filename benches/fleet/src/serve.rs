//! The server: a process of its own, that takes orders by its standard input.
//!
//! An order is a line, and so is its answer.

use anyhow::{Context, Result, bail};
use picket_proto::fleet::JoinToken;
use picket_server::config::{Config, Tls};
use picket_server::fleet::FleetConfig;
use picket_server::{Server, start};
use picket_store::{
    Cause, Content, DefinitionFilter, Kind, Labels, NewJoinToken, PageSize, Stage, Store,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader};

/// The word that makes a process the server.
pub const WORD: &str = "serve";
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// `serve FOLDER STORE`.
pub async fn run(mut words: impl Iterator<Item = String>) -> Result<()> {
    let folder = PathBuf::from(words.next().context("no folder")?);
    let store = words.next().context("no store")?.parse()?;
    let mut fleet = FleetConfig::new(folder.join("fleet"), ANY);
    // The time until the last sensor has a rule is measured, not the watch in between.
    fleet.plan.canary = None;
    let mut config = Config::in_folder(&folder);
    config.listen = ANY;
    config.store = store;
    config.tls = Tls::Off;
    config.log.level = tracing::Level::WARN;
    config.fleet = fleet;
    let server = start(config).await?;
    println!("ready {}", server.fleet().address());
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        let words: Vec<&str> = order.split(' ').collect();
        println!("{}", obey(&server, &words).await?);
    }
    server.stop().await;
    Ok(())
}

async fn obey(server: &Server, words: &[&str]) -> Result<String> {
    let store = &**server.store();
    Ok(match words {
        ["token", uses] => token(server, uses.parse()?).await?,
        ["draft", name] => {
            let first = content(name, Stage::Draft);
            store.define(Kind::Rule, name, first, &cause()).await?;
            "done".to_owned()
        }
        ["publish", name] => {
            publish(store, name).await?;
            "done".to_owned()
        }
        ["rollout"] => {
            let page = store.rollouts(None, false, None, PageSize::new(1)?).await?;
            let last = page.items.into_iter().next();
            last.map_or("none".to_owned(), |last| {
                format!("{} {}", last.state.name(), last.plan["version"])
            })
        }
        ["findings"] => store.findings_tally().await?.findings.to_string(),
        ["counters"] => {
            let counters = server.fleet().counters();
            format!(
                "{} handshakes failed, {} calls put off, {} offers",
                counters.handshakes_failed.load(Ordering::Relaxed),
                counters.put_off.load(Ordering::Relaxed),
                counters.offers.load(Ordering::Relaxed)
            )
        }
        other => bail!("what is {other:?}?"),
    })
}

async fn token(server: &Server, uses: u32) -> Result<String> {
    let token: JoinToken = server.fleet().join_token()?;
    let new = NewJoinToken {
        hash: token.hash(),
        labels: Labels::from([("environment".to_owned(), "production".to_owned())]),
        expires_at: now() + 3_600_000_000,
        uses,
    };
    server.store().make_join_token(new, &cause()).await?;
    Ok(token.to_string())
}

/// A draft that is sent to sensors from now on.
async fn publish(store: &dyn Store, name: &str) -> Result<()> {
    let filter = DefinitionFilter {
        kind: Some(Kind::Rule),
        ..DefinitionFilter::default()
    };
    let mut after = None;
    loop {
        let page = store
            .definitions(&filter, after, PageSize::new(500)?)
            .await?;
        if let Some(found) = page.items.iter().find(|found| found.name == name) {
            let next = content(name, Stage::Simulate);
            store
                .redefine(found.id, found.version, next, &cause())
                .await?;
            return Ok(());
        }
        after = page.next;
        if after.is_none() {
            bail!("no rule {name}");
        }
    }
}

/// As long as the built-in ones are in the mean.
fn content(name: &str, stage: Stage) -> Content {
    let body = format!(
        "rules:\n  - id: {name}\n    title: A program was started from a place of the bench\n    \
         description: A web server has no reason to start what lies in a folder that everybody \
         may write to.\n    event: process.exec\n    severity: high\n    \
         tags: [attack.t1505.003, attack.execution]\n    \
         condition: 'process.path startswith anyof (\"/tmp/{name}/\", \"/dev/shm/{name}/\") and \
         any process.ancestors (name in (\"nginx\", \"apache2\", \"php-fpm\"))'\n"
    );
    Content {
        stage,
        body,
        projects: Vec::new(),
    }
}

fn cause() -> Cause {
    Cause {
        actor: "user:bench".to_owned(),
        reason: "measured".to_owned(),
        at: now(),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as i64)
}
