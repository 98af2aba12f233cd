//! `picket server`: the control plane.

use crate::console;
use anyhow::{Context, Result};
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
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Serves until SIGTERM or Ctrl-C.
pub fn run(args: &Args) -> Result<ExitCode> {
    let config = match &args.config {
        Some(file) => Config::read(file)?,
        None => Config::in_folder(Path::new(DATA)),
    };
    telemetry::init(config.log);
    runtime()?.block_on(async {
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
