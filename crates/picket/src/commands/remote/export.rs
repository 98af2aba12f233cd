//! `picket export`: a server's rules, policies and lists as files.

use super::Remote;
use super::client::Client;
use crate::console;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder to write to; files of the same names are written over
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    folder: PathBuf,
    /// Drafts too
    #[arg(long)]
    drafts: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Exported {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    text: String,
}

/// Writes them.
pub fn run(args: &Args) -> Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let drafts = if args.drafts { "?drafts=true" } else { "" };
    let answer = client.get(&format!("/api/v1/export{drafts}"))?;
    let exported: Exported = serde_json::from_value(answer)?;
    for file in &exported.files {
        let path = args.folder.join(inside(&file.name)?);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        std::fs::write(&path, &file.text)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    console::line(&format!(
        "{} files below {}",
        exported.files.len(),
        args.folder.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// A name that leads nowhere else: a server's word is no reason to write to /etc.
fn inside(name: &str) -> Result<&Path> {
    let path = Path::new(name);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    ensure!(
        plain && !name.is_empty(),
        "the server names a file {name:?}"
    );
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn files_stay_in_the_folder() {
        assert!(inside("rules/a.yaml").is_ok());
        for bad in ["../a", "/etc/passwd", "a/../../b", ""] {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }
}
