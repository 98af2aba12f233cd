//! The server's process, as the measurement holds it.

use crate::process::{self, Usage};
use crate::serve::WORD;
use anyhow::{Context, Result};
use picket_store::Location;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub struct Server {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub address: SocketAddr,
}

impl Server {
    pub async fn start(folder: &Path, store: &Location) -> Result<Server> {
        let store = match store {
            Location::Sqlite(file) => format!("sqlite:{}", file.display()),
            Location::Postgres(url) => url.clone(),
        };
        let mut child = Command::new(std::env::current_exe()?)
            .arg(WORD)
            .arg(folder)
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let orders = child.stdin.take().context("no stdin")?;
        let answers = child.stdout.take().context("no stdout")?;
        let mut answers = BufReader::new(answers).lines();
        let first = answers
            .next_line()
            .await?
            .context("the server did not start")?;
        let address = first.strip_prefix("ready ").context("an odd first line")?;
        Ok(Server {
            address: address.parse()?,
            child,
            orders,
            answers,
        })
    }

    pub async fn order(&mut self, order: &str) -> Result<String> {
        self.orders
            .write_all(format!("{order}\n").as_bytes())
            .await?;
        let answer = self.answers.next_line().await?;
        answer.with_context(|| format!("the server ended upon {order:?}"))
    }

    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.pid()?)
    }

    /// Ends it well: its store is a closed file then.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.orders);
        self.child.wait().await?;
        Ok(())
    }
}
