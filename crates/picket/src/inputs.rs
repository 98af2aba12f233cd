//! Where a command's rules and events come from.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};

/// `--rules PATH… [FILE or -]`.
#[derive(Debug, Clone, clap::Args)]
pub struct InputArgs {
    /// Rule files and folders; rules, lists, macros and policies may stand in
    /// any of them. Can be given several times, and more paths may follow
    #[arg(
        long = "rules",
        value_name = "PATH",
        required_unless_present = "builtin_rules"
    )]
    rules: Vec<PathBuf>,
    /// Use the built-in rules (as well)
    #[arg(long)]
    builtin_rules: bool,
    /// OCSF events, one JSON object a line; `-` or nothing is standard input.
    /// Folders and names that end in .yaml or .yml are further rule paths
    #[arg(value_name = "FILE")]
    rest: Vec<PathBuf>,
}

impl InputArgs {
    /// The rule paths, whether the built-in rules are wanted, and the events.
    pub fn resolve(&self) -> Result<Inputs> {
        let (mut rules, mut files) = (self.rules.clone(), Vec::new());
        for path in &self.rest {
            if is_rule_path(path) {
                rules.push(path.clone());
            } else {
                files.push(path.clone());
            }
        }
        if let [_, second, ..] = &files[..] {
            bail!(
                "more than one file of events: {} (rule files end in .yaml or .yml, or follow --rules)",
                second.display()
            );
        }
        Ok(Inputs {
            rules,
            builtin: self.builtin_rules,
            events: files
                .into_iter()
                .next()
                .filter(|path| path != Path::new("-")),
        })
    }
}

fn is_rule_path(path: &Path) -> bool {
    let is_yaml = path
        .extension()
        .is_some_and(|ext| ext == "yaml" || ext == "yml");
    is_yaml || path.is_dir()
}

/// Resolved [`InputArgs`].
#[derive(Debug)]
pub struct Inputs {
    /// Rule files and folders.
    pub rules: Vec<PathBuf>,
    /// The built-in rules as well.
    pub builtin: bool,
    /// None is standard input.
    pub events: Option<PathBuf>,
}

impl Inputs {
    /// Opens the events.
    pub fn open(&self) -> Result<Opened> {
        let Some(path) = &self.events else {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                crate::console::note("reading events from the terminal; Ctrl-D ends them");
            }
            return Ok(Opened {
                name: "standard input".to_owned(),
                reader: Box::new(stdin.lock()),
                is_file: false,
            });
        };
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let metadata = file.metadata().with_context(cannot)?;
        Ok(Opened {
            name: path.display().to_string(),
            reader: Box::new(BufReader::with_capacity(256 << 10, file)),
            is_file: metadata.is_file(),
        })
    }
}

/// Events ready to be read.
pub struct Opened {
    /// What messages call it.
    pub name: String,
    /// The bytes.
    pub reader: Box<dyn BufRead>,
    /// A regular file: reading never waits for somebody.
    pub is_file: bool,
}
