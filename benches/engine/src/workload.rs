//! The benchmark workload (`../shared/workload`), brought into the model.
//!
//! Each neutral event becomes one of ours: the acting process has an image of
//! its own, as after a real exec; parents and ancestors are shared, as in the
//! process table. In an exec event the acting process is the parent's image: the
//! child that called execve still had it. Parents are known in exec events only.

use anyhow::{Context, Result, bail};
use picket_model::event::{Actor, Detail, Dns, EventUid, Exec, Host, Network};
use picket_model::process::{Image, Parent, Process, ProcessKey};
use picket_model::record::Protocol;
use picket_model::{Datum, Event, EventClass};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

/// One event of the workload in its neutral form: its fields by name.
#[derive(Debug, Clone)]
pub struct Neutral {
    texts: [String; TEXTS.len()],
    numbers: [u64; NUMBERS.len()],
}

/// Names of the text fields.
pub const TEXTS: [&str; 10] = [
    "exe",
    "name",
    "cmdline",
    "pname",
    "pexe",
    "pcmdline",
    "ancestors",
    "user",
    "cwd",
    "dns",
];
/// Names of the number fields.
pub const NUMBERS: [&str; 5] = ["etype", "uid", "pid", "dport", "dip"];

impl Neutral {
    fn new(json: &Value) -> Neutral {
        Neutral {
            texts: TEXTS.map(|field| json[field].as_str().unwrap_or_default().to_owned()),
            numbers: NUMBERS.map(|field| json[field].as_u64().unwrap_or_default()),
        }
    }

    /// A text field.
    pub fn text(&self, field: &str) -> &str {
        let at = TEXTS.iter().position(|name| *name == field);
        at.map_or("", |at| &self.texts[at])
    }

    /// A number field.
    pub fn number(&self, field: &str) -> u64 {
        let at = NUMBERS.iter().position(|name| *name == field);
        at.map_or(0, |at| self.numbers[at])
    }

    /// The same with a longer command line.
    pub fn with_line_end(&self, end: &str) -> Neutral {
        let mut longer = self.clone();
        for (text, field) in longer.texts.iter_mut().zip(TEXTS) {
            if field == "cmdline" {
                *text += end;
            }
        }
        longer
    }

    /// The event class.
    pub fn class(&self) -> EventClass {
        match self.number("etype") {
            1 => EventClass::ProcessExec,
            2 => EventClass::NetworkConnect,
            _ => EventClass::DnsQuery,
        }
    }
}

/// Reads the lines of a compressed file as JSON.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    let file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let mut text = String::new();
    decoder.read_to_string(&mut text)?;
    text.lines()
        .map(|line| serde_json::from_str(line).context("a line of the workload"))
        .collect()
}

/// Makes model events. Processes made by one `World` are shared by its events.
#[derive(Default)]
pub struct World {
    host: Arc<Host>,
    users: HashMap<String, Arc<str>>,
    parents: HashMap<(String, String, String, String), Arc<Process>>,
    ancestors: HashMap<String, Arc<Process>>,
    next: u64,
}

impl World {
    /// The event, with a new image for its process.
    pub fn event(&mut self, neutral: &Neutral) -> Event {
        self.next += 1;
        let parent = self.parent(neutral);
        let process = Arc::new(Process::new(
            ProcessKey {
                pid: neutral.number("pid") as u32,
                start_ns: self.next,
            },
            Arc::new(image(neutral)),
            Parent::Known(parent.clone()),
        ));
        let actor = match neutral.class() {
            EventClass::ProcessExec => parent.clone(),
            _ => process.clone(),
        };
        let detail = match neutral.class() {
            EventClass::ProcessExec => Detail::Exec(Exec {
                process,
                parent_process: Datum::Known(parent),
            }),
            EventClass::NetworkConnect => Detail::Network(network(neutral)),
            _ => Detail::Dns(Dns {
                hostname: Datum::Known(neutral.text("dns").into()),
                query_type: Datum::Known("A".into()),
                protocol: Datum::Known(Protocol::Udp),
                ..Dns::default()
            }),
        };
        let user = neutral.text("user");
        let user_name = self
            .users
            .entry(user.to_owned())
            .or_insert_with(|| user.into())
            .clone();
        Event {
            uid: EventUid::Sequence {
                run: 1,
                number: self.next,
            },
            time_ns: 1_795_400_000_000_000_000,
            class: neutral.class(),
            host: self.host.clone(),
            actor: Actor {
                process: Datum::Known(actor),
                user_name: Datum::Known(user_name),
                uid: Datum::Known(neutral.number("uid") as u32),
                auid: Datum::Absent,
            },
            container: None,
            detail,
        }
    }

    fn parent(&mut self, neutral: &Neutral) -> Arc<Process> {
        let text = |field| neutral.text(field).to_owned();
        let key = (
            text("pname"),
            text("pexe"),
            text("pcmdline"),
            text("ancestors"),
        );
        if let Some(known) = self.parents.get(&key) {
            return known.clone();
        }
        let names: Vec<&str> = neutral
            .text("ancestors")
            .split('|')
            .filter(|name| !name.is_empty())
            .collect();
        // The nearest is the parent itself.
        let above = names.split_last().map_or(&[][..], |(_, above)| above);
        let link = self.ancestor(above);
        let image = Image {
            name: Datum::Known(names.last().copied().unwrap_or(&key.0).into()),
            path: Datum::Known(key.1.as_str().into()),
            cmd_line: Datum::Known(key.2.as_str().into()),
            ..Image::default()
        };
        self.next += 1;
        let process_key = ProcessKey {
            pid: 1000 + self.next as u32,
            start_ns: self.next,
        };
        let process = Arc::new(Process::new(process_key, Arc::new(image), link));
        self.parents.insert(key, process.clone());
        process
    }

    fn ancestor(&mut self, names: &[&str]) -> Parent {
        let Some((name, above)) = names.split_last() else {
            return Parent::None;
        };
        let key = names.join("|");
        if let Some(known) = self.ancestors.get(&key) {
            return Parent::Known(known.clone());
        }
        let link = self.ancestor(above);
        self.next += 1;
        let image = Image {
            name: Datum::Known((*name).into()),
            path: Datum::Known(format!("/usr/bin/{name}").into()),
            ..Image::default()
        };
        let process_key = ProcessKey {
            pid: self.next as u32,
            start_ns: self.next,
        };
        let process = Arc::new(Process::new(process_key, Arc::new(image), link));
        self.ancestors.insert(key, process.clone());
        Parent::Known(process)
    }
}

fn image(neutral: &Neutral) -> Image {
    let text = |field| Datum::Known(neutral.text(field).into());
    Image {
        name: text("name"),
        path: text("exe"),
        cmd_line: text("cmdline"),
        working_directory: text("cwd"),
        uid: Datum::Known(neutral.number("uid") as u32),
        ..Image::default()
    }
}

fn network(neutral: &Neutral) -> Network {
    let mut network = Network {
        protocol: Datum::Known(Protocol::Tcp),
        ..Network::default()
    };
    let address = Ipv4Addr::from_bits(neutral.number("dip") as u32);
    network.dst.ip = Datum::Known(IpAddr::V4(address));
    network.dst.port = Datum::Known(neutral.number("dport") as u16);
    network
}

/// Reads the events of the workload.
pub fn events(folder: &Path) -> Result<Vec<Neutral>> {
    let events: Vec<Neutral> = read(&folder.join("events.jsonl.zst"))?
        .iter()
        .map(Neutral::new)
        .collect();
    if events.is_empty() {
        bail!("the workload has no events");
    }
    Ok(events)
}
