//! A server of the test's own, by its API.

use crate::http::{Answer, request};
use crate::sensor::Builder;
use crate::{Scratch, Sensor, wait};
use anyhow::{Context, Result};
use serde_json::{Value, json};

const FIRST: &str = "first start: log in as admin with the password ";
const API: &str = "/api/v1";

/// A server of the test's own, and somebody who is logged in.
pub struct Console {
    _server: Sensor,
    address: String,
    /// Where sensors come in.
    pub fleet: String,
    token: String,
}

impl Console {
    /// Starts it, and logs in.
    pub fn start(scratch: &Scratch) -> Result<Console> {
        Console::start_with(scratch, "")
    }

    /// The same, with more lines in its configuration.
    pub fn start_with(scratch: &Scratch, more: &str) -> Result<Console> {
        let config = format!(
            "data = {:?}\nlisten = \"127.0.0.1:0\"\n[fleet]\nlisten = \"127.0.0.1:0\"\n{more}",
            scratch.at("server")
        );
        let config = scratch.write("server.toml", config)?;
        let config = config.display().to_string();
        let mut server = Builder::command(["server", "--config", &config]).start()?;
        let after = |line: String, words: &str| -> Result<String> {
            let rest = line.split(words).nth(1).context("another line")?;
            Ok(rest.split([' ', ',']).next().unwrap_or(rest).to_owned())
        };
        let password = after(server.message(FIRST)?, FIRST)?;
        let api = after(server.message("the API: ")?, "https://")?;
        let fleet = after(server.message("for sensors: ")?, "for sensors: ")?;
        let mut console = Console {
            _server: server,
            address: api.trim_end_matches(API).to_owned(),
            fleet,
            token: String::new(),
        };
        let login = json!({"name": "admin", "password": password, "token": true});
        let session = console.post("/session", &login)?;
        console.token = session["token"].as_str().context("no token")?.to_owned();
        Ok(console)
    }

    /// Asks for something; `match_` is the tag that a change needs.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        match_: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = Vec::new();
        if !self.token.is_empty() {
            headers.push(("Authorization", bearer.as_str()));
        }
        if !match_.is_empty() {
            headers.push(("If-Match", match_));
        }
        let path = format!("{API}{path}");
        request(&self.address, method, &path, &headers, body)
    }

    /// Sends something; an error is the answer's.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.ask("POST", path, "", Some(body))?;
        answer.json().with_context(|| path.to_owned())
    }

    /// The items of a page.
    pub fn items(&self, path: &str) -> Result<Vec<Value>> {
        let page = self.ask("GET", path, "", None)?.json()?;
        Ok(page["items"].as_array().context("no items")?.clone())
    }

    /// What policies would have killed for a rule or policy.
    pub fn evidence(&self, path: &str) -> Result<Value> {
        self.ask("GET", &format!("{path}/evidence"), "", None)?
            .json()
    }

    /// Takes a definition as far as that; to block on what is known of it.
    pub fn stage(&self, path: &str, stages: &[&str]) -> Result<()> {
        for stage in stages {
            let read = self.ask("GET", path, "", None)?;
            let tag = read.header("etag").context("no ETag")?;
            let mut body = json!({"stage": stage, "reason": "end-to-end test"});
            if *stage == "block" {
                body["evidence"] = self.evidence(path)?["digest"].clone();
            }
            self.ask("POST", &format!("{path}/stage"), tag, Some(&body))?
                .json()
                .with_context(|| format!("{path} to {stage}"))?;
        }
        Ok(())
    }

    /// Waits until the sensor tells that of the rule.
    pub fn mode(&self, rule: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        wait::until("what the sensor says of the rule", || {
            let told = self.items(&format!("/rules/{rule}/sensors"))?;
            let modes = told.iter().filter_map(|status| status["mode"].as_str());
            Ok(modes.into_iter().any(&wanted).then_some(()))
        })
    }
}
