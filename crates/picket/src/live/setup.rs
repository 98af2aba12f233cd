//! What live and replayed pipelines are made of.

use crate::control::desk::shortfalls;
use crate::rule_files::counted;
use anyhow::{Context, Result};
use picket_model::event::Host;
use picket_model::field::ProcessAttr;
use picket_model::{Datum, Event};
use picket_sensor::enforce::{HostFacts, KernelSet, Powers};
use picket_sensor::enrich::{Containers, Enrichment, Names, Users};
use picket_sensor::fleet::BundleRules;
use picket_sensor::process::{Assembler, Limits};
use picket_sensor::recording::Header;
use picket_sensor::response::ProtectedSet;
use picket_sensor::{live, loader};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Addresses whose names are remembered.
const NAMES: usize = 16_384;

/// This host, as a recording's header tells it.
pub fn this_host() -> Result<Header> {
    let mut run = [0; 8];
    getrandom(&mut run)?;
    Ok(Header {
        version: env!("CARGO_PKG_VERSION").into(),
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        run: u64::from_le_bytes(run),
        epoch_offset_ns: live::epoch_offset_ns(),
        mount_namespace: own_mount_namespace(),
        users: Users::from_file(PASSWD).pairs(),
        init: init_args(),
    })
}

fn getrandom(bytes: &mut [u8]) -> Result<()> {
    rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())
        .context("cannot get random bytes for the run's id")?;
    Ok(())
}

/// Inode number of the host's mount namespace: pid 1's where it can be read.
fn own_mount_namespace() -> Option<u32> {
    ["/proc/1/ns/mnt", "/proc/self/ns/mnt"]
        .iter()
        .find_map(|path| std::fs::metadata(path).ok())
        .and_then(|namespace| u32::try_from(namespace.ino()).ok())
}

/// The arguments of pid 1; none where they cannot be read.
fn init_args() -> Vec<String> {
    let bytes = std::fs::read("/proc/1/cmdline").unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Puts trees around this host's records.
pub fn live_assembler(host: &Header) -> Assembler {
    let enrichment = Enrichment {
        users: Users::from_file(PASSWD),
        containers: Containers::live(host.mount_namespace),
        names: Names::new(NAMES),
    };
    assembler(host, enrichment)
}

/// Puts trees around recorded records; asks nothing of this host.
pub fn replayed_assembler(host: &Header) -> Assembler {
    let enrichment = Enrichment {
        users: Users::from_pairs(host.users.iter().cloned()),
        containers: Containers::replayed(host.mount_namespace),
        names: Names::new(NAMES),
    };
    assembler(host, enrichment)
}

fn assembler(host: &Header, enrichment: Enrichment) -> Assembler {
    let model = Host {
        hostname: Datum::Known(host.hostname.as_str().into()),
        labels: Datum::Absent,
    };
    let mut assembler = Assembler::new(
        Limits::default(),
        enrichment,
        Arc::new(model),
        host.run,
        host.epoch_offset_ns,
    );
    assembler.set_init(&host.init);
    assembler
}

/// What rules are compiled against on this host.
#[derive(Debug, Clone)]
pub struct HostContext {
    /// Who may not be touched.
    pub protected: ProtectedSet,
    /// The host's name.
    pub hostname: String,
}

impl HostContext {
    /// As things are now.
    fn facts(&self) -> HostFacts {
        HostFacts {
            users: Users::from_file(PASSWD).pairs(),
            hostname: Some(self.hostname.clone()),
            labels: None,
            protection: self.protected.protection(),
            now_ns: live::epoch_ns(),
        }
    }
}

/// Where users' names come from; names in rules under a policy are turned into
/// uids by it.
pub const PASSWD: &str = "/etc/passwd";

/// Where the rules of a run come from.
#[derive(Debug, Clone)]
pub struct RulePaths {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// Folders that may hold rules, and may be empty.
    pub optional: Vec<PathBuf>,
    /// The built-in pack as well.
    pub builtin: bool,
    /// The projects this sensor belongs to.
    pub projects: Vec<String>,
    /// What the server gave.
    pub bundle: Option<BundleRules>,
    /// The server gives the built-in pack too: with its bundle it is not added here.
    pub builtin_in_bundle: bool,
    /// The file that names feeds of indicators.
    pub feeds: Option<PathBuf>,
}

impl RulePaths {
    /// No rules at all.
    pub fn none() -> RulePaths {
        RulePaths {
            paths: Vec::new(),
            optional: Vec::new(),
            builtin: false,
            projects: Vec::new(),
            bundle: None,
            builtin_in_bundle: false,
            feeds: None,
        }
    }

    /// What to watch for changes.
    pub fn watched(&self) -> Vec<PathBuf> {
        let rules = self.paths.iter().chain(&self.optional);
        rules.chain(&self.feeds).cloned().collect()
    }

    /// Reads, checks and compiles, for the kernel of this host too if it is given,
    /// and by what occurs in the `sample`. Diagnostics are printed, errors or not.
    pub fn load(&self, host: Option<&HostContext>, sample: &[Event]) -> Result<loader::RuleSet> {
        let served = self.builtin_in_bundle && self.bundle.is_some();
        let mut sources = if self.builtin && !served {
            crate::builtin::sources()
        } else {
            Vec::new()
        };
        sources.extend(loader::read(&self.paths)?);
        for folder in &self.optional {
            match loader::read(std::slice::from_ref(folder)) {
                Err(loader::LoadError::Empty { .. }) => {}
                read => sources.extend(read?),
            }
        }
        let mut projects = self.projects.clone();
        if let Some(bundle) = &self.bundle {
            sources.extend(bundle.sources.iter().cloned());
            projects.extend(bundle.projects.iter().cloned());
        }
        let facts = host.map(HostContext::facts);
        match loader::arm(sources, &projects, facts.as_ref(), sample) {
            Ok((mut set, diagnostics, sources)) => {
                if let Some(feeds) = &self.feeds {
                    let listed = super::feeds::load(feeds, &set.policies)?;
                    set.indicators = Some(Arc::new(listed));
                }
                // What is costly in the built-in rules is their authors' business.
                let own: Vec<_> = diagnostics
                    .into_iter()
                    .filter(|diagnostic| {
                        let source = sources.get(diagnostic.primary.span.source);
                        !source
                            .is_some_and(|source| source.name.starts_with(crate::builtin::PREFIX))
                    })
                    .collect();
                crate::console::diagnostics(&own, &sources);
                if set.program.uses_attribute(ProcessAttr::Sha256) {
                    crate::console::warning(
                        "a rule asks for process.hash.sha256, which this version does not compute: \
                         what depends on it stays undecided, and is counted so",
                    );
                }
                for name in &set.elsewhere {
                    crate::console::note(&format!(
                        "not armed here, it is for other projects: {name}"
                    ));
                }
                Ok(set)
            }
            Err(loader::LoadError::Invalid {
                diagnostics,
                sources,
            }) => {
                crate::console::diagnostics(&diagnostics, &sources);
                Err(loader::LoadError::Invalid {
                    diagnostics,
                    sources,
                }
                .into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// An error of loading with its diagnostics, as text.
pub fn diagnosed(error: &anyhow::Error) -> String {
    match error.downcast_ref::<loader::LoadError>() {
        Some(loader::LoadError::Invalid {
            diagnostics,
            sources,
        }) => {
            let mut errors = diagnostics.clone();
            errors.retain(picket_lang::Diagnostic::is_error);
            picket_lang::render_text(&errors, sources, false)
                .trim_end()
                .to_owned()
        }
        _ => format!("{error:#}"),
    }
}

/// How the rules of a set stand under its policies, while the set itself is on its
/// way.
pub struct Standings(Option<Arc<KernelSet>>);

impl Standings {
    /// Of that set.
    pub fn of(set: &loader::RuleSet) -> Standings {
        Standings(set.kernel.clone())
    }

    /// Warns of each rule that is enforced less here than a policy that blocks asks
    /// for.
    pub fn tell_shortfalls(&self, powers: &Powers) {
        let standings = self.0.iter().flat_map(|set| &set.standings);
        for line in shortfalls(standings, powers) {
            crate::console::warning(&line);
        }
    }
}

/// One line on what is armed.
pub fn summary(set: &loader::RuleSet) -> String {
    let mut told = format!(
        "{}, {}",
        counted(set.program.rules().len(), "rule", "rules"),
        counted(set.policies.len(), "policy", "policies")
    );
    if let Some(indicators) = &set.indicators {
        told.push_str(", ");
        told.push_str(&counted(indicators.len(), "indicator", "indicators"));
    }
    told
}
