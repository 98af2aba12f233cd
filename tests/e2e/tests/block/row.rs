//! What came of a way on one kernel, and the files that hold it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// How a way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No effect.
    Prevented,
    /// The process was killed; the effect came about, or may have.
    Killed,
    /// The effect came about and the process lives.
    NotCovered,
    /// This kernel has no such way.
    Impossible,
}

impl Outcome {
    const ALL: [Outcome; 4] = [
        Outcome::Prevented,
        Outcome::Killed,
        Outcome::NotCovered,
        Outcome::Impossible,
    ];

    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Prevented => "prevented",
            Outcome::Killed => "killed",
            Outcome::NotCovered => "not covered",
            Outcome::Impossible => "no such way",
        }
    }

    fn parse(word: &Value) -> Result<Outcome> {
        let named = |outcome: &Outcome| Some(outcome.name()) == word.as_str();
        let found = Outcome::ALL.into_iter().find(named);
        found.with_context(|| format!("{word} is no outcome"))
    }
}

/// One way on one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The heading.
    pub kind: String,
    /// The way.
    pub way: String,
    /// Under `action: block`.
    pub block: Outcome,
    /// What acted, as findings tell it.
    pub by: Vec<String>,
    /// Under `action: {deny: true}`.
    pub deny: Outcome,
}

impl Row {
    /// As JSON, on one line.
    pub fn json(&self) -> Value {
        json!({
            "kind": self.kind, "way": self.way,
            "block": self.block.name(), "by": self.by, "deny": self.deny.name(),
        })
    }

    /// The same, read.
    pub fn parse(value: &Value) -> Result<Row> {
        let text = |key: &str| {
            let text = value[key].as_str();
            text.map(str::to_owned)
                .with_context(|| format!("no {key} in {value}"))
        };
        let by = value["by"].as_array().into_iter().flatten();
        Ok(Row {
            kind: text("kind")?,
            way: text("way")?,
            block: Outcome::parse(&value["block"])?,
            by: by
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
            deny: Outcome::parse(&value["deny"])?,
        })
    }
}

/// What `picket doctor` found, by name.
pub type Offers = BTreeMap<String, bool>;

/// Everything that was seen on one kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it offers.
    pub offers: Offers,
    /// Every way.
    pub rows: Vec<Row>,
}

/// A kernel that the page has a column for, by the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column(&'static str);

impl Column {
    /// A guest.
    pub const V6_1: Column = Column("6.1");
    /// A guest that is booted without BPF LSM.
    pub const V6_1_PLAIN: Column = Column("6.1-without-lsm");
    /// A guest.
    pub const V6_12: Column = Column("6.12");
    /// A host without BPF LSM.
    pub const V6_18: Column = Column("6.18-without-lsm");
    /// From the left to the right.
    pub const ALL: [Column; 4] = [
        Column::V6_1,
        Column::V6_12,
        Column::V6_1_PLAIN,
        Column::V6_18,
    ];

    /// At the head of the column.
    pub fn title(self) -> String {
        self.0.replace("-without-lsm", ", no BPF LSM")
    }

    fn path(self) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("enforcement");
        folder.join(format!("{}.json", self.0))
    }

    /// What was recorded of it; nothing if nothing was.
    pub fn recorded(self) -> Result<Seen> {
        let path = self.path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(Seen::default());
        };
        let value: Value =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let offers = value["offers"].as_object().into_iter().flatten();
        let rows = value["rows"].as_array().into_iter().flatten();
        Ok(Seen {
            offers: offers
                .map(|(name, offered)| (name.clone(), offered == &Value::Bool(true)))
                .collect(),
            rows: rows.map(Row::parse).collect::<Result<_>>()?,
        })
    }

    /// Whether such a kernel as is recorded offers the same; so does one of which
    /// nothing is recorded.
    pub fn is_like(self, offers: &Offers) -> Result<bool> {
        let recorded = self.recorded()?.offers;
        Ok(recorded.is_empty() || recorded == *offers)
    }

    /// Compares what was seen now with what is recorded of the same kinds; with
    /// `PICKET_BLESS` it is recorded instead.
    pub fn check(self, now: &Seen, order: &[&'static str]) -> Result<()> {
        // Tests that are threads of one program record in the same files.
        static RECORDING: Mutex<()> = Mutex::new(());
        let _alone = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recorded = self.recorded()?;
        let is_now = |row: &Row| now.rows.iter().any(|new| new.kind == row.kind);
        if std::env::var_os("PICKET_BLESS").is_some() {
            recorded.rows.retain(|row| !is_now(row));
            recorded.rows.extend(now.rows.iter().cloned());
            let place = |row: &Row| order.iter().position(|kind| *kind == row.kind);
            recorded.rows.sort_by_key(place);
            recorded.offers.clone_from(&now.offers);
            self.record(&recorded)?;
            return crate::page::write(order);
        }
        let before: Vec<&Row> = recorded.rows.iter().filter(|row| is_now(row)).collect();
        let mut differences = String::new();
        for row in &now.rows {
            let old = before
                .iter()
                .find(|old| (&old.kind, &old.way) == (&row.kind, &row.way));
            if old.is_none_or(|old| *old != row) {
                let old = old.map(|old| old.json());
                let _ = writeln!(differences, "was {old:?}\nis  {}", row.json());
            }
        }
        ensure!(
            differences.is_empty() && before.len() == now.rows.len(),
            "Linux {} is not what {} says (PICKET_BLESS=1 records it):\n{differences}",
            self.0,
            self.path().display()
        );
        Ok(())
    }

    fn record(self, seen: &Seen) -> Result<()> {
        let rows: Vec<String> = seen
            .rows
            .iter()
            .map(|row| format!("  {}", row.json()))
            .collect();
        let text = format!(
            "{{\n \"offers\": {},\n \"rows\": [\n{}\n ]\n}}\n",
            json!(seen.offers),
            rows.join(",\n")
        );
        let path = self.path();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }
}
