//! Outputs, as a configuration file has them: `[[outputs]]`.

use picket_model::severity::Severity;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// Outputs, at most.
const MAX_OUTPUTS: usize = 32;
/// A name's characters, at most.
const MAX_NAME: usize = 64;
/// MiB of a file before it is moved, if nobody says.
const MAX_MIB: u32 = 100;
/// Moved files that are kept, if nobody says.
const KEEP: u32 = 10;
/// RFC 5425, 5426; for TCP there is no port of its own.
const TLS_PORT: u16 = 6514;
const PLAIN_PORT: u16 = 514;

/// An output, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What people, logs and metrics call it.
    pub name: String,
    /// Findings that are milder stay here.
    pub severity: Severity,
    /// Where it leads.
    pub target: Target,
}

/// Where an output leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A syslog server.
    Syslog(ToSyslog),
    /// A file.
    File(ToFile),
    /// A webhook.
    Webhook(To),
    /// A collector of OpenTelemetry.
    Otlp(To),
}

/// A syslog server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSyslog {
    /// What carries it.
    pub carrier: Carrier,
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whom to believe, PEM; the system's if left out.
    pub authorities: Option<PathBuf>,
}

/// What carries syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// RFC 5426.
    Udp,
    /// RFC 6587.
    Tcp,
    /// RFC 5425.
    Tls,
}

/// A file of JSON lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToFile {
    /// Which.
    pub path: PathBuf,
    /// Before it gets longer, it is moved.
    pub max_bytes: u64,
    /// Moved ones that are kept.
    pub keep: u32,
}

/// A server that is spoken to by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct To {
    /// Its URL.
    pub url: String,
    /// The file with the secret that signs, or the token that is shown.
    pub secret_file: Option<PathBuf>,
    /// Whom to believe, PEM; the system's if left out.
    pub authorities: Option<PathBuf>,
}

/// An output, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOutput {
    name: Spanned<String>,
    kind: Spanned<String>,
    severity: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    path: Option<Spanned<PathBuf>>,
    max_mib: Option<Spanned<u32>>,
    keep: Option<Spanned<u32>>,
    secret_file: Option<Spanned<PathBuf>>,
    authorities: Option<Spanned<PathBuf>>,
}

/// What is wrong, and at which byte of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// From 0.
    pub at: usize,
    /// What, naming the key.
    pub what: String,
}

impl Wrong {
    /// Line and column in that text, from 1, the column in characters.
    pub fn place(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

/// That something is wrong with a value.
pub fn wrong<T>(value: &Spanned<T>, what: impl Into<String>) -> Wrong {
    Wrong {
        at: value.span().start,
        what: what.into(),
    }
}

/// The outputs of a file that has nothing else.
pub fn parse(text: &str) -> Result<Vec<Output>, Wrong> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        outputs: Vec<RawOutput>,
    }
    let file: File = toml::from_str(text).map_err(|error| Wrong {
        at: error.span().map_or(0, |span| span.start),
        what: error.message().trim().to_owned(),
    })?;
    resolve(file.outputs)
}

/// Checks what is written.
pub fn resolve(raw: Vec<RawOutput>) -> Result<Vec<Output>, Wrong> {
    let mut names = BTreeSet::new();
    let mut outputs = Vec::with_capacity(raw.len());
    for raw in raw {
        if outputs.len() == MAX_OUTPUTS {
            let what = format!("outputs: more than {MAX_OUTPUTS}");
            return Err(wrong(&raw.name, what));
        }
        if !names.insert(raw.name.get_ref().clone()) {
            let what = format!("outputs.name: there are two {:?}", raw.name.get_ref());
            return Err(wrong(&raw.name, what));
        }
        outputs.push(one(raw)?);
    }
    Ok(outputs)
}

fn one(raw: RawOutput) -> Result<Output, Wrong> {
    let name = raw.name.get_ref();
    let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(right) {
        let what = format!(
            "outputs.name: write 1 to {MAX_NAME} of the characters a-z, 0-9, `-`, `_` and `.`"
        );
        return Err(wrong(&raw.name, what));
    }
    let severity = match &raw.severity {
        None => Severity::Informational,
        Some(severity) => {
            let found = Severity::from_name(severity.get_ref());
            found.ok_or_else(|| {
                let all = Severity::ALL.map(Severity::name);
                let what = format!("outputs.severity: it is one of {}", all.join(", "));
                wrong(severity, what)
            })?
        }
    };
    let kind = raw.kind.get_ref().as_str();
    let web: &[&str] = &["url", "secret_file", "authorities"];
    let may: &[&str] = match kind {
        "syslog" => &["url", "authorities"],
        "file" => &["path", "max_mib", "keep"],
        "webhook" | "otlp" => web,
        _ => {
            let what =
                format!("outputs.kind: {kind:?}; it is one of syslog, file, webhook and otlp");
            return Err(wrong(&raw.kind, what));
        }
    };
    for (key, at) in [
        ("url", raw.url.as_ref().map(Spanned::span)),
        ("path", raw.path.as_ref().map(Spanned::span)),
        ("max_mib", raw.max_mib.as_ref().map(Spanned::span)),
        ("keep", raw.keep.as_ref().map(Spanned::span)),
        ("secret_file", raw.secret_file.as_ref().map(Spanned::span)),
        ("authorities", raw.authorities.as_ref().map(Spanned::span)),
    ] {
        if let Some(at) = at.filter(|_| !may.contains(&key)) {
            return Err(Wrong {
                at: at.start,
                what: format!("outputs.{key}: an output of kind {kind} has none"),
            });
        }
    }
    let missing = |key: &str| wrong(&raw.kind, format!("outputs.{key}: kind {kind} needs it"));
    let authorities = raw.authorities.map(Spanned::into_inner);
    let target = match kind {
        "file" => Target::File(ToFile {
            path: raw.path.ok_or_else(|| missing("path"))?.into_inner(),
            max_bytes: u64::from(at_least_one(&raw.max_mib, "outputs.max_mib")?.unwrap_or(MAX_MIB))
                << 20,
            keep: raw.keep.map_or(KEEP, Spanned::into_inner),
        }),
        "syslog" => Target::Syslog(syslog(
            &raw.url.ok_or_else(|| missing("url"))?,
            authorities,
        )?),
        _ => {
            let url = raw.url.ok_or_else(|| missing("url"))?;
            let parsed = url.get_ref().parse::<ureq::http::Uri>();
            let is_url = parsed.is_ok_and(|url| {
                matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
            });
            if !is_url {
                let what = "outputs.url: write one such as \"https://siem.example/in\"";
                return Err(wrong(&url, what));
            }
            if kind == "webhook" && raw.secret_file.is_none() {
                return Err(missing("secret_file"));
            }
            let to = To {
                url: url.into_inner(),
                secret_file: raw.secret_file.map(Spanned::into_inner),
                authorities,
            };
            match kind {
                "webhook" => Target::Webhook(to),
                _ => Target::Otlp(to),
            }
        }
    };
    Ok(Output {
        name: raw.name.into_inner(),
        severity,
        target,
    })
}

/// A number, if there is one; an error if it is 0.
pub fn at_least_one(value: &Option<Spanned<u32>>, key: &str) -> Result<Option<u32>, Wrong> {
    match value {
        Some(number) if *number.get_ref() == 0 => {
            Err(wrong(number, format!("{key}: it must be at least 1")))
        }
        value => Ok(value.as_ref().map(|number| *number.get_ref())),
    }
}

fn syslog(url: &Spanned<String>, authorities: Option<PathBuf>) -> Result<ToSyslog, Wrong> {
    let what = "outputs.url: write one such as \"tls://siem.example:6514\", or with tcp: or udp:";
    let parsed = url.get_ref().parse::<ureq::http::Uri>().ok();
    let parts = parsed.as_ref().and_then(|url| {
        let carrier = match url.scheme_str()? {
            "udp" => Carrier::Udp,
            "tcp" => Carrier::Tcp,
            "tls" => Carrier::Tls,
            _ => return None,
        };
        let plain = matches!(url.path(), "" | "/") && url.query().is_none();
        let host = url.host()?.trim_matches(['[', ']']);
        let wellformed = plain && !url.authority()?.as_str().contains('@');
        wellformed.then(|| (carrier, host.to_owned(), url.port_u16()))
    });
    let (carrier, host, port) = parts.ok_or_else(|| wrong(url, what))?;
    if authorities.is_some() && carrier != Carrier::Tls {
        return Err(wrong(
            url,
            "outputs.authorities: only a tls: URL has use for them",
        ));
    }
    let usual = match carrier {
        Carrier::Tls => TLS_PORT,
        Carrier::Udp | Carrier::Tcp => PLAIN_PORT,
    };
    Ok(ToSyslog {
        carrier,
        host,
        port: port.unwrap_or(usual),
        authorities,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        let outputs = parse(
            r#"
            [[outputs]]
            name = "siem"
            kind = "syslog"
            url = "tls://[2001:db8::1]"
            authorities = "/etc/ca.pem"
            severity = "medium"
            [[outputs]]
            name = "disk"
            kind = "file"
            path = "/var/log/f"
            max_mib = 1
            keep = 0
            [[outputs]]
            name = "hook"
            kind = "webhook"
            url = "https://a.example/in"
            secret_file = "/etc/s"
            [[outputs]]
            name = "otel"
            kind = "otlp"
            url = "http://127.0.0.1:4318"
            "#,
        );
        let outputs = outputs.unwrap();
        assert_eq!(outputs[0].severity, Severity::Medium);
        let Target::Syslog(syslog) = &outputs[0].target else {
            panic!("{outputs:?}")
        };
        assert_eq!(
            (syslog.host.as_str(), syslog.port),
            ("2001:db8::1", TLS_PORT)
        );
        let file = ToFile {
            path: "/var/log/f".into(),
            max_bytes: 1 << 20,
            keep: 0,
        };
        assert_eq!(outputs[1].target, Target::File(file));
        assert!(matches!(outputs[2].target, Target::Webhook(_)));
        assert!(matches!(outputs[3].target, Target::Otlp(_)));
    }

    #[test]
    fn errors_name_the_key_and_the_place() {
        let start = "[[outputs]]\nname = \"a\"\n";
        for (text, key, at) in [
            ("kind = \"mail\"", "outputs.kind", "\"mail\""),
            ("kind = \"file\"", "outputs.path", "\"file\""),
            (
                "kind = \"file\"\npath = \"f\"\nurl = \"http://a\"",
                "outputs.url",
                "\"http",
            ),
            (
                "kind = \"file\"\npath = \"f\"\nmax_mib = 0",
                "outputs.max_mib",
                "0",
            ),
            (
                "kind = \"webhook\"\nurl = \"https://a\"",
                "outputs.secret_file",
                "\"webhook",
            ),
            ("kind = \"otlp\"\nurl = \"ftp://a\"", "outputs.url", "\"ftp"),
            (
                "kind = \"syslog\"\nurl = \"tls://u@a\"",
                "outputs.url",
                "\"tls",
            ),
            (
                "kind = \"syslog\"\nurl = \"udp://a/b\"",
                "outputs.url",
                "\"udp",
            ),
            (
                "kind = \"syslog\"\nurl = \"udp://a\"\nauthorities = \"f\"",
                "outputs.authorities",
                "\"udp",
            ),
            (
                "kind = \"otlp\"\nurl = \"http://a\"\nseverity = \"bad\"",
                "outputs.severity",
                "\"bad",
            ),
            (
                "kind = \"file\"\npath = \"f\"\n[[outputs]]\nname = \"a\"\nkind = \"file\"",
                "outputs.name",
                "\"a\"",
            ),
            ("kind = \"file\"\npaht = \"f\"", "paht", "paht"),
        ] {
            let text = format!("{start}{text}");
            let wrong = parse(&text).unwrap_err();
            assert!(wrong.what.contains(key), "{text}: {}", wrong.what);
            assert!(
                text[wrong.at..].starts_with(at),
                "{text}: {:?}",
                &text[wrong.at..]
            );
        }
        assert!(parse("[[outputs]]\nname = \"A B\"\nkind = \"file\"").is_err());
    }
}
