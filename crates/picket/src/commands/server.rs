//! `picket server`: the control plane, its backup and its restoration.

use crate::console;
use anyhow::{Context, Result};
use picket_server::backup::{backup, restore};
use picket_server::config::{Config, DATA};
use picket_server::{Server, start, telemetry};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its configuration; left out: the usual one, with everything below /var/lib/picket-server
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// How it logs on stderr, whatever the configuration says
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    /// Write database and keys into one file, while the server runs or not
    #[command(
        after_help = "The file holds the keys of the fleet: whoever reads it can give rules to every sensor.\n\n\
            Example:\n  picket server backup --config /etc/picket/server.toml -o picket.tar"
    )]
    Backup {
        /// A new file
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Restore a backup where no server has been; nothing is overwritten
    #[command(
        after_help = "Example:\n  picket server restore --config /etc/picket/server.toml picket.tar"
    )]
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        backup: PathBuf,
    },
}

/// Does what is asked for; serves if that is nothing else.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut config = match &args.config {
        Some(file) => Config::read(file)?,
        None => Config::in_folder(Path::new(DATA)),
    };
    if let Some(format) = args.log_format {
        config.log.json = format == LogFormat::Json;
    }
    match &args.command {
        None => serve(config),
        Some(Command::Backup { output }) => back_up(&config, output),
        Some(Command::Restore { backup }) => bring_back(&config, backup),
    }
}

fn back_up(config: &Config, output: &Path) -> Result<ExitCode> {
    let written = runtime()?.block_on(backup(config, output))?;
    let file = output.display();
    console::line(&format!(
        "{file}: {} bytes, {} keys and certificates{}",
        written.bytes,
        written.keys,
        match written.database_elsewhere {
            None => ", the database",
            Some(_) => "",
        }
    ));
    if let Some(place) = written.database_elsewhere {
        console::warning(&format!(
            "the database is not in it: it is in {place} (pg_dump --format=custom makes a copy)"
        ));
    }
    console::warning(&format!(
        "{file} holds the keys of the fleet: whoever reads it can give rules to every sensor. It is \
         readable by you alone (0600): keep it so, wherever it goes"
    ));
    Ok(ExitCode::SUCCESS)
}

fn bring_back(config: &Config, from: &Path) -> Result<ExitCode> {
    let restored = runtime()?.block_on(restore(config, from))?;
    console::line(&format!(
        "restored to {}: {} keys and certificates{}, by Picket {}",
        config.data.display(),
        restored.keys,
        match restored.database {
            true => " and the database",
            false => "; the database comes from pg_restore",
        },
        restored.program
    ));
    Ok(ExitCode::SUCCESS)
}

/// Serves until SIGTERM or Ctrl-C.
fn serve(config: Config) -> Result<ExitCode> {
    runtime()?.block_on(async {
        let telemetry = telemetry::init_traced(config.log, config.traces.as_ref())?;
        // Before anything is there that would have to be ended in order.
        let mut terminate = signal(SignalKind::terminate()).context("cannot handle signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle signals")?;
        let server = start(config).await?;
        greet(&server);
        console::line("ready");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        server.stop().await;
        telemetry.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// What a server runs on.
pub fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name("picket-server")
        .enable_all()
        .build()
        .context("cannot start the server's threads")
}

/// Says where it is, and at the first start who can log in.
pub fn greet(server: &Server) {
    for line in server.greeting() {
        console::line(&line);
    }
}
