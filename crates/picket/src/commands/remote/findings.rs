//! `picket findings`: what a server's sensors found.

use super::Remote;
use super::client::{Client, encoded};
use crate::{console, output};
use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often it is told how far it is.
const TELL: Duration = Duration::from_secs(5);

/// What is done.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write findings to a file or stdout, the newest first: all that the filters find
    #[command(
        after_help = "A filter given again is an alternative. That somebody exports is in the server's audit log.\n\n\
            Examples:\n  picket findings export --from 2026-11-01T00:00:00Z -o november.jsonl\n  \
            picket findings export --format csv --severity high --severity critical --host web-1 > worst.csv\n  \
            picket findings export --where 'process.cmd_line contains \"curl\"'"
    )]
    Export(Args),
}

/// How they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One OCSF Detection Finding a line
    OcsfJsonl,
    /// Their columns; cells that a spreadsheet would take for formulas have an apostrophe in front
    Csv,
}

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// From this time on, such as 2026-11-26T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this severity
    #[arg(long, value_name = "SEVERITY")]
    severity: Vec<String>,
    /// With this outcome: blocked, logged
    #[arg(long, value_name = "OUTCOME")]
    disposition: Vec<String>,
    /// Of this rule
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// On this host
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// In this project
    #[arg(long, value_name = "NAME")]
    project: Vec<String>,
    /// By this user
    #[arg(long, value_name = "NAME")]
    user: Vec<String>,
    /// By this process
    #[arg(long, value_name = "PATH")]
    process: Vec<String>,
    /// In a container of this image
    #[arg(long, value_name = "NAME")]
    image: Vec<String>,
    /// Whose event is as this condition of the rule language says: 'process.cmd_line contains "curl"'
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// As a filter says that you keep, or that somebody shares (the API's /filters), beside the others
    #[arg(long, value_name = "NAME")]
    saved: Option<String>,
    /// How they are written
    #[arg(long, value_enum, default_value_t = Format::OcsfJsonl)]
    format: Format,
    /// A new file, readable by you alone; left out: stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Does it.
pub fn run(command: &Command) -> Result<ExitCode> {
    let Command::Export(args) = command;
    let client = Client::new(&args.remote)?;
    let mut query = query(args);
    if let Some(name) = &args.saved {
        query = format!("{query}&{}", saved(&client, name)?);
    }
    let body = client.download(&format!("/api/v1/findings/export?{query}"))?;
    match &args.output {
        None => copy(body, output::stdout())?,
        Some(path) => {
            use std::os::unix::fs::OpenOptionsExt;
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("cannot create {}", path.display()))?;
            copy(body, BufWriter::new(file))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The query of a saved filter: one's own, or else one that is shared.
fn saved(client: &Client, name: &str) -> Result<String> {
    let list = client.get("/api/v1/filters")?;
    let items = list["items"].as_array().into_iter().flatten();
    let named: Vec<_> = items
        .filter(|filter| filter["kind"] == "finding" && filter["name"] == name)
        .collect();
    let own = named.iter().find(|filter| filter["own"] == true);
    let query = own
        .or(named.first())
        .and_then(|filter| filter["query"].as_str());
    query
        .map(str::to_owned)
        .with_context(|| format!("no filter of findings is called {name:?}"))
}

/// Copies it as it comes, and tells now and then how much it was.
fn copy(mut body: impl Read, mut out: impl Write) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let (mut lines, mut told) = (0_usize, Instant::now());
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => &buffer[..read],
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => {
                out.flush()?;
                let what = format!("the export broke off after {lines} lines: it is not the whole");
                return Err(anyhow::Error::new(why).context(what));
            }
        };
        out.write_all(read)?;
        lines += read.iter().filter(|byte| **byte == b'\n').count();
        if told.elapsed() > TELL {
            console::line(&format!("{lines} lines so far"));
            told = Instant::now();
        }
    }
    Ok(out.flush()?)
}

fn query(args: &Args) -> String {
    let format = match args.format {
        Format::OcsfJsonl => "ocsf-jsonl",
        Format::Csv => "csv",
    };
    let mut pairs = vec![("format", format)];
    let of_one = [
        ("from", &args.from),
        ("until", &args.until),
        ("where", &args.condition),
    ];
    pairs.extend(
        of_one
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?))),
    );
    for (name, values) in [
        ("severity", &args.severity),
        ("disposition", &args.disposition),
        ("rule", &args.rule),
        ("host", &args.host),
        ("project", &args.project),
        ("user", &args.user),
        ("process", &args.process),
        ("image", &args.image),
    ] {
        pairs.extend(values.iter().map(|value| (name, value.as_str())));
    }
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some, then fails.
    struct Broken(bool);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer[..4].copy_from_slice(b"a\nb\n");
            Ok(4)
        }
    }

    #[test]
    fn a_part_is_not_taken_for_the_whole() {
        let mut out = Vec::new();
        let why = copy(Broken(false), &mut out).unwrap_err();
        assert!(why.to_string().contains("after 2 lines"), "{why}");
        assert_eq!(out, b"a\nb\n");
    }
}
