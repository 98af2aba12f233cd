//! What people read on stderr, and whether it may have colours.
//!
//! A write that fails is passed over: there is no place left to say so.

use picket_lang::{Diagnostic, Source};
use std::io::{IsTerminal, Write};

/// Whether stdout takes colours.
pub fn colour_on_stdout() -> bool {
    wanted() && std::io::stdout().is_terminal()
}

/// Whether stderr takes colours.
pub fn colour_on_stderr() -> bool {
    wanted() && std::io::stderr().is_terminal()
}

/// `NO_COLOR` (no-color.org) and `TERM=dumb` ask for none.
fn wanted() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// A line as it is.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Something worth knowing.
pub fn note(text: &str) {
    labelled("note", "\x1b[1;36m", text);
}

/// Something that may not be as meant.
pub fn warning(text: &str) {
    labelled("warning", "\x1b[1;33m", text);
}

/// Something that went wrong.
pub fn error(text: &str) {
    labelled("error", "\x1b[1;31m", text);
}

/// An error with its causes. Some errors tell their cause themselves: it is not
/// told twice.
pub fn failure(failure: &anyhow::Error) {
    let mut told = String::new();
    for cause in failure.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.ends_with(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    error(&told);
}

fn labelled(label: &str, colour: &str, text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = if colour_on_stderr() {
        writeln!(stderr, "{colour}{label}\x1b[0m: {text}")
    } else {
        writeln!(stderr, "{label}: {text}")
    };
}

/// What is wrong with rule files.
pub fn diagnostics(diagnostics: &[Diagnostic], sources: &[Source]) {
    if diagnostics.is_empty() {
        return;
    }
    let text = picket_lang::render_text(diagnostics, sources, colour_on_stderr());
    line(text.trim_end());
}
