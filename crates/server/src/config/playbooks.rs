//! What playbooks may reach, as the file has it.

use picket_outputs::{Wrong, wrong};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

/// Secrets, at most.
const MAX_SECRETS: usize = 1000;

/// What playbooks may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Playbooks {
    /// Files with secrets, by the names under which playbooks use them.
    pub secrets: BTreeMap<String, PathBuf>,
    /// Whether requests may go to loopback, link-local and private addresses, and
    /// without encryption.
    pub allow_private: bool,
    /// Where mail is handed in.
    pub smtp: Option<Smtp>,
}

/// Where mail is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// The relay.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the line is encrypted from its beginning.
    pub tls: bool,
    /// Who sends.
    pub from: String,
    /// Who logs in, and the file with the password.
    pub log_in: Option<(String, PathBuf)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPlaybooks {
    secrets: BTreeMap<String, Spanned<PathBuf>>,
    allow_private: bool,
    smtp: Option<Spanned<RawSmtp>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSmtp {
    host: String,
    port: Option<u16>,
    tls: Option<bool>,
    from: String,
    username: Option<String>,
    password_file: Option<PathBuf>,
}

pub(super) fn resolve(raw: RawPlaybooks) -> Result<Playbooks, Wrong> {
    if raw.secrets.len() > MAX_SECRETS
        && let Some(one) = raw.secrets.values().next()
    {
        let what = format!("playbooks.secrets: more than {MAX_SECRETS}");
        return Err(wrong(one, what));
    }
    let smtp = match raw.smtp {
        None => None,
        Some(smtp) => {
            let log_in = match (&smtp.get_ref().username, &smtp.get_ref().password_file) {
                (None, None) => None,
                (Some(name), Some(file)) => Some((name.clone(), file.clone())),
                _ => {
                    let what = "playbooks.smtp: username and password_file come together";
                    return Err(wrong(&smtp, what));
                }
            };
            let smtp = smtp.into_inner();
            let tls = smtp.tls.unwrap_or(true);
            Some(Smtp {
                port: smtp.port.unwrap_or(if tls { 465 } else { 25 }),
                host: smtp.host,
                tls,
                from: smtp.from,
                log_in,
            })
        }
    };
    Ok(Playbooks {
        secrets: raw
            .secrets
            .into_iter()
            .map(|(name, file)| (name, file.into_inner()))
            .collect(),
        allow_private: raw.allow_private,
        smtp,
    })
}
