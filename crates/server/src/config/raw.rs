//! The file as it is written, with the place of each value.

use super::oidc::{self, RawOidc};
use super::playbooks::{self, RawPlaybooks};
use super::{ApiLimits, Config, DATA, Issues, LISTEN, Log, Retention, SENSORS_PORT, Tls, Traces};
use crate::fleet::{FleetConfig, Plan};
use picket_outputs::{RawOutput, Wrong, at_least_one, wrong};
use picket_store::Keep;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
    store: Option<Spanned<String>>,
    tls: RawTls,
    api: RawApi,
    ops: RawOps,
    log: RawLog,
    findings: RawFindings,
    issues: RawIssues,
    graph: RawGraph,
    playbooks: RawPlaybooks,
    fleet: RawFleet,
    oidc: Option<RawOidc>,
    traces: RawTraces,
    outputs: Vec<RawOutput>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTraces {
    endpoint: Option<Spanned<String>>,
    share: Option<Spanned<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTls {
    mode: Option<Spanned<String>>,
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawApi {
    requests_per_second: Option<Spanned<f64>>,
    burst: Option<Spanned<f64>>,
    log_ins_per_minute: Option<Spanned<f64>>,
    request_seconds: Option<Spanned<u32>>,
    session_hours: Option<Spanned<u32>>,
    connections: Option<Spanned<u32>>,
    streams: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOps {
    listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLog {
    level: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFleet {
    listen: Option<SocketAddr>,
    heartbeat_seconds: Option<Spanned<u32>>,
    plan: Option<Plan>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFindings {
    keep_days: Option<Spanned<u32>>,
    keep_count: Option<Spanned<u32>>,
    keep_gib: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawIssues {
    keep_days: Option<Spanned<u32>>,
    due_hours: RawDueHours,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDueHours {
    informational: Option<Spanned<u32>>,
    low: Option<Spanned<u32>>,
    medium: Option<Spanned<u32>>,
    high: Option<Spanned<u32>>,
    critical: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawGraph {
    keep_days: Option<Spanned<u32>>,
}

/// From the text to a configuration.
pub(super) fn resolve(text: &str) -> Result<Config, Wrong> {
    let file: File = toml::from_str(text).map_err(|error| syntax(text, &error))?;
    let data = file.data.unwrap_or_else(|| DATA.into());
    let listen = file.listen.unwrap_or(LISTEN);
    let defaults = Config::in_folder(&data);
    let store = match &file.store {
        Some(place) => place
            .get_ref()
            .parse()
            .map_err(|why| wrong(place, format!("store: {why}")))?,
        None => defaults.store,
    };
    Ok(Config {
        tls: tls(&file.tls, listen)?,
        api: api(&file.api)?,
        ops: file.ops.listen,
        log: log(&file.log)?,
        findings: findings(&file.findings)?,
        issues: issues(&file.issues)?,
        playbooks: playbooks::resolve(file.playbooks)?,
        graph: graph(&file.graph, defaults.graph)?,
        fleet: fleet(file.fleet, listen, defaults.fleet)?,
        traces: traces(&file.traces)?,
        outputs: picket_outputs::resolve(file.outputs)?,
        oidc: file.oidc.map(oidc::resolve).transpose()?,
        data,
        listen,
        store,
    })
}

/// What the TOML reader says, with the key's name where it does not say it.
fn syntax(text: &str, error: &toml::de::Error) -> Wrong {
    let at = error.span().map_or(0, |span| span.start);
    let message = error.message().trim();
    let line_start = text[..at.min(text.len())]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim();
    let named = key.is_empty() || message.contains(key) || !line.contains('=');
    Wrong {
        at,
        what: if named {
            message.to_owned()
        } else {
            format!("{key}: {message}")
        },
    }
}

fn tls(raw: &RawTls, listen: SocketAddr) -> Result<Tls, Wrong> {
    let resolve = |path: &Spanned<PathBuf>| Path::new(path.get_ref()).to_owned();
    match (raw.mode.as_ref(), &raw.certificate, &raw.key) {
        (Some(mode), None, None) if mode.get_ref() == "off" => {
            if listen.ip().is_loopback() {
                return Ok(Tls::Off);
            }
            let why = format!(
                "tls.mode: off is only for a loopback address, and {listen} is reachable from \
                 elsewhere: leave it out, or listen on 127.0.0.1 behind a proxy"
            );
            Err(wrong(mode, why))
        }
        (Some(mode), certificate, key) => {
            let off = mode.get_ref() == "off";
            if off && (certificate.is_some() || key.is_some()) {
                let why = "tls.mode: off has no use for tls.certificate and tls.key";
                return Err(wrong(mode, why));
            }
            let why = format!("tls.mode: {:?}; the only one is \"off\"", mode.get_ref());
            Err(wrong(mode, why))
        }
        (None, None, None) => Ok(Tls::SelfSigned),
        (None, Some(certificate), Some(key)) => Ok(Tls::Files {
            certificate: resolve(certificate),
            key: resolve(key),
        }),
        (None, Some(certificate), None) => Err(wrong(
            certificate,
            "tls.certificate needs tls.key beside it",
        )),
        (None, None, Some(key)) => Err(wrong(key, "tls.key needs tls.certificate beside it")),
    }
}

fn api(raw: &RawApi) -> Result<ApiLimits, Wrong> {
    let default = ApiLimits::default();
    let rate = |value: &Option<Spanned<f64>>, key: &str, default: f64| match value {
        None => Ok(default),
        Some(rate) if rate.get_ref().is_finite() && *rate.get_ref() > 0.0 => Ok(*rate.get_ref()),
        Some(rate) => Err(wrong(rate, format!("api.{key}: it must be above 0"))),
    };
    let whole = |value: &Option<Spanned<u32>>, key: &str, default: u64| {
        at_least_one(value, &format!("api.{key}")).map(|value| value.map_or(default, u64::from))
    };
    Ok(ApiLimits {
        requests_per_second: rate(
            &raw.requests_per_second,
            "requests_per_second",
            default.requests_per_second,
        )?,
        burst: rate(&raw.burst, "burst", default.burst)?.max(1.0),
        log_ins_per_minute: rate(
            &raw.log_ins_per_minute,
            "log_ins_per_minute",
            default.log_ins_per_minute,
        )?,
        request: Duration::from_secs(whole(
            &raw.request_seconds,
            "request_seconds",
            default.request.as_secs(),
        )?),
        session: Duration::from_secs(
            3600 * whole(
                &raw.session_hours,
                "session_hours",
                default.session.as_secs() / 3600,
            )?,
        ),
        connections: whole(&raw.connections, "connections", default.connections as u64)? as usize,
        streams: whole(&raw.streams, "streams", default.streams as u64)? as usize,
    })
}

fn log(raw: &RawLog) -> Result<Log, Wrong> {
    let level = match &raw.level {
        None => tracing::Level::INFO,
        Some(level) => level.get_ref().parse().map_err(|_| {
            wrong(
                level,
                "log.level: it is one of error, warn, info, debug and trace",
            )
        })?,
    };
    let json = match &raw.format {
        None => false,
        Some(format) => match format.get_ref().as_str() {
            "text" => false,
            "json" => true,
            _ => return Err(wrong(format, "log.format: it is text or json")),
        },
    };
    Ok(Log { level, json })
}

fn traces(raw: &RawTraces) -> Result<Option<Traces>, Wrong> {
    let endpoint = match (&raw.endpoint, &raw.share) {
        (None, None) => return Ok(None),
        (None, Some(share)) => {
            let why = "traces.endpoint is missing: write where the collector is, such as \
                       \"http://127.0.0.1:4317\"";
            return Err(wrong(share, why));
        }
        (Some(endpoint), _) => endpoint,
    };
    let url = endpoint.get_ref().parse::<axum::http::Uri>();
    let is_url = url.is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
    });
    if !is_url {
        let why = "traces.endpoint: write a URL such as \"http://127.0.0.1:4317\" (OTLP over gRPC)";
        return Err(wrong(endpoint, why));
    }
    let share = match &raw.share {
        None => 1.0,
        Some(share) if (0.0..=1.0).contains(share.get_ref()) => *share.get_ref(),
        Some(share) => return Err(wrong(share, "traces.share: it is from 0 to 1")),
    };
    Ok(Some(Traces {
        endpoint: endpoint.get_ref().clone(),
        share,
    }))
}

fn fleet(raw: RawFleet, api: SocketAddr, usual: FleetConfig) -> Result<FleetConfig, Wrong> {
    let heartbeat = at_least_one(&raw.heartbeat_seconds, "fleet.heartbeat_seconds")?;
    Ok(FleetConfig {
        // Where the API is reachable from, sensors are too.
        listen: raw
            .listen
            .unwrap_or_else(|| SocketAddr::new(api.ip(), SENSORS_PORT)),
        heartbeat: heartbeat.map_or(usual.heartbeat, |seconds| {
            Duration::from_secs(seconds.into())
        }),
        plan: raw.plan.unwrap_or(usual.plan),
        ..usual
    })
}

fn graph(raw: &RawGraph, usual: Duration) -> Result<Duration, Wrong> {
    let days = at_least_one(&raw.keep_days, "graph.keep_days")?;
    Ok(days.map_or(usual, |days| {
        Duration::from_secs(u64::from(days) * 24 * 3600)
    }))
}

fn findings(raw: &RawFindings) -> Result<Retention, Wrong> {
    let default = Retention::default();
    let days = at_least_one(&raw.keep_days, "findings.keep_days")?;
    let count = at_least_one(&raw.keep_count, "findings.keep_count")?;
    let gib = at_least_one(&raw.keep_gib, "findings.keep_gib")?;
    Ok(Retention {
        age: days.map_or(default.age, |days| {
            Duration::from_secs(u64::from(days) * 24 * 3600)
        }),
        keep: Keep {
            findings: count.map(i64::from).or(default.keep.findings),
            bytes: gib.map(|gib| i64::from(gib) << 30).or(default.keep.bytes),
        },
    })
}

fn issues(raw: &RawIssues) -> Result<Issues, Wrong> {
    let default = Issues::default();
    let days = at_least_one(&raw.keep_days, "issues.keep_days")?;
    let hours = [
        (&raw.due_hours.informational, "informational"),
        (&raw.due_hours.low, "low"),
        (&raw.due_hours.medium, "medium"),
        (&raw.due_hours.high, "high"),
        (&raw.due_hours.critical, "critical"),
    ];
    let mut due_hours = default.due_hours;
    for (due, (raw, severity)) in due_hours.iter_mut().zip(hours) {
        let key = format!("issues.due_hours.{severity}");
        *due = at_least_one(raw, &key)?.unwrap_or(*due);
    }
    Ok(Issues {
        due_hours,
        keep: days.map_or(default.keep, |days| {
            Duration::from_secs(u64::from(days) * 24 * 3600)
        }),
    })
}
