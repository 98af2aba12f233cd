//! The built-in rule pack, as it was when the binary was built.

use picket_lang::Source;

/// Names below `rules/`, and contents, sorted by name.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));

/// What the names of the pack's files begin with in diagnostics and findings.
pub const PREFIX: &str = "builtin:";

/// The files of the pack.
pub fn sources() -> Vec<Source> {
    FILES
        .iter()
        .map(|(name, bytes)| Source::new(format!("{PREFIX}{name}"), *bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pack_has_no_errors() {
        let sources = sources();
        let checked = picket_lang::check(&sources, &picket_lang::Limits::default());
        let mut errors = checked.diagnostics;
        errors.retain(picket_lang::Diagnostic::is_error);
        let text = picket_lang::render_text(&errors, &sources, false);
        assert!(errors.is_empty(), "{text}");
    }
}
