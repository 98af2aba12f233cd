//! A process's output, line by line, with a deadline on every wait.

use crate::wait::patience;
use anyhow::{Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Lines as they arrive. A line stays until it is taken.
#[derive(Debug)]
pub struct Lines {
    what: &'static str,
    arriving: Receiver<String>,
    /// Every line so far, for messages.
    seen: Vec<String>,
    /// Arrived, and nobody's yet.
    waiting: Vec<String>,
    brief: fn(&str) -> String,
}

impl Lines {
    /// Reads on a thread until the end of `from`.
    pub fn of(what: &'static str, from: impl Read + Send + 'static) -> Lines {
        let (sender, arriving) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
                let line = String::from_utf8_lossy(&bytes);
                if sender.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        Lines {
            what,
            arriving,
            seen: Vec::new(),
            waiting: Vec::new(),
            brief: |line| line.chars().take(300).collect(),
        }
    }

    /// Takes the first line for which `pick` finds something.
    pub fn take<T>(&mut self, wanted: &str, pick: impl FnMut(&str) -> Option<T>) -> Result<T> {
        self.take_within(patience(), wanted, pick)
    }

    /// The same, with another deadline.
    pub fn take_within<T>(
        &mut self,
        patience: Duration,
        wanted: &str,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        for at in 0..self.waiting.len() {
            if let Some(found) = pick(&self.waiting[at]) {
                self.waiting.remove(at);
                return Ok(found);
            }
        }
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.arriving.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if let Some(found) = pick(&line) {
                        return Ok(found);
                    }
                    self.waiting.push(line);
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("not within {patience:?}: {wanted}\n{}", self.transcript())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "{} ended without: {wanted}\n{}",
                        self.what,
                        self.transcript()
                    )
                }
            }
        }
    }

    /// Takes the next line of all; none at the end of the output.
    pub fn next_or_end(&mut self, wanted: &str) -> Result<Option<String>> {
        if !self.waiting.is_empty() {
            return Ok(Some(self.waiting.remove(0)));
        }
        let patience = patience();
        match self.arriving.recv_timeout(patience) {
            Ok(line) => {
                self.seen.push(line.clone());
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("not within {patience:?}: {wanted}\n{}", self.transcript())
            }
        }
    }

    /// Shows lines in messages as `brief` makes them.
    #[must_use]
    pub fn shown_as(mut self, brief: fn(&str) -> String) -> Lines {
        self.brief = brief;
        self
    }

    /// Everything not taken, up to the end of the output.
    pub fn rest(&mut self) -> Result<Vec<String>> {
        let patience = patience();
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.arriving.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    self.waiting.push(line);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(std::mem::take(&mut self.waiting));
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("not within {patience:?}: the end of {}", self.what)
                }
            }
        }
    }

    /// What has arrived so far, for messages: the last lines of it.
    pub fn transcript(&self) -> String {
        const SHOWN: usize = 40;
        let from = self.seen.len().saturating_sub(SHOWN);
        let mut text = format!("--- {} ({} lines)\n", self.what, self.seen.len());
        for line in &self.seen[from..] {
            text.push_str(&(self.brief)(line));
            text.push('\n');
        }
        text
    }
}
