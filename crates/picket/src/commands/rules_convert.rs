//! `picket rules convert`: any rule format to native YAML.

use crate::rule_files::RuleFiles;
use crate::{console, output};
use anyhow::Result;
use picket_lang::Source;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rule files, and folders of *.yaml and *.yml
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

/// Native YAML to stdout, one document a file. What cannot be said in it is an
/// error that names it: then nothing is written, and the code is 1.
pub fn run(args: &Args) -> Result<ExitCode> {
    let files = RuleFiles::read(&args.paths, false)?;
    if files.tell_errors() {
        console::error(&format!(
            "nothing was converted: {}",
            files.errors_and_warnings()
        ));
        return Ok(ExitCode::from(1));
    }
    let documents: Vec<String> = files.sources.iter().map(document).collect();
    output::write(&documents.concat())?;
    Ok(ExitCode::SUCCESS)
}

/// A native file is its own conversion, comments and all: what a person named,
/// lists and macros, stays named.
fn document(source: &Source) -> String {
    let text = String::from_utf8_lossy(&source.bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.strip_prefix("---\n").unwrap_or(text);
    let name: String = source.name.escape_default().collect();
    format!("--- # {name}\n{}\n", text.trim_end())
}
