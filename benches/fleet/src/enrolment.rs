//! A fleet joins: or it has already, in an earlier run.

use crate::arguments::Arguments;
use crate::fleet::{Identity, Joined};
use crate::measure::Base;
use crate::process::{self, Usage};
use crate::server::Server;
use crate::{line, sensor};
use anyhow::{Context, Result, ensure};
use picket_proto::fleet::wire::EnrolRequest;
use picket_proto::fleet::{JoinToken, PROTOCOL};
use picket_server::fleet::Authority;
use rcgen::{CertificateParams, KeyPair};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Sensors that join at one time: as many as the server lets in.
const AT_ONCE: usize = 64;
/// A kept fleet's certificates have to be good for so long yet.
const GOOD_FOR: Duration = Duration::from_secs(3_600);
const CALL: Duration = Duration::from_secs(60);

/// The fleet, and a row of the table if it had to join.
pub async fn fleet(arguments: &Arguments, base: &Base) -> Result<Joined> {
    let file = base.folder.join("fleet.json");
    if let Some(mut joined) = Joined::load(&file)? {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)? + GOOD_FOR;
        let good = joined.expires_us > i64::try_from(now.as_micros())?;
        if good && joined.sensors.len() >= arguments.sensors {
            joined.sensors.truncate(arguments.sensors);
            return Ok(joined);
        }
        anyhow::bail!(
            "{} holds a smaller or an older fleet: remove its folder",
            file.display()
        );
    }
    let mut server = Server::start(&base.server, &base.store).await?;
    for number in 0..arguments.rules {
        server.order(&format!("draft rule-{number}")).await?;
        server.order(&format!("publish rule-{number}")).await?;
    }
    for number in 0..=arguments.publications {
        server.order(&format!("draft next-{number}")).await?;
    }
    let before = (server.usage()?, process::usage(std::process::id())?);
    let begun = Instant::now();
    let joined = join(arguments.sensors, base, &mut server).await?;
    let took = begun.elapsed();
    let after = (server.usage()?, process::usage(std::process::id())?);
    let each = |before: Usage, after: Usage| {
        (after.cpu - before.cpu).as_secs_f64() * 1e3 / arguments.sensors as f64
    };
    println!(
        "| {} enrolments, {AT_ONCE} at a time | {:.0}/s; CPU of the server {:.2} ms each, of the sensors {:.2} ms |",
        arguments.sensors,
        arguments.sensors as f64 / took.as_secs_f64(),
        each(before.0, after.0),
        each(before.1, after.1),
    );
    server.stop().await?;
    joined.save(&file)?;
    Ok(joined)
}

async fn join(count: usize, base: &Base, server: &mut Server) -> Result<Joined> {
    let token = JoinToken::parse(&server.order(&format!("token {count}")).await?)?;
    let authority = Authority::open(&base.server.join("fleet"))?;
    let authority = authority.certificate().to_vec();
    let tls = line::tls(line::roots(&authority)?, None)?;
    let next = Arc::new(AtomicUsize::new(0));
    let joined = Arc::new(Mutex::new(Joined {
        authority,
        bundle_key: String::new(),
        expires_us: i64::MAX,
        sensors: Vec::with_capacity(count),
    }));
    let address = server.address;
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (next, joined) = (next.clone(), joined.clone());
        let (tls, secret) = (tls.clone(), token.secret.to_vec());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                let host = format!("web-{number}.prod.example.net");
                let key = KeyPair::generate()?;
                let request = CertificateParams::default().serialize_request(&key)?;
                let mut client = line::connect(address, tls.clone()).await?;
                let call = client.enrol(EnrolRequest {
                    protocol: PROTOCOL,
                    secret: secret.clone(),
                    csr: request.der().to_vec(),
                    host: host.clone(),
                    facts: sensor::facts(),
                });
                let reply = tokio::time::timeout(CALL, call).await??.into_inner();
                let identity = reply.identity.context("no identity")?;
                let mut joined = joined.lock().await;
                joined.expires_us = joined.expires_us.min(identity.expires_us);
                joined.bundle_key = identity.bundle_keys.first().context("no key")?.clone();
                joined.sensors.push(Identity {
                    host,
                    key: key.serialize_der(),
                    certificate: identity.certificate,
                });
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let joined = Arc::try_unwrap(joined).ok().context("a task is left")?;
    let joined = joined.into_inner();
    ensure!(joined.sensors.len() == count);
    Ok(joined)
}
