//! The last good bundle and what was applied before it, kept across restarts: rules
//! are in force before the server is reached, and an old bundle cannot come back.

use super::files;
use super::{BundleRules, Identity};
use picket_lang::Source;
use picket_proto::bundle::{Admission, Applied, Standing, Verified};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "applied.json";
/// Scopes whose last version is remembered: a sensor changes its projects, and may
/// come back to them.
const MAX_SCOPES: usize = 256;

/// What is kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// Read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content.
    #[error("{} cannot be used: {why}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Written {
    /// Whose bundles this sensor takes.
    scope: Option<String>,
    projects: Vec<String>,
    /// What is in force.
    current: Option<Applied>,
    /// The last of every scope that was in force here.
    highest: BTreeMap<String, Applied>,
}

/// What is kept.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    written: Written,
    verified: Option<Verified>,
}

impl Kept {
    /// Reads what is kept. The bundle is verified again: the file is no more trusted
    /// than the network. If it is gone or is not the one that was applied, that is an
    /// error, and with [`Kept::remembering`] the sensor goes on without it.
    pub fn load(folder: &Path, identity: Option<&Identity>) -> Result<Kept, KeptError> {
        let mut kept = Kept::remembering(folder)?;
        let (Some(current), Some(identity)) = (&kept.written.current, identity) else {
            return Ok(kept);
        };
        let path = envelope_path(folder, current);
        let content = files::read(&path).map_err(|source| KeptError::File {
            path: path.clone(),
            source,
        })?;
        let bad = |why: String| KeptError::Content {
            path: path.clone(),
            why,
        };
        let content = content.ok_or_else(|| bad("it is gone".to_owned()))?;
        let verified = identity
            .trusted()
            .verify(&content)
            .map_err(|why| bad(why.to_string()))?;
        if Applied::of(&verified) != *current {
            return Err(bad("it is not the bundle that was applied".to_owned()));
        }
        kept.verified = Some(verified);
        Ok(kept)
    }

    /// What was applied, without a bundle in force.
    pub fn remembering(folder: &Path) -> Result<Kept, KeptError> {
        let path = folder.join(FILE);
        let content = files::read(&path).map_err(|source| KeptError::File {
            path: path.clone(),
            source,
        })?;
        let written = match content {
            None => Written::default(),
            Some(content) => {
                serde_json::from_slice(&content).map_err(|why| KeptError::Content {
                    path,
                    why: why.to_string(),
                })?
            }
        };
        Ok(Kept {
            folder: folder.to_owned(),
            written,
            verified: None,
        })
    }

    /// The rules of the bundle that was in force.
    pub fn rules(&self) -> Option<BundleRules> {
        let verified = self.verified.as_ref()?;
        Some(rules(verified, &self.written.projects))
    }

    /// What is in force, if it is.
    pub fn current(&self) -> Option<&Applied> {
        let current = self.written.current.as_ref();
        current.filter(|_| self.verified.is_some())
    }

    /// The bundle that is kept could not be put in force.
    pub fn give_up(&mut self) {
        self.verified = None;
    }

    /// The sensor has joined anew, maybe another fleet: versions of the one before say
    /// nothing there.
    pub(super) fn forget(&mut self) -> Result<(), KeptError> {
        self.write(Written::default())
    }

    /// Whose bundles are taken.
    pub(super) fn scope(&self) -> Option<&str> {
        self.written.scope.as_deref()
    }

    /// The sensor's projects.
    pub(super) fn projects(&self) -> &[String] {
        &self.written.projects
    }

    /// The server says whose bundles to take from here on.
    pub(super) fn join(&mut self, scope: &str, projects: &[String]) -> Result<(), KeptError> {
        if self.scope() == Some(scope) && self.written.projects == projects {
            return Ok(());
        }
        let mut next = self.written.clone();
        next.scope = Some(scope.to_owned());
        next.projects = projects.to_vec();
        self.write(next)
    }

    /// Whether a bundle may take the place of what is in force.
    pub(super) fn admit(&self, verified: &Verified, now_us: i64) -> Result<Admission, String> {
        let scope = self
            .scope()
            .ok_or("the server has not said whose bundles this sensor takes")?;
        let standing = Standing {
            scope,
            applied: self.written.highest.get(scope),
            now_us,
        };
        match standing.admit(verified).map_err(|why| why.to_string())? {
            // It was in force once, and is not now: this may be made good.
            Admission::InForce if self.current() != Some(&Applied::of(verified)) => {
                Ok(Admission::Apply)
            }
            admission => Ok(admission),
        }
    }

    /// The bundle is in force: keeps it, and what came before goes.
    pub(super) fn keep(&mut self, verified: Verified, envelope: &[u8]) -> Result<(), KeptError> {
        let applied = Applied::of(&verified);
        let path = envelope_path(&self.folder, &applied);
        files::replace(&path, envelope).map_err(|source| KeptError::File {
            path: path.clone(),
            source,
        })?;
        let before = self.written.current.clone();
        let mut next = self.written.clone();
        next.highest.insert(applied.scope.clone(), applied.clone());
        while next.highest.len() > MAX_SCOPES {
            // Whichever ended first; not the one in force.
            let oldest = next
                .highest
                .iter()
                .filter(|(scope, _)| **scope != applied.scope);
            let oldest = oldest.min_by_key(|(_, applied)| applied.expires_us);
            let Some(oldest) = oldest.map(|(scope, _)| scope.clone()) else {
                break;
            };
            next.highest.remove(&oldest);
        }
        next.current = Some(applied.clone());
        self.write(next)?;
        self.verified = Some(verified);
        if let Some(before) = before.filter(|before| *before != applied) {
            let _ = std::fs::remove_file(envelope_path(&self.folder, &before));
        }
        Ok(())
    }

    fn write(&mut self, next: Written) -> Result<(), KeptError> {
        let path = self.folder.join(FILE);
        let content = serde_json::to_vec_pretty(&next).unwrap_or_default();
        files::replace(&path, &content).map_err(|source| KeptError::File { path, source })?;
        self.written = next;
        Ok(())
    }
}

/// A bundle's rules for a sensor of these projects.
pub(super) fn rules(verified: &Verified, projects: &[String]) -> BundleRules {
    let files = verified.bundle().files.iter();
    BundleRules {
        sources: files
            .map(|file| Source::new(format!("bundle:{}", file.name), file.text.as_str()))
            .collect(),
        projects: projects.to_vec(),
    }
}

fn envelope_path(folder: &Path, applied: &Applied) -> PathBuf {
    let digest: String = applied.digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    folder.join(format!("bundle-{}-{digest}.json", applied.version))
}

#[cfg(test)]
mod tests;
