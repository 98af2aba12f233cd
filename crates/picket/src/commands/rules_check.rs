//! `picket rules check`: what is wrong with rule files.

use super::{Format, in_kernel};
use crate::rule_files::{RuleFiles, counted};
use crate::{console, output};
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rule files, and folders of *.yaml and *.yml
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How diagnostics are written to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Every diagnostic to stdout; 1 if one is an error.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut files = RuleFiles::read(&args.paths, false)?;
    in_kernel::add(&mut files.checked);
    let (checked, sources) = (&files.checked, &files.sources);
    match args.format {
        Format::Json => {
            let json = picket_lang::render_json(&checked.diagnostics, sources);
            output::write(&format!("{}\n", json.trim_end()))?;
        }
        Format::Text => {
            let colour = console::colour_on_stdout();
            output::write(&picket_lang::render_text(
                &checked.diagnostics,
                sources,
                colour,
            ))?;
            console::line(&format!(
                "{}, {}: {}",
                counted(checked.rules.len(), "rule", "rules"),
                counted(checked.policies.len(), "policy", "policies"),
                files.errors_and_warnings()
            ));
        }
    }
    Ok(ExitCode::from(u8::from(checked.has_errors())))
}
